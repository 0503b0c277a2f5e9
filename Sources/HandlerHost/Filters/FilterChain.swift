// SPDX-License-Identifier: Apache-2.0

public import TargetCore

/// The filters of one device, in the order in which commands meet them. A device without filters has none of this.
public struct FilterChain: Sendable {
    /// Outermost first; not empty.
    public let filters: [any DeviceFilter]

    /// What the core is given in place of the store's device.
    public var device: any BlockDevice { filters[0] }

    /// Makes the filters over `inner`, innermost first. Nil: there are none. What was made before an error is closed.
    public static func build(
        _ specifications: [FilterSpecification], over inner: any BlockDevice, _ context: FilterContext
    ) throws(FilterError) -> FilterChain? {
        guard !specifications.isEmpty else { return nil }
        var made: [any DeviceFilter] = []
        do throws(FilterError) {
            for specification in specifications.reversed() {
                let below: any BlockDevice = made.last ?? inner
                made.append(try FilterKind.maker(for: specification)(below, context))
            }
        } catch {
            for filter in made.reversed() { filter.close() }
            throw error
        }
        return FilterChain(filters: made.reversed())
    }

    /// See `DeviceFilter.release`.
    public func release() {
        for filter in filters { filter.release() }
    }

    /// Closes every filter; the store's device is still open. May block.
    public func close() {
        for filter in filters { filter.close() }
    }

    /// Those of filters of one kind are added up.
    public var counters: [String: UInt64] {
        filters.reduce(into: [:]) { $0.merge($1.counters, uniquingKeysWith: +) }
    }

    /// One sentence for each filter that has something to warn of.
    public var warnings: [String] { filters.compactMap(\.warning) }
}
