// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
internal import TargetCore

/// Counts the commands of a device, by operation and by the period in which they began. That tells when the device is
/// drained, which commands take too long, and how many there were, without a clock or a list on the data path.
///
/// There are two sets of counters, and new commands go to the younger one. At the end of a period the sets change
/// places if the older has nothing under way; what is still in it has been under way for a whole period at least.
@safe
final class CommandWatch: @unchecked Sendable {
    struct Overdue: Equatable {
        var count: Int
        var operation: String
    }

    private static let operations = [
        "read", "write", "flush", "unmap", "write same", "compare and write", "block status", "write zeroes",
        "command descriptor block", "mapped read",
    ]
    private static let setSize = 10
    private static let mappedRead = 9
    private static let ticketCount = 2 * setSize

    /// Begun commands by ticket, then ended ones. Memory of our own from init to deinit; atomics from any thread.
    private let counters: UnsafeMutablePointer<Atomic<Int>>
    private let youngerSet = Atomic<Int>(0)

    init() {
        unsafe counters = .allocate(capacity: 2 * Self.ticketCount)
        for index in 0..<(2 * Self.ticketCount) { unsafe (counters + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe counters.deinitialize(count: 2 * Self.ticketCount)
        unsafe counters.deallocate()
    }

    /// A command begins. The ticket goes to `ended`.
    ///
    /// Sequentially consistent, like the device's stage: either the command is seen by who drains the device, or it
    /// sees the stage.
    func begun(_ operation: BlockRequest.Operation) -> Int { begun(Int(operation.rawValue)) }

    func begunMappedRead() -> Int { begun(Self.mappedRead) }

    private func begun(_ place: Int) -> Int {
        let ticket = youngerSet.load(ordering: .relaxed) * Self.setSize + place
        unsafe counters[ticket].add(1, ordering: .sequentiallyConsistent)
        return ticket
    }

    func ended(_ ticket: Int) {
        unsafe counters[Self.ticketCount + ticket].add(1, ordering: .sequentiallyConsistent)
    }

    /// Never less than there are: ends are counted before beginnings.
    private func underWayCount(_ ticket: Int) -> Int {
        let ended = unsafe counters[Self.ticketCount + ticket].load(ordering: .sequentiallyConsistent)
        return unsafe counters[ticket].load(ordering: .sequentiallyConsistent) - ended
    }

    var underWayCount: Int { (0..<Self.ticketCount).reduce(0) { $0 + underWayCount($1) } }

    /// Commands begun since the device was opened.
    func begunCount(_ operation: BlockRequest.Operation) -> UInt64 { begunCount(Int(operation.rawValue)) }

    /// A command was begun that the handler was shown: a mapped read has no record.
    var hasBegun: Bool {
        (0..<Self.ticketCount).contains {
            unsafe $0 % Self.setSize != Self.mappedRead && counters[$0].load(ordering: .relaxed) > 0
        }
    }

    var begunMappedReadCount: UInt64 { begunCount(Self.mappedRead) }

    private func begunCount(_ place: Int) -> UInt64 {
        let first = unsafe counters[place].load(ordering: .relaxed)
        return unsafe UInt64(first + counters[Self.setSize + place].load(ordering: .relaxed))
    }

    /// Whether a command that is under way is one of those that `periodEnded` told of.
    func isOverdue(_ ticket: Int) -> Bool { ticket / Self.setSize != youngerSet.load(ordering: .relaxed) }

    /// Ends a period: what has been under way since before it began. When that is nothing, the sets change places.
    func periodEnded() -> [Overdue] {
        let older = 1 - youngerSet.load(ordering: .relaxed)
        let overdue = Self.operations.indices.compactMap { index -> Overdue? in
            let count = underWayCount(older * Self.setSize + index)
            return count > 0 ? Overdue(count: count, operation: Self.operations[index]) : nil
        }
        if overdue.isEmpty { youngerSet.store(older, ordering: .relaxed) }
        return overdue
    }
}
