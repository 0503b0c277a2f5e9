// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("Connection and session states")
struct StateMachineTests {
    /// Events that lead from the start to each state.
    static let pathsToConnection: [ConnectionStateMachine.State: [ConnectionStateMachine.Event]] = [
        .free: [],
        .transportUp: [.transportConnected],
        .inLogin: [.transportConnected, .loginRequestReceived],
        .loggedIn: [.transportConnected, .loginRequestReceived, .loginSucceeded],
        .inLogout: [.transportConnected, .loginRequestReceived, .loginSucceeded, .logoutReceived],
        .logoutRequested: [.transportConnected, .loginRequestReceived, .loginSucceeded, .logoutRequestSent],
        .cleanupWait: [.transportConnected, .loginRequestReceived, .loginSucceeded, .transportFailed],
    ]

    typealias Row = (
        event: ConnectionStateMachine.Event, next: ConnectionStateMachine.State, action: ConnectionStateMachine.Action
    )

    /// What each state does with the events that it takes. All others are protocol errors and change nothing.
    static let connection: [ConnectionStateMachine.State: [Row]] = [
        .free: [
            (.transportConnected, .transportUp, .startLoginTimer), (.transportFailed, .free, .none),
            (.sessionEnded, .free, .none), (.cleanupEnded, .free, .none),
        ],
        .transportUp: [
            (.loginRequestReceived, .inLogin, .none), (.loginFailed, .free, .close),
            (.transportFailed, .free, .close), (.sessionEnded, .free, .close), (.cleanupEnded, .transportUp, .none),
        ],
        .inLogin: [
            (.loginSucceeded, .loggedIn, .enterFullFeaturePhase), (.loginFailed, .free, .close),
            (.transportFailed, .free, .close), (.sessionEnded, .free, .close),
            (.loginRequestReceived, .inLogin, .none), (.cleanupEnded, .inLogin, .none),
        ],
        .loggedIn: [
            (.sessionEnded, .free, .close), (.logoutReceived, .inLogout, .none),
            (.logoutRequestSent, .logoutRequested, .none), (.transportFailed, .cleanupWait, .closeAndCleanUp),
            (.dropAnnounced, .cleanupWait, .closeAndCleanUp), (.cleanupEnded, .loggedIn, .none),
        ],
        .inLogout: [
            (.logoutSucceeded, .free, .close), (.sessionEnded, .free, .close), (.logoutRequestSent, .inLogout, .none),
            (.logoutFailed, .cleanupWait, .closeAndCleanUp), (.transportFailed, .cleanupWait, .closeAndCleanUp),
            (.dropAnnounced, .cleanupWait, .closeAndCleanUp), (.cleanupEnded, .inLogout, .none),
        ],
        .logoutRequested: [
            (.logoutReceived, .inLogout, .none), (.logoutRequestSent, .logoutRequested, .none),
            (.transportFailed, .cleanupWait, .closeAndCleanUp), (.dropAnnounced, .cleanupWait, .closeAndCleanUp),
            (.logoutFailed, .cleanupWait, .closeAndCleanUp), (.sessionEnded, .free, .close),
            (.cleanupEnded, .logoutRequested, .none),
        ],
        .cleanupWait: [
            (.cleanupEnded, .free, .close), (.sessionEnded, .free, .close), (.logoutSucceeded, .free, .close),
            (.transportFailed, .cleanupWait, .none), (.logoutFailed, .cleanupWait, .none),
            (.dropAnnounced, .cleanupWait, .none),
        ],
    ]

    @Test("Each state of a connection answers each event", arguments: ConnectionStateMachine.State.allCases)
    func connectionStates(state: ConnectionStateMachine.State) throws {
        let rows = try #require(Self.connection[state])
        for event in ConnectionStateMachine.Event.allCases {
            var machine = ConnectionStateMachine()
            for step in try #require(Self.pathsToConnection[state]) {
                #expect(machine.handle(step) != .protocolError)
            }
            #expect(machine.state == state)
            let action = machine.handle(event)
            if let row = rows.first(where: { $0.event == event }) {
                #expect(machine.state == row.next, "\(state) \(event)")
                #expect(action == row.action, "\(state) \(event)")
            } else {
                #expect(action == .protocolError, "\(state) \(event)")
                #expect(machine.state == state, "\(state) \(event)")
            }
        }
    }

    typealias SessionRow = (
        event: SessionStateMachine.Event, next: SessionStateMachine.State, action: SessionStateMachine.Action
    )

    /// Events that lead to a state, the state, and what it does with the events that it takes.
    static let session: [(path: [SessionStateMachine.Event], state: SessionStateMachine.State, rows: [SessionRow])] = [
        (
            [], .free,
            [
                (.connectionInLogin, .active, .none), (.sessionClosed, .free, .none),
                (.retentionExpired, .free, .none),
            ]
        ),
        (
            [.connectionInLogin], .active,
            [
                (.connectionLoggedIn, .loggedIn(connections: 1), .none),
                (.connectionLoginFailed, .free, .release), (.sessionClosed, .free, .release),
                (.connectionInLogin, .active, .none), (.retentionExpired, .active, .none),
            ]
        ),
        (
            [.connectionInLogin, .connectionLoggedIn], .loggedIn(connections: 1),
            [
                (.connectionLoggedIn, .loggedIn(connections: 2), .none), (.connectionClosed, .free, .release),
                (.connectionFailed, .failed, .startRetentionTimer), (.sessionClosed, .free, .release),
                (.connectionInLogin, .loggedIn(connections: 1), .none),
                (.connectionLoginFailed, .loggedIn(connections: 1), .none),
                (.retentionExpired, .loggedIn(connections: 1), .none),
            ]
        ),
        (
            [.connectionInLogin, .connectionLoggedIn, .connectionLoggedIn], .loggedIn(connections: 2),
            [
                (.connectionLoggedIn, .loggedIn(connections: 3), .none),
                (.connectionClosed, .loggedIn(connections: 1), .none),
                (.connectionFailed, .loggedIn(connections: 1), .none), (.sessionClosed, .free, .release),
                (.connectionInLogin, .loggedIn(connections: 2), .none),
                (.connectionLoginFailed, .loggedIn(connections: 2), .none),
                (.retentionExpired, .loggedIn(connections: 2), .none),
            ]
        ),
        (
            [.connectionInLogin, .connectionLoggedIn, .connectionFailed], .failed,
            [
                (.retentionExpired, .free, .release), (.sessionClosed, .free, .release),
                (.connectionInLogin, .inContinue, .stopRetentionTimer), (.connectionLoginFailed, .failed, .none),
            ]
        ),
        (
            [.connectionInLogin, .connectionLoggedIn, .connectionFailed, .connectionInLogin], .inContinue,
            [
                (.connectionLoggedIn, .loggedIn(connections: 1), .none),
                (.connectionLoginFailed, .failed, .startRetentionTimer), (.sessionClosed, .free, .release),
                (.connectionInLogin, .inContinue, .none), (.retentionExpired, .inContinue, .none),
            ]
        ),
    ]

    @Test("Each state of a session answers each event", arguments: session.indices)
    func sessionStates(index: Int) {
        let (path, state, rows) = Self.session[index]
        for event in SessionStateMachine.Event.allCases {
            var machine = SessionStateMachine()
            for step in path { #expect(machine.handle(step) != .protocolError) }
            #expect(machine.state == state)
            let action = machine.handle(event)
            if let row = rows.first(where: { $0.event == event }) {
                #expect(machine.state == row.next, "\(state) \(event)")
                #expect(action == row.action, "\(state) \(event)")
            } else {
                #expect(action == .protocolError, "\(state) \(event)")
                #expect(machine.state == state, "\(state) \(event)")
            }
        }
    }
}
