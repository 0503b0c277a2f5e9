// SPDX-License-Identifier: Apache-2.0

/// The attribute by which a task is ordered: its own, unless the command is implicitly HEAD OF QUEUE.
enum TaskOrdering: UInt8, CaseIterable {
    case simple
    case ordered
    case headOfQueue
    /// Runs at once and holds back nobody.
    case implicitHeadOfQueue

    init(_ attribute: TaskAttribute) {
        switch attribute {
        case .simple, .aca: self = .simple
        case .ordered: self = .ordered
        case .headOfQueue: self = .headOfQueue
        }
    }

    /// For whom a task waits before it may run (SAM-5 8.6).
    enum Wait: UInt8 {
        case no
        /// While the other came earlier and has not ended.
        case ifOlder
        /// While the other has not ended, also if it came later.
        case always
    }

    /// The ordering matrix of a task set: whether a task (row) waits for another (column).
    ///
    /// |                       | SIMPLE | ORDERED | HEAD OF QUEUE | implicit |
    /// |-----------------------|--------|---------|---------------|----------|
    /// | SIMPLE                | no     | ifOlder | always        | no       |
    /// | ORDERED               | ifOlder| ifOlder | always        | ifOlder  |
    /// | HEAD OF QUEUE         | no     | no      | no            | no       |
    /// | implicit HEAD OF QUEUE| no     | no      | no            | no       |
    ///
    /// QUEUE ALGORITHM MODIFIER is 0001b, so that SIMPLE tasks do not wait for each other. HEAD OF QUEUE tasks run at
    /// once, the last one that came not later than those before; nothing else begins until they have ended.
    func waits(for other: TaskOrdering) -> Wait { Self.matrix[Int(rawValue)][Int(other.rawValue)] }

    private static let matrix: [[Wait]] = [
        [.no, .ifOlder, .always, .no],
        [.ifOlder, .ifOlder, .always, .ifOlder],
        [.no, .no, .no, .no],
        [.no, .no, .no, .no],
    ]
}
