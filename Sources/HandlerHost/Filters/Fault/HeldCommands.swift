// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The commands that a filter holds back: until a time, or until others have gathered that leave in another order.
///
/// One thread of the filter's takes what is due, in timed waits. Sendable: all is guarded by `condition`.
final class HeldCommands: @unchecked Sendable {
    typealias Child = ChildRequest<FaultFilter>

    private let plan: FaultPlan
    private let condition = ThreadCondition()
    private var waiting: DeadlineHeap<Child>
    private var gathered: [Child] = []
    private var gatheringDeadline = UInt64.max
    private var gatheringCount: UInt64 = 0
    private var isReleased = false
    private var isStopping = false

    /// A time that never comes.
    static let never = UInt64.max

    init(_ plan: FaultPlan) {
        self.plan = plan
        waiting = DeadlineHeap(capacity: ChildPool<FaultFilter>.usualCount)
        gathered.reserveCapacity(plan.options.reorder)
    }

    /// Holds `child` until `deadline`, in nanoseconds of the monotonic clock.
    func hold(_ child: Child, until deadline: UInt64) {
        condition.withLock {
            waiting.insert(child, deadline: isReleased ? 0 : deadline)
            if waiting.earliest == (isReleased ? 0 : deadline) { condition.signal() }
        }
    }

    /// Holds `child` until as many have gathered as change places, or the time for that is over. True: nothing was
    /// held, and it leaves now.
    func gather(_ child: Child) -> Bool {
        condition.withLock {
            if isReleased { return true }
            gathered.append(child)
            if gathered.count == 1 {
                gatheringDeadline = clinux_monotonic_nanoseconds() &+ plan.options.reorderHold
                condition.signal()
            } else if gathered.count == plan.options.reorder {
                gatheringDeadline = 0
                condition.signal()
            }
            return false
        }
    }

    /// Waits until something is due, and puts it at the end of `due` and `leaving`. False: the filter ends, and there
    /// is nothing more.
    func takeDue(_ due: inout [Child], leaving: inout [Child]) -> Bool {
        condition.withLock {
            while true {
                let now = clinux_monotonic_nanoseconds()
                while let child = waiting.removeDue(at: isReleased ? Self.never : now) { due.append(child) }
                if !gathered.isEmpty, gatheringDeadline <= now || isReleased { takeGathered(&leaving) }
                if !due.isEmpty || !leaving.isEmpty { return true }
                if isStopping { return false }
                let next = min(waiting.earliest ?? Self.never, gathered.isEmpty ? Self.never : gatheringDeadline)
                if next == Self.never { condition.wait() } else { condition.wait(until: next) }
            }
        }
    }

    private func takeGathered(_ leaving: inout [Child]) {
        for position in plan.order(batch: gatheringCount, count: gathered.count) { leaving.append(gathered[position]) }
        gatheringCount += 1
        gathered.removeAll(keepingCapacity: true)
        gatheringDeadline = Self.never
    }

    /// All that is held is due now, and nothing is held any more.
    func release() {
        condition.withLock {
            isReleased = true
            condition.broadcast()
        }
    }

    func stop() {
        condition.withLock {
            isStopping = true
            condition.broadcast()
        }
    }
}
