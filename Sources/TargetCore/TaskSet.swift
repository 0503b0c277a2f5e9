// SPDX-License-Identifier: Apache-2.0

/// The tasks of one I_T nexus for one logical unit, oldest first (SAM-5 8; the Control mode page says TST 001b).
///
/// A list linked through the tasks, so that entering and leaving cost no memory. All of it belongs to the nexus's loop.
final class TaskSet {
    // Borrowed: the transport keeps a task alive until it is told of its end, and a task leaves the list before that.
    private var oldest: Borrowed<SCSITask>?
    private var youngest: Borrowed<SCSITask>?
    private(set) var count = 0
    private var orderedCount = 0
    private var headOfQueueCount = 0
    private(set) var blockedCount = 0

    func append(_ task: SCSITask) {
        task.olderInTaskSet = youngest
        task.youngerInTaskSet = nil
        let link = Borrowed(task)
        if let youngest { youngest.use { $0.youngerInTaskSet = link } } else { oldest = link }
        youngest = link
        count += 1
        switch task.ordering {
        case .ordered: orderedCount += 1
        case .headOfQueue: headOfQueueCount += 1
        case .simple, .implicitHeadOfQueue: break
        }
    }

    func remove(_ task: SCSITask) {
        let older = task.olderInTaskSet
        let younger = task.youngerInTaskSet
        if let older { older.use { $0.youngerInTaskSet = younger } } else { oldest = younger }
        if let younger { younger.use { $0.olderInTaskSet = older } } else { youngest = older }
        task.olderInTaskSet = nil
        task.youngerInTaskSet = nil
        count -= 1
        if task.state == .blocked { blockedCount -= 1 }
        switch task.ordering {
        case .ordered: orderedCount -= 1
        case .headOfQueue: headOfQueueCount -= 1
        case .simple, .implicitHeadOfQueue: break
        }
    }

    /// Whether `task` must wait, by the ordering matrix. A set of SIMPLE tasks alone, which is nearly every one, is not
    /// gone through.
    func holdsBack(_ task: SCSITask) -> Bool {
        switch task.ordering {
        case .headOfQueue, .implicitHeadOfQueue: false
        case .simple: isOrdered && mustWait(task)
        case .ordered: mustWait(task)
        }
    }

    private func mustWait(_ task: SCSITask) -> Bool {
        var isOlder = true
        var next = oldest?.object
        while let other = next {
            if other === task {
                isOlder = false
            } else {
                switch task.ordering.waits(for: other.ordering) {
                case .no: break
                case .ifOlder: if isOlder { return true }
                case .always: return true
                }
            }
            next = other.youngerInTaskSet?.object
        }
        return false
    }

    /// Some task here is before or after others by its attribute.
    var isOrdered: Bool { orderedCount > 0 || headOfQueueCount > 0 }

    func block(_ task: SCSITask) {
        task.state = .blocked
        blockedCount += 1
    }

    /// A blocked task that need not wait any more, now enabled; nil when there is none.
    func unblockNext() -> Borrowed<SCSITask>? {
        guard blockedCount > 0, headOfQueueCount == 0 else { return nil }
        var next = oldest?.object
        while let task = next {
            if task.state == .blocked, !mustWait(task) {
                task.state = .enabled
                blockedCount -= 1
                return Borrowed(task)
            }
            // Nothing that waits may pass an ORDERED task.
            if task.ordering == .ordered { return nil }
            next = task.youngerInTaskSet?.object
        }
        return nil
    }

    func firstTask(where matches: (SCSITask) -> Bool) -> SCSITask? {
        var next = oldest?.object
        while let task = next {
            if matches(task) { return task }
            next = task.youngerInTaskSet?.object
        }
        return nil
    }

    /// For task management: every task, oldest first.
    var tasks: [SCSITask] {
        var all: [SCSITask] = []
        var next = oldest?.object
        while let task = next {
            all.append(task)
            next = task.youngerInTaskSet?.object
        }
        return all
    }
}

/// Tasks that may run now, in order: a queue linked through the tasks.
final class ReadyQueue {
    // Borrowed, as in TaskSet; a task in this queue has not ended.
    private var head: Borrowed<SCSITask>?
    private var tail: Borrowed<SCSITask>?

    func append(_ task: SCSITask) {
        task.nextReady = nil
        let link = Borrowed(task)
        if let tail { tail.use { $0.nextReady = link } } else { head = link }
        tail = link
    }

    func popFirst() -> Borrowed<SCSITask>? {
        guard let first = head else { return nil }
        head = first.use { task in
            let next = task.nextReady
            task.nextReady = nil
            return next
        }
        if head == nil { tail = nil }
        return first
    }
}
