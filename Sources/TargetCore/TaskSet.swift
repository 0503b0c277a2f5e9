// SPDX-License-Identifier: Apache-2.0

/// The attribute by which a task is ordered: its own, unless the command is implicitly HEAD OF QUEUE.
enum TaskOrdering: UInt8 {
    case simple
    case ordered
    case headOfQueue
    /// Runs at once and holds back nobody.
    case implicitHeadOfQueue
}

/// The tasks of one I_T nexus for one logical unit, oldest first (SAM-5 8; the Control mode page says TST 001b).
///
/// A list linked through the tasks, so that entering and leaving cost no memory. All of it belongs to the nexus's loop.
@safe
final class TaskSet {
    // Safe: the transport keeps a task alive until it is told of its end, and a task leaves the list before that.
    private unowned(unsafe) var oldest: SCSITask?
    private unowned(unsafe) var youngest: SCSITask?
    private(set) var count = 0
    private var orderedCount = 0
    private var headOfQueueCount = 0
    private(set) var blockedCount = 0

    var first: SCSITask? { unsafe oldest }

    func append(_ task: SCSITask) {
        unsafe task.olderInTaskSet = youngest
        unsafe task.youngerInTaskSet = nil
        if let youngest = unsafe youngest {
            unsafe youngest.youngerInTaskSet = task
        } else {
            unsafe oldest = task
        }
        unsafe youngest = task
        count += 1
        switch task.ordering {
        case .ordered: orderedCount += 1
        case .headOfQueue: headOfQueueCount += 1
        case .simple, .implicitHeadOfQueue: break
        }
    }

    func remove(_ task: SCSITask) {
        let older = unsafe task.olderInTaskSet
        let younger = unsafe task.youngerInTaskSet
        if let older { unsafe older.youngerInTaskSet = younger } else { unsafe oldest = younger }
        if let younger { unsafe younger.olderInTaskSet = older } else { unsafe youngest = older }
        unsafe task.olderInTaskSet = nil
        unsafe task.youngerInTaskSet = nil
        count -= 1
        if task.state == .blocked { blockedCount -= 1 }
        switch task.ordering {
        case .ordered: orderedCount -= 1
        case .headOfQueue: headOfQueueCount -= 1
        case .simple, .implicitHeadOfQueue: break
        }
    }

    /// Whether `task` must wait (SAM-5 8.6): SIMPLE for HEAD OF QUEUE and older ORDERED tasks, ORDERED for all
    /// HEAD OF QUEUE and all older ones.
    func holdsBack(_ task: SCSITask) -> Bool {
        switch task.ordering {
        case .headOfQueue, .implicitHeadOfQueue:
            return false
        case .simple:
            return headOfQueueCount > 0 || orderedCount > 0 && hasOlderOrdered(task)
        case .ordered:
            return unsafe headOfQueueCount > 0 || task.olderInTaskSet != nil
        }
    }

    private func hasOlderOrdered(_ task: SCSITask) -> Bool {
        var older = unsafe task.olderInTaskSet
        while let candidate = older {
            if candidate.ordering == .ordered { return true }
            older = unsafe candidate.olderInTaskSet
        }
        return false
    }

    func block(_ task: SCSITask) {
        task.state = .blocked
        blockedCount += 1
    }

    /// A blocked task that need not wait any more, now enabled; nil when there is none.
    func unblockNext() -> SCSITask? {
        guard blockedCount > 0, headOfQueueCount == 0 else { return nil }
        var next = unsafe oldest
        while let task = next {
            let isHeld = unsafe task.ordering == .ordered && task.olderInTaskSet != nil
            if task.state == .blocked && !isHeld {
                task.state = .enabled
                blockedCount -= 1
                return task
            }
            // Nothing that waits may pass an ORDERED task.
            if task.ordering == .ordered { return nil }
            next = unsafe task.youngerInTaskSet
        }
        return nil
    }

    func firstTask(where matches: (SCSITask) -> Bool) -> SCSITask? {
        var next = unsafe oldest
        while let task = next {
            if matches(task) { return task }
            next = unsafe task.youngerInTaskSet
        }
        return nil
    }

    /// For task management: every task, oldest first.
    var tasks: [SCSITask] {
        var all: [SCSITask] = []
        var next = unsafe oldest
        while let task = next {
            all.append(task)
            next = unsafe task.youngerInTaskSet
        }
        return all
    }
}

/// Tasks that may run now, in order: a queue linked through the tasks.
@safe
final class ReadyQueue {
    // Safe: as in TaskSet; a task in this queue has not ended.
    private unowned(unsafe) var head: SCSITask?
    private unowned(unsafe) var tail: SCSITask?

    func append(_ task: SCSITask) {
        unsafe task.nextReady = nil
        if let tail = unsafe tail { unsafe tail.nextReady = task } else { unsafe head = task }
        unsafe tail = task
    }

    func popFirst() -> SCSITask? {
        guard let first = unsafe head else { return nil }
        unsafe head = first.nextReady
        if unsafe head == nil { unsafe tail = nil }
        unsafe first.nextReady = nil
        return first
    }
}
