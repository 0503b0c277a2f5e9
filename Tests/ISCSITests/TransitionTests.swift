// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

/// The transitions of RFC 7143 8.1.3, 8.2.2 and 8.3.3 by their labels, written from the standard's own lists. The tables of
/// StateMachineTests hold every event of every state; these hold that each labelled transition is there, and what it is
/// for. T1, T2 and N4 are the initiator's alone.
@Suite("States by the labels of RFC 7143")
struct TransitionTests {
    typealias Connection = ConnectionStateMachine
    typealias Session = SessionStateMachine

    struct ConnectionTransition: Sendable, CustomTestStringConvertible {
        let label: String
        let from: Connection.State
        let events: [Connection.Event]
        let to: Connection.State

        init(_ label: String, _ from: Connection.State, _ events: [Connection.Event], _ to: Connection.State) {
            self.label = label
            self.from = from
            self.events = events
            self.to = to
        }

        var testDescription: String { label }
    }

    static let connection: [ConnectionTransition] = [
        .init("T3", .free, [.transportConnected], .transportUp),
        .init("T4", .transportUp, [.loginRequestReceived], .inLogin),
        .init("T5", .inLogin, [.loginSucceeded], .loggedIn),
        // The login timer, a disconnect, a reset.
        .init("T6", .transportUp, [.loginFailed, .transportFailed, .sessionEnded], .free),
        .init("T7", .inLogin, [.loginFailed, .transportFailed, .sessionEnded], .free),
        // A logout of the session on another connection; reinstatement of the connection or the session.
        .init("T8", .loggedIn, [.sessionEnded], .free),
        .init("T9", .loggedIn, [.logoutReceived], .inLogout),
        .init("T10", .logoutRequested, [.logoutReceived], .inLogout),
        .init("T11", .loggedIn, [.logoutRequestSent], .logoutRequested),
        .init("T12", .logoutRequested, [.logoutRequestSent], .logoutRequested),
        .init("T13", .inLogout, [.logoutSucceeded, .sessionEnded], .free),
        .init("T14", .inLogout, [.logoutRequestSent], .inLogout),
        .init("T15", .loggedIn, [.transportFailed, .dropAnnounced], .cleanupWait),
        .init("T16", .logoutRequested, [.transportFailed, .dropAnnounced], .cleanupWait),
        .init("T17", .inLogout, [.logoutFailed, .transportFailed, .dropAnnounced], .cleanupWait),
        .init("T18", .logoutRequested, [.sessionEnded], .free),
        // M1: the time for it is over. M4: an explicit or implicit logout has succeeded. A logout that fails leaves the
        // connection where it is: M2 and M3 in one step, because a logout of it is answered at once.
        .init("M1", .cleanupWait, [.cleanupEnded], .free),
        .init("M2, M3", .cleanupWait, [.logoutFailed], .cleanupWait),
        .init("M2, M4", .cleanupWait, [.logoutSucceeded, .sessionEnded], .free),
    ]

    @Test("Every transition of a connection", arguments: connection)
    func connectionLine(transition: ConnectionTransition) throws {
        for event in transition.events {
            var machine = Connection()
            for step in try #require(StateMachineTests.pathsToConnection[transition.from]) { _ = machine.handle(step) }
            #expect(machine.state == transition.from)
            let action = machine.handle(event)
            #expect(machine.state == transition.to, "\(transition.label) \(event)")
            #expect(action != .protocolError, "\(transition.label) \(event)")
            // Into S1 the transport connection is always closed, into S8 its tasks are cleaned up besides.
            switch transition.to {
            case .free: #expect(action == .close, "\(transition.label) \(event)")
            case .cleanupWait where transition.from != .cleanupWait:
                #expect(action == .closeAndCleanUp, "\(transition.label) \(event)")
            case .cleanupWait, .transportUp, .inLogin, .loggedIn, .inLogout, .logoutRequested: break
            }
        }
    }

    @Test("No connection goes where RFC 7143 draws no line")
    func noOtherLines() throws {
        let drawn = Dictionary(grouping: Self.connection) { $0.from }
        for state in Connection.State.allCases {
            let targets = Set(drawn[state]?.map(\.to) ?? []).union([state])
            for event in Connection.Event.allCases {
                var machine = Connection()
                for step in try #require(StateMachineTests.pathsToConnection[state]) { _ = machine.handle(step) }
                _ = machine.handle(event)
                #expect(targets.contains(machine.state), "\(state) \(event)")
            }
        }
    }

    struct SessionTransition: Sendable, CustomTestStringConvertible {
        let label: String
        let path: [Session.Event]
        let events: [Session.Event]
        let to: Session.State
        let action: Session.Action

        init(
            _ label: String, _ path: [Session.Event], _ events: [Session.Event], _ to: Session.State,
            _ action: Session.Action
        ) {
            self.label = label
            self.path = path
            self.events = events
            self.to = to
            self.action = action
        }

        var testDescription: String { label }
    }

    private static let loggedIn: [Session.Event] = [.connectionInLogin, .connectionLoggedIn]
    private static let failed = loggedIn + [.connectionFailed]
    private static let continued = failed + [.connectionInLogin]

    static let session: [SessionTransition] = [
        .init("N1", [], [.connectionInLogin], .active, .none),
        .init("N2", [.connectionInLogin], [.connectionLoggedIn], .loggedIn(connections: 1), .none),
        .init("N3", loggedIn, [.sessionClosed, .connectionClosed], .free, .release),
        .init("N5", loggedIn, [.connectionFailed], .failed, .startRetentionTimer),
        .init("N6", failed, [.retentionExpired, .sessionClosed], .free, .release),
        .init("N7", failed, [.connectionInLogin], .inContinue, .stopRetentionTimer),
        .init("N8", continued, [.connectionLoginFailed], .failed, .startRetentionTimer),
        .init("N9", [.connectionInLogin], [.connectionLoginFailed], .free, .release),
        .init("N10", continued, [.connectionLoggedIn], .loggedIn(connections: 1), .none),
        .init("N11", continued, [.sessionClosed], .free, .release),
    ]

    @Test("Every transition of a session", arguments: session)
    func sessionLine(transition: SessionTransition) {
        for event in transition.events {
            var machine = Session()
            for step in transition.path { #expect(machine.handle(step) != .protocolError) }
            #expect(machine.handle(event) == transition.action, "\(transition.label) \(event)")
            #expect(machine.state == transition.to, "\(transition.label) \(event)")
        }
    }

    @Test("A session fails when its last connection does, and not before", arguments: 1...8)
    func lastConnection(count: Int) {
        var machine = Session()
        _ = machine.handle(.connectionInLogin)
        for _ in 0..<count { #expect(machine.handle(.connectionLoggedIn) == .none) }
        for left in (0..<count).reversed() {
            #expect(machine.handle(.connectionFailed) == (left == 0 ? .startRetentionTimer : .none))
            #expect(machine.state == (left == 0 ? .failed : .loggedIn(connections: left)))
        }
        // It goes on with one, and the others join again.
        #expect(machine.handle(.connectionInLogin) == .stopRetentionTimer)
        #expect(machine.handle(.connectionLoggedIn) == .none)
        #expect(machine.handle(.connectionLoggedIn) == .none)
        #expect(machine.state == .loggedIn(connections: 2))
    }
}
