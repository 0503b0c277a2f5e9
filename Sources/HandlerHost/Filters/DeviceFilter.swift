// SPDX-License-Identifier: Apache-2.0

public import TargetCore

/// A block device over another one: it sees each request on its way to the store, and each answer on its way back.
///
/// A new filter is one type that conforms to this, and one row in `FilterKind.all`. What it does not implement passes
/// through. Its life: made over an open device; `submit` and `ended` from any thread at any time; `release` when the
/// server is about to stop; `close` when no command is under way, outermost filter first, and the store's device after
/// the last of them. It stays in memory until that is closed, too.
///
/// A filter never passes its parent's request on: it takes a child for it from a `ChildPool`, so that it hears of the
/// end. `submit` does not block, and what it does for a request costs no allocation.
public protocol DeviceFilter: BlockDevice {
    /// What the filter keeps of a child while it is under way.
    associatedtype Note: Sendable

    /// The device below: another filter, or the store's.
    var inner: any BlockDevice { get }

    /// Where its children come from.
    var children: ChildPool<Self> { get }

    /// `child`, which was started on some device, has ended: its answer stands in `child.request`. From any thread,
    /// exactly once for each start, perhaps before `start` returned. The filter ends with `child.finish` or
    /// `child.giveBack`, now or later.
    func ended(_ child: ChildRequest<Self>)

    /// Sessions are about to be ended, and wait for their commands: what is held back on purpose goes now, and nothing
    /// is held from now on. Safe to call again.
    func release()

    /// Ends the filter's threads. May block until what is under way has ended.
    func close()

    /// What it has done, by the names under which `martlet stats` tells it. They only grow.
    var counters: [String: UInt64] { get }

    /// What whoever starts the server must know of it: one sentence. Nil: nothing.
    var warning: String? { get }
}

extension DeviceFilter {
    public var blockByteCount: Int { inner.blockByteCount }
    public var blockCount: UInt64 { inner.blockCount }
    public var features: BlockDeviceFeatures { inner.features }
    public func submissionsEnded() { inner.submissionsEnded() }

    /// What it asked below on behalf of `request` is wanted soon; what it holds itself is its own business.
    public func cancel(_ request: BlockRequest) {
        children.forEach(serving: request) { $0.request.cancel(on: inner) }
    }

    public var mappingResources: MappingResources? { inner.mappingResources }

    public func cancelIfOverdue(_ request: BlockRequest) {
        children.forEach(serving: request) { inner.cancelIfOverdue($0.request) }
    }

    // Data must not pass by the filter: `canMapReads` and `copiesWrites` stay false.

    public func release() {}
    public func close() {}
    public var counters: [String: UInt64] { [:] }
    public var warning: String? { nil }
}
