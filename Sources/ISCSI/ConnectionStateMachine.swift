// SPDX-License-Identifier: Apache-2.0

/// The states of one connection, the target's side (RFC 7143 8.1). S2 is the initiator's alone.
///
/// A value: it takes one event and says what to do. Every state answers every event.
public struct ConnectionStateMachine: Equatable, Sendable {
    public enum State: Sendable, CaseIterable {
        case free  // S1
        case transportUp  // S3
        case inLogin  // S4
        case loggedIn  // S5
        case inLogout  // S6
        case logoutRequested  // S7
        case cleanupWait  // S8
    }

    public enum Event: Sendable, CaseIterable {
        /// A transport connection was accepted.
        case transportConnected
        case loginRequestReceived
        /// The last Login Response, with status success, was sent.
        case loginSucceeded
        /// A Login Response with another status was sent, or the time for the login is over.
        case loginFailed
        /// The transport connection has ended or failed, or we drop it for a fault of the peer.
        case transportFailed
        /// A Logout Request for this connection or its session came.
        case logoutReceived
        /// A Logout Response with success was sent.
        case logoutSucceeded
        /// A Logout Response with another code was sent, or the time for the logout is over.
        case logoutFailed
        /// An Asynchronous Message that asks for a logout was sent.
        case logoutRequestSent
        /// An Asynchronous Message that announces the drop of this connection was sent.
        case dropAnnounced
        /// The session ended otherwise: by a logout on another connection, or by its reinstatement.
        case sessionEnded
        /// No task of the connection is left, or the time to go on with them is over.
        case cleanupEnded
    }

    public enum Action: Equatable, Sendable, CaseIterable {
        case none
        case startLoginTimer
        /// The login timer stops; the full feature phase begins.
        case enterFullFeaturePhase
        /// Close the transport connection; nothing is left of it.
        case close
        /// Close the transport connection, and end its tasks: `cleanupEnded` follows.
        case closeAndCleanUp
        /// The event cannot be in this state: the peer, or the driver, is wrong. The state is as it was.
        case protocolError
    }

    public private(set) var state = State.free

    public init() {}

    public mutating func handle(_ event: Event) -> Action {
        switch state {
        case .free: inFree(event)
        case .transportUp: inTransportUp(event)
        case .inLogin: inInLogin(event)
        case .loggedIn: inLoggedIn(event)
        case .inLogout: inInLogout(event)
        case .logoutRequested: inLogoutRequested(event)
        case .cleanupWait: inCleanupWait(event)
        }
    }

    private mutating func move(to next: State, _ action: Action) -> Action {
        state = next
        return action
    }

    private mutating func inFree(_ event: Event) -> Action {
        switch event {
        case .transportConnected: move(to: .transportUp, .startLoginTimer)  // T3
        // What was under way when the connection ended.
        case .transportFailed, .sessionEnded, .cleanupEnded: .none
        case .loginRequestReceived, .loginSucceeded, .loginFailed, .logoutReceived, .logoutSucceeded, .logoutFailed,
            .logoutRequestSent, .dropAnnounced:
            .protocolError
        }
    }

    private mutating func inTransportUp(_ event: Event) -> Action {
        switch event {
        case .loginRequestReceived: move(to: .inLogin, .none)  // T4
        case .loginFailed, .transportFailed, .sessionEnded: move(to: .free, .close)  // T6
        case .cleanupEnded: .none
        case .transportConnected, .loginSucceeded, .logoutReceived, .logoutSucceeded, .logoutFailed,
            .logoutRequestSent, .dropAnnounced:
            .protocolError
        }
    }

    private mutating func inInLogin(_ event: Event) -> Action {
        switch event {
        case .loginSucceeded: move(to: .loggedIn, .enterFullFeaturePhase)  // T5
        case .loginFailed, .transportFailed, .sessionEnded: move(to: .free, .close)  // T7
        // The negotiation goes on.
        case .loginRequestReceived, .cleanupEnded: .none
        case .transportConnected, .logoutReceived, .logoutSucceeded, .logoutFailed, .logoutRequestSent,
            .dropAnnounced:
            .protocolError
        }
    }

    private mutating func inLoggedIn(_ event: Event) -> Action {
        switch event {
        case .sessionEnded: move(to: .free, .close)  // T8
        case .logoutReceived: move(to: .inLogout, .none)  // T9
        case .logoutRequestSent: move(to: .logoutRequested, .none)  // T11
        case .transportFailed, .dropAnnounced: move(to: .cleanupWait, .closeAndCleanUp)  // T15
        case .cleanupEnded: .none
        case .transportConnected, .loginRequestReceived, .loginSucceeded, .loginFailed, .logoutSucceeded,
            .logoutFailed:
            .protocolError
        }
    }

    private mutating func inInLogout(_ event: Event) -> Action {
        switch event {
        case .logoutSucceeded, .sessionEnded: move(to: .free, .close)  // T13
        case .logoutRequestSent: .none  // T14
        case .logoutFailed, .transportFailed, .dropAnnounced: move(to: .cleanupWait, .closeAndCleanUp)  // T17
        case .cleanupEnded: .none
        case .transportConnected, .loginRequestReceived, .loginSucceeded, .loginFailed, .logoutReceived:
            .protocolError
        }
    }

    private mutating func inLogoutRequested(_ event: Event) -> Action {
        switch event {
        case .logoutReceived: move(to: .inLogout, .none)  // T10
        case .logoutRequestSent: .none  // T12
        // T16; the initiator that was asked and does not log out is dropped too.
        case .transportFailed, .dropAnnounced, .logoutFailed: move(to: .cleanupWait, .closeAndCleanUp)
        case .sessionEnded: move(to: .free, .close)  // T18
        case .cleanupEnded: .none
        case .transportConnected, .loginRequestReceived, .loginSucceeded, .loginFailed, .logoutSucceeded:
            .protocolError
        }
    }

    /// The transport connection has gone; tasks of it may still touch a medium (RFC 7143 8.2).
    private mutating func inCleanupWait(_ event: Event) -> Action {
        switch event {
        case .cleanupEnded, .sessionEnded, .logoutSucceeded: move(to: .free, .close)  // M1
        case .transportFailed, .logoutFailed, .dropAnnounced: .none
        case .transportConnected, .loginRequestReceived, .loginSucceeded, .loginFailed, .logoutReceived,
            .logoutRequestSent:
            .protocolError
        }
    }
}
