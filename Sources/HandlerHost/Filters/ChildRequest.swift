// SPDX-License-Identifier: Apache-2.0

public import TargetCore

/// A request that a filter makes of a device below it, for one of its own: the parent.
///
/// It belongs to the filter from `ChildPool.take` to `finish` or `giveBack`; between `start` and `ended` to the device.
/// Several children may serve one parent: then all but one are given back, and the last one finishes.
///
/// Sendable: one thread has it at a time, as the life above says.
@safe
public final class ChildRequest<Filter: DeviceFilter>: @unchecked Sendable {
    /// The question, at first the parent's own, and the answer.
    public let request: BlockRequest
    /// The filter's own. It stays as it was left when the child is taken again.
    public var note: Filter.Note

    /// The core keeps the parent until it has completed.
    private var parent: Borrowed<BlockRequest>?
    /// The pool keeps its children as long as it lives, and a filter its pool.
    private let pool: Borrowed<ChildPool<Filter>>
    private let link: ChildLink<Filter>
    /// The pool's own, guarded by its lock.
    var place = ChildPlace<Filter>()

    init(pool: ChildPool<Filter>, note: Filter.Note) {
        let link = ChildLink<Filter>()
        self.link = link
        self.pool = Borrowed(pool)
        self.note = note
        request = BlockRequest(loop: link)
        link.child = Borrowed(self)
    }

    /// Asks the parent's question.
    func adopt(_ parent: BlockRequest) {
        self.parent = Borrowed(parent)
        request.operation = parent.operation
        request.byteOffset = parent.byteOffset
        request.extentByteCount = parent.extentByteCount
        // The parent's memory is leased until the parent has completed.
        unsafe request.buffer = unsafe parent.buffer
        request.mayUnmap = parent.mayUnmap
        request.cdb = parent.cdb
        if !request.storeSense.isEmpty { request.storeSense = [] }
        request.transferredByteCount = nil
        if parent.operation == .blockStatus { swap(&request.extents, &parent.extents) }
    }

    /// Hands it to `device`. `Filter.ended` follows, perhaps before this returns. Who starts children outside of
    /// `submit` tells the device when it has started the last one for now: `submissionsEnded`.
    public func start(on device: any BlockDevice) {
        if request.start(on: device) { tellEnd() }
    }

    /// Ends the parent with this child's answer.
    public func finish() { finish(request.outcome) }

    /// Ends the parent with `outcome`, and with what else the device below answered. The child is the pool's again.
    public func finish(_ outcome: BlockOutcome) {
        guard let parent else { preconditionFailure("a child finishes once") }
        let pool = pool.object
        parent.use { parent in
            if !request.storeSense.isEmpty { parent.storeSense = request.storeSense }
            parent.transferredByteCount = request.transferredByteCount
            if parent.operation == .blockStatus { swap(&request.extents, &parent.extents) }
        }
        self.parent = nil
        pool.put(self)
        // From here on the child may be another's, and when the parent has completed it, too.
        _ = parent.use { $0.complete(outcome) }
        pool.oneEnded()
    }

    /// Back to the pool, without a word to the parent.
    public func giveBack() {
        parent = nil
        let pool = pool.object
        pool.put(self)
        pool.oneEnded()
    }

    fileprivate func tellEnd() {
        pool.use { $0.filter.use { $0.ended(self) } }
    }
}

/// Where a child is, for its pool.
struct ChildPlace<Filter: DeviceFilter> {
    /// In the list of free children.
    var nextFree: Borrowed<ChildRequest<Filter>>?
    /// The parent, while the child is not free.
    var serving: ObjectIdentifier?
    /// Visits of `ChildPool.forEach`: the child becomes free after the last of them.
    var visitCount = 0
}

/// Hears that a child has ended after its submission, in the thread that ended it: a filter has no loop of its own.
///
/// Sendable: `child` is set once, before anybody else sees the link.
private final class ChildLink<Filter: DeviceFilter>: OwnerLoop, @unchecked Sendable {
    var child: Borrowed<ChildRequest<Filter>>?

    func post(_ request: BlockRequest) { child?.use { $0.tellEnd() } }

    /// Task management is the parents' business: nobody asks it of a child.
    func perform(_ work: @escaping @Sendable () -> Void) { work() }
}
