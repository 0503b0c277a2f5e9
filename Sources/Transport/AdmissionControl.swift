// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// The ledger of connections for all loops, and the way to close what must make room. Locked for a few dictionary
/// look-ups at each connection's beginning, login and end; never for a command.
final class AdmissionControl: Sendable {
    /// Closes a half-open connection, from any thread.
    typealias Closer = @Sendable (UInt64) -> Void

    private struct State {
        var ledger: AdmissionLedger
        /// Of half-open connections.
        var closers: [UInt64: Closer] = [:]
        /// Nanoseconds of the monotonic clock when the operator was told last; nil: never.
        var lastTold: UInt64?
    }

    /// A flood is one line of the log in so much time.
    private static let quietNanoseconds: UInt64 = 60_000_000_000

    private let state: Mutex<State>

    init(_ limits: AdmissionLimits) { state = Mutex(State(ledger: AdmissionLedger(limits))) }

    struct Admission {
        /// Nil: refused.
        var ticket: UInt64?
        /// A limit has been reached, for the first time in a while.
        var isNews = false
    }

    func admit(_ peer: PortalAddress?, now: UInt64, closer: @escaping Closer) -> Admission {
        let address = AdmissionAddress(peer)
        var victim: (UInt64, Closer)?
        let admission = state.withLock { state in
            var admission = Admission()
            switch state.ledger.admit(address) {
            case .admitted(let ticket, let evicted):
                state.closers[ticket] = closer
                victim = evicted.flatMap { evicted in state.closers.removeValue(forKey: evicted).map { (evicted, $0) } }
                admission.ticket = ticket
                if evicted == nil { return admission }
            case .refused: break
            }
            admission.isNews = state.lastTold.map { now &- $0 >= Self.quietNanoseconds } ?? true
            if admission.isNews { state.lastTold = now }
            return admission
        }
        if let (ticket, close) = victim { close(ticket) }
        return admission
    }

    /// False when the connection has been chosen to make room: its closer has been called, or is about to be.
    func loggedIn(_ ticket: UInt64) -> Bool {
        state.withLock { state in
            state.closers[ticket] = nil
            return state.ledger.loggedIn(ticket)
        }
    }

    func closed(_ ticket: UInt64) {
        state.withLock { state in
            state.ledger.closed(ticket)
            state.closers[ticket] = nil
        }
    }

    func countRefusedSession() { state.withLock { $0.ledger.countRefusedSession() } }

    var counters: AdmissionCounters { state.withLock { $0.ledger.counters } }
}
