// SPDX-License-Identifier: Apache-2.0

public import TargetCore

/// What a filter is told of the place where it stands.
public struct FilterContext: Sendable {
    /// The device below as the operator named it, for messages.
    public var deviceName: String
    public var diagnostics: Diagnostics

    public init(deviceName: String, diagnostics: Diagnostics) {
        self.deviceName = deviceName
        self.diagnostics = diagnostics
    }
}

/// Makes a filter whose options have been read.
public typealias FilterMaker = @Sendable (any BlockDevice, FilterContext) throws(FilterError) -> any DeviceFilter

/// A kind of filter: a row of the list.
public struct FilterKind: Sendable {
    public let name: String
    /// What it does, for people.
    public let summary: String
    /// Reads the options; nothing is opened or started yet.
    let read: @Sendable (FilterSpecification) throws(FilterError) -> FilterMaker

    /// Every filter there is.
    public static let all = [
        FilterKind(
            name: "fault", summary: "delays, errors, short counts, hangs and other faults on demand",
            read: FaultFilter.maker)
    ]

    /// Finds the filter that `specification` names and reads its options.
    public static func maker(for specification: FilterSpecification) throws(FilterError) -> FilterMaker {
        guard let kind = all.first(where: { $0.name == specification.name }) else {
            throw FilterError(
                column: specification.column, "names no known filter with \"\(specification.name)\"",
                unknown: specification.name, known: all.map(\.name))
        }
        return try kind.read(specification)
    }
}
