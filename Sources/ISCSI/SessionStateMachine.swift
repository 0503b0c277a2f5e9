// SPDX-License-Identifier: Apache-2.0

/// The states of one session, the target's side (RFC 7143 8.3).
///
/// A value: it takes one event and says what to do. Every state answers every event.
public struct SessionStateMachine: Equatable, Sendable {
    public enum State: Equatable, Sendable {
        case free  // Q1
        case active  // Q2
        /// `connections` of it, 1 or more, are in the full feature phase.
        case loggedIn(connections: Int)  // Q3
        case failed  // Q4
        case inContinue  // Q5
    }

    public enum Event: Sendable, CaseIterable {
        /// A connection of the session is in its login.
        case connectionInLogin
        case connectionLoggedIn
        /// The login of a connection failed.
        case connectionLoginFailed
        /// A connection in the full feature phase was logged out.
        case connectionClosed
        /// A connection in the full feature phase was lost.
        case connectionFailed
        /// A logout closed the session, or another session of its name takes its place.
        case sessionClosed
        /// DefaultTime2Retain is over.
        case retentionExpired
    }

    public enum Action: Equatable, Sendable, CaseIterable {
        case none
        /// Nothing is left of the session but its tasks, for DefaultTime2Retain seconds.
        case startRetentionTimer
        case stopRetentionTimer
        /// End its tasks and forget it. A retention timer stops.
        case release
        /// The event cannot be in this state: the driver is wrong. The state is as it was.
        case protocolError
    }

    public private(set) var state = State.free

    public init() {}

    public mutating func handle(_ event: Event) -> Action {
        switch state {
        case .free: inFree(event)
        case .active: inActive(event)
        case .loggedIn(let connections): inLoggedIn(connections, event)
        case .failed: inFailed(event)
        case .inContinue: inInContinue(event)
        }
    }

    private mutating func move(to next: State, _ action: Action) -> Action {
        state = next
        return action
    }

    private mutating func inFree(_ event: Event) -> Action {
        switch event {
        case .connectionInLogin: move(to: .active, .none)  // N1
        case .sessionClosed, .retentionExpired: .none
        case .connectionLoggedIn, .connectionLoginFailed, .connectionClosed, .connectionFailed: .protocolError
        }
    }

    private mutating func inActive(_ event: Event) -> Action {
        switch event {
        case .connectionLoggedIn: move(to: .loggedIn(connections: 1), .none)  // N2
        case .connectionLoginFailed: move(to: .free, .release)  // N9
        case .sessionClosed: move(to: .free, .release)  // N9
        case .connectionInLogin, .retentionExpired: .none
        case .connectionClosed, .connectionFailed: .protocolError
        }
    }

    private mutating func inLoggedIn(_ connections: Int, _ event: Event) -> Action {
        switch event {
        case .connectionLoggedIn: move(to: .loggedIn(connections: connections + 1), .none)
        case .connectionClosed where connections == 1: move(to: .free, .release)  // N3
        case .connectionFailed where connections == 1: move(to: .failed, .startRetentionTimer)  // N5
        case .connectionClosed, .connectionFailed: move(to: .loggedIn(connections: connections - 1), .none)
        case .sessionClosed: move(to: .free, .release)  // N3
        case .connectionInLogin, .connectionLoginFailed, .retentionExpired: .none
        }
    }

    private mutating func inFailed(_ event: Event) -> Action {
        switch event {
        case .retentionExpired, .sessionClosed: move(to: .free, .release)  // N6
        case .connectionInLogin: move(to: .inContinue, .stopRetentionTimer)  // N7
        case .connectionLoginFailed: .none
        case .connectionLoggedIn, .connectionClosed, .connectionFailed: .protocolError
        }
    }

    private mutating func inInContinue(_ event: Event) -> Action {
        switch event {
        case .connectionLoggedIn: move(to: .loggedIn(connections: 1), .none)  // N10
        case .connectionLoginFailed: move(to: .failed, .startRetentionTimer)  // N8
        case .sessionClosed: move(to: .free, .release)  // N11
        case .connectionInLogin, .retentionExpired: .none
        case .connectionClosed, .connectionFailed: .protocolError
        }
    }
}
