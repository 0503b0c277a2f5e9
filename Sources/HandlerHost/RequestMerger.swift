// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Synchronization
internal import TargetCore

/// What merging needs to know. Nanoseconds.
public struct RequestMerging: Sendable, Equatable {
    /// Requests are held until none has come for so long; 0: until the end of the batch.
    public var delayNanoseconds: UInt64
    /// And no longer than this after the first of them came; 0: no limit.
    public var maximumDelayNanoseconds: UInt64

    public init(delayNanoseconds: UInt64 = 0, maximumDelayNanoseconds: UInt64 = 0) {
        self.delayNanoseconds = delayNanoseconds
        self.maximumDelayNanoseconds = maximumDelayNanoseconds
    }
}

/// Holds the reads and writes of a device for a while, so that neighbours reach the handler in one callout.
///
/// Made only for devices that merge; all memory is allocated then.
@safe
final class RequestMerger: @unchecked Sendable {
    /// Requests that are held at most: one more ends the wait.
    static let requestLimit = 256
    /// Merged callouts under way at most; beyond them requests go alone.
    private static let groupCount = 64

    let settings: RequestMerging
    /// Keeps the groups alive, wherever they are.
    private let allGroups = (0..<groupCount).map { _ in MergeGroup() }

    /// Guards what follows; short.
    private let condition = ThreadCondition()
    private var held: [Unmanaged<BlockRequest>] = unsafe []
    /// Monotonic nanoseconds; 0: nothing is held, or no batch has ended since.
    private var oldestArrival: UInt64 = 0
    private var newestArrival: UInt64 = 0
    /// Unused groups, used in turn, so that a handler that completes twice meets one that is not under way.
    private var firstFree: MergeGroup?
    private var lastFree: MergeGroup?
    /// Groups that the handler failed.
    private var failed: MergeGroup?
    private var isStopping = false

    /// Held over the planning and issuing of what was held, so that batches follow each other.
    let issuing = ThreadCondition()
    /// Under `issuing`.
    var released: [Unmanaged<BlockRequest>] = unsafe []
    var planner: MergePlanner

    /// Requests that are held, or are on their way from here to the handler.
    private let unissuedCount = Atomic<Int>(0)
    private let hasArrival = Atomic<Bool>(false)

    let mergedReads = Atomic<UInt64>(0)
    let mergedWrites = Atomic<UInt64>(0)
    let groups = Atomic<UInt64>(0)
    let failedGroups = Atomic<UInt64>(0)

    /// - Parameter byteLimit: bytes of the longest transfer that the device takes.
    init(_ settings: RequestMerging, byteLimit: Int) {
        self.settings = settings
        planner = MergePlanner(
            .init(requestCount: Self.requestLimit, elementCount: MergeGroup.elementLimit, byteCount: byteLimit))
        unsafe held.reserveCapacity(Self.requestLimit)
        unsafe released.reserveCapacity(Self.requestLimit)
        for group in allGroups { giveBack(group) }
    }

    /// True when no more can be held: the caller releases.
    func hold(_ request: BlockRequest) -> Bool {
        unissuedCount.add(1, ordering: .relaxed)
        hasArrival.store(true, ordering: .relaxed)
        return condition.withLock {
            unsafe held.append(Unmanaged.passUnretained(request))
            return unsafe held.count >= Self.requestLimit
        }
    }

    /// All that was held before has been dispatched.
    var isEmpty: Bool { unissuedCount.load(ordering: .acquiring) == 0 }

    /// Under `issuing`: fills `released` with what was held.
    func release() {
        condition.withLock {
            unsafe swap(&held, &released)
            oldestArrival = 0
            newestArrival = 0
        }
    }

    /// Under `issuing`: all that was released has been dispatched.
    func issued() {
        unsafe unissuedCount.subtract(released.count, ordering: .releasing)
        unsafe released.removeAll(keepingCapacity: true)
    }

    /// A batch has ended. True when what is held has waited enough.
    func batchEnded() -> Bool {
        guard !isEmpty else { return false }
        guard settings.delayNanoseconds > 0 else { return true }
        // Without a new request the thread knows the time.
        guard hasArrival.exchange(false, ordering: .relaxed) else { return false }
        let now = clinux_monotonic_nanoseconds()
        return condition.withLock {
            guard unsafe !held.isEmpty else { return false }
            newestArrival = now
            if oldestArrival == 0 {
                oldestArrival = now
                condition.signal()
            }
            return now >= deadline
        }
    }

    /// Under the lock, while something is held.
    private var deadline: UInt64 {
        let quiet = newestArrival + settings.delayNanoseconds
        guard settings.maximumDelayNanoseconds > 0 else { return quiet }
        return min(quiet, oldestArrival + settings.maximumDelayNanoseconds)
    }

    /// An empty group; nil while too many are under way.
    func takeGroup() -> MergeGroup? {
        condition.withLock {
            guard let group = firstFree else { return nil }
            firstFree = group.next
            if firstFree == nil { lastFree = nil }
            group.next = nil
            return group
        }
    }

    func giveBack(_ group: MergeGroup) {
        group.removeAll()
        condition.withLock {
            if let lastFree { lastFree.next = group } else { firstFree = group }
            lastFree = group
        }
    }

    /// The handler has failed `group`: the thread has its members tried alone.
    func fail(_ group: MergeGroup) {
        failedGroups.add(1, ordering: .relaxed)
        condition.withLock {
            group.next = failed
            failed = group
            condition.signal()
        }
    }

    enum Work {
        case release
        case retry(MergeGroup)
        case stop
    }

    /// What the thread has to do; waits for it.
    func nextWork() -> Work {
        condition.withLock {
            while true {
                if let group = failed {
                    failed = group.next
                    group.next = nil
                    return .retry(group)
                }
                if isStopping { return .stop }
                guard oldestArrival > 0 else {
                    condition.wait()
                    continue
                }
                // Not before the clock says so: it may be woken for nothing, and the deadline moves.
                if clinux_monotonic_nanoseconds() >= deadline { return .release }
                condition.wait(until: deadline)
            }
        }
    }

    /// Nothing is held or under way.
    func stop() {
        condition.withLock {
            isStopping = true
            condition.broadcast()
        }
    }
}
