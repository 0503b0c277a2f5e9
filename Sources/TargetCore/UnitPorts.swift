// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The target ports through which a logical unit is reached: RELATIVE TARGET PORT IDENTIFIER and the target's name. A
/// unit may be in several targets, each of one port.
final class UnitPorts: Sendable {
    private struct State {
        var reachable: [UInt16: String] = [:]
        /// Of targets that saved registrations name, and that are not served, or not yet. Numbered from the top, where
        /// no configuration comes.
        var absent: [UInt16: String] = [:]
    }

    private let state = Mutex(State())

    /// The unit is in `target`. Returns the number by which its port was known until now, where that is another.
    func add(_ number: UInt16, of target: String) -> UInt16? {
        state.withLock { state in
            if state.reachable[number] == nil { state.reachable[number] = target }
            guard let old = state.absent.first(where: { $0.value == target })?.key else { return nil }
            state.absent[old] = nil
            return old
        }
    }

    /// Ascending.
    var reachable: [UInt16] { state.withLock { $0.reachable.keys.sorted() } }

    func isReachable(_ number: UInt16) -> Bool { state.withLock { $0.reachable[number] != nil } }

    /// The target of a port that was reachable once.
    func target(of number: UInt16) -> String {
        state.withLock { $0.reachable[number] ?? $0.absent[number] ?? "" }
    }

    /// The number of a target's port, be it served or not.
    func number(of target: String) -> UInt16 {
        state.withLock { state in
            let known = state.reachable.merging(state.absent) { first, _ in first }
            if let number = known.filter({ $0.value == target }).keys.min() { return number }
            var number = UInt16.max
            while known[number] != nil { number -= 1 }
            state.absent[number] = target
            return number
        }
    }
}
