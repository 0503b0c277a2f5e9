// SPDX-License-Identifier: Apache-2.0

/// Deadlines in order: a binary heap. A value, so that it can be tested without a clock.
public struct TimerQueue {
    /// Names one timer; never used again.
    public struct Identifier: Hashable, Sendable {
        let number: UInt64
    }

    private struct Entry {
        let deadline: UInt64
        let number: UInt64

        func isBefore(_ other: Entry) -> Bool { (deadline, number) < (other.deadline, other.number) }
    }

    private var heap: [Entry] = []
    /// Of the timers that have neither fired nor been cancelled: what a cancelled one held is let go at once.
    private var actions: [UInt64: () -> Void] = [:]
    private var lastNumber: UInt64 = 0

    public init() {}

    /// Nanoseconds of the monotonic clock at which the next timer is due; nil when there is none.
    public var nextDeadline: UInt64? { heap.first?.deadline }

    public mutating func add(deadline: UInt64, _ action: @escaping () -> Void) -> Identifier {
        lastNumber += 1
        actions[lastNumber] = action
        heap.append(Entry(deadline: deadline, number: lastNumber))
        siftUp(heap.count - 1)
        return Identifier(number: lastNumber)
    }

    /// The timer will not fire. Harmless when it has fired already.
    public mutating func cancel(_ identifier: Identifier) {
        actions[identifier.number] = nil
        dropCancelled()
    }

    /// Takes the action of one timer that is due at `now`; nil when there is none.
    public mutating func takeDue(now: UInt64) -> (() -> Void)? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        let action = actions.removeValue(forKey: first.number)
        dropCancelled()
        return action
    }

    /// Keeps a live timer, or none, at the top. Entries of cancelled timers further down cost 16 bytes until then.
    private mutating func dropCancelled() {
        while let first = heap.first, actions[first.number] == nil { removeFirst() }
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        siftDown(0)
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].isBefore(heap[least]) { least = child }
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
