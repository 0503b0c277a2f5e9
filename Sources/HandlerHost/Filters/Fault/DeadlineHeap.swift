// SPDX-License-Identifier: Apache-2.0

/// Elements by the time at which they are due; those of one time in the order of their coming. It allocates only when
/// it holds more than ever before.
public struct DeadlineHeap<Element> {
    private struct Entry {
        let deadline: UInt64
        let number: UInt64
        let element: Element

        func isBefore(_ other: Entry) -> Bool { (deadline, number) < (other.deadline, other.number) }
    }

    private var entries: [Entry] = []
    private var insertionCount: UInt64 = 0

    public init(capacity: Int = 0) { entries.reserveCapacity(capacity) }

    public var count: Int { entries.count }
    /// Of the first; nil when it is empty.
    public var earliest: UInt64? { entries.first?.deadline }

    public mutating func insert(_ element: Element, deadline: UInt64) {
        entries.append(Entry(deadline: deadline, number: insertionCount, element: element))
        insertionCount += 1
        var index = entries.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard entries[index].isBefore(entries[parent]) else { return }
            entries.swapAt(index, parent)
            index = parent
        }
    }

    /// The first, if it is due at `now`.
    public mutating func removeDue(at now: UInt64) -> Element? {
        guard let first = entries.first, first.deadline <= now else { return nil }
        let last = entries.removeLast()
        guard !entries.isEmpty else { return first.element }
        entries[0] = last
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < entries.count {
                if entries[child].isBefore(entries[least]) { least = child }
            }
            if least == index { return first.element }
            entries.swapAt(index, least)
            index = least
        }
    }
}
