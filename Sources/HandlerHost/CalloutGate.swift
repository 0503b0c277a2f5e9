// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Synchronization

/// Lets threads into callouts that belong to no command, such as `submit`, and keeps them out while the store is
/// closed: who closes it waits for those inside, so such callouts must not block.
struct CalloutGate: ~Copyable {
    /// The sign tells that the gate is closed, the rest how many are inside.
    private static let closed = Int.min
    private let state = Atomic<Int>(closed)

    /// False when the gate is closed. Otherwise `leave` follows.
    borrowing func enter() -> Bool {
        if state.add(1, ordering: .acquiring).newValue >= 0 { return true }
        leave()
        return false
    }

    borrowing func leave() { state.subtract(1, ordering: .releasing) }

    /// The gate is closed; nobody opens it twice.
    borrowing func open() { state.bitwiseAnd(~Self.closed, ordering: .releasing) }

    /// Returns once nobody is inside. Safe to call again.
    borrowing func close() {
        state.bitwiseOr(Self.closed, ordering: .acquiringAndReleasing)
        while state.load(ordering: .acquiring) != Self.closed { sched_yield() }
    }
}
