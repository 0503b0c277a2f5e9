// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
internal import TargetCore

/// Counts the commands under way of a device, by operation and by the period in which they began. That tells when the
/// device is drained, and which commands take too long, without a clock or a list on the data path.
///
/// There are two sets of counters, and new commands go to the younger one. At the end of a period the sets change
/// places if the older is empty; what is still in it has been under way for a whole period at least.
@safe
final class CommandWatch: @unchecked Sendable {
    struct Overdue: Equatable {
        var count: Int
        var operation: String
    }

    private static let operations = [
        "read", "write", "flush", "unmap", "write same", "compare and write", "block status",
        "command descriptor block",
    ]
    private static let setSize = 8

    // Memory of our own from init to deinit; atomics from any thread.
    private let counters: UnsafeMutablePointer<Atomic<Int>>
    private let youngerSet = Atomic<Int>(0)

    init() {
        unsafe counters = .allocate(capacity: 2 * Self.setSize)
        for index in 0..<(2 * Self.setSize) { unsafe (counters + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe counters.deinitialize(count: 2 * Self.setSize)
        unsafe counters.deallocate()
    }

    /// A command begins. The ticket goes to `ended`.
    ///
    /// Sequentially consistent, like the device's stage: either the command is seen by who drains the device, or it
    /// sees the stage.
    func begun(_ operation: BlockRequest.Operation) -> Int {
        let ticket = youngerSet.load(ordering: .relaxed) * Self.setSize + Int(operation.rawValue)
        unsafe counters[ticket].add(1, ordering: .sequentiallyConsistent)
        return ticket
    }

    func ended(_ ticket: Int) {
        unsafe counters[ticket].subtract(1, ordering: .sequentiallyConsistent)
    }

    var underWayCount: Int {
        (0..<(2 * Self.setSize)).reduce(0) { sum, index in
            unsafe sum + counters[index].load(ordering: .sequentiallyConsistent)
        }
    }

    /// Ends a period: what has been under way since before it began. When that is nothing, the sets change places.
    func periodEnded() -> [Overdue] {
        let older = 1 - youngerSet.load(ordering: .relaxed)
        let overdue = Self.operations.indices.compactMap { index -> Overdue? in
            let count = unsafe counters[older * Self.setSize + index].load(ordering: .relaxed)
            return count > 0 ? Overdue(count: count, operation: Self.operations[index]) : nil
        }
        if overdue.isEmpty { youngerSet.store(older, ordering: .relaxed) }
        return overdue
    }
}
