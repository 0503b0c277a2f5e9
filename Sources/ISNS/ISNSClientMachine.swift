// SPDX-License-Identifier: Apache-2.0

/// A target's side of its registration with one iSNS server, from the first connection to the deregistration.
///
/// A value: it takes one event and says what to do. Every state answers every event. One request is under way at a
/// time, and one timer runs at most. The parts that handle responses stand in a file beside this one.
public struct ISNSClientMachine: Sendable {
    public enum State: Equatable, Sendable, CaseIterable {
        /// Not begun, or nothing is there to be registered.
        case idle
        case connecting
        /// The server could not be reached, or refused: until the timer ends.
        case waiting
        /// DevAttrReg is under way.
        case registering
        /// SCNReg is under way, for one target after the other.
        case subscribing
        case registered
        /// DevAttrQry, or a refreshing DevAttrReg, is under way.
        case refreshing
        /// DevDereg is under way, the last request of all.
        case withdrawing
        case ended
    }

    public enum Event: Equatable, Sendable {
        /// What is to be registered from now on, for the first time or anew.
        case changed(ISNSRegistration)
        /// The connection stands. What is to be registered over it: portals on wildcard addresses have the address
        /// then by which we reach the server.
        case connected(ISNSRegistration)
        /// The connection could not be made, or has ended: why.
        case disconnected(String)
        /// A response of the server.
        case received(ISNSMessage)
        /// The server told of a change to one of our targets.
        case selfChanged
        case timer
        case stop
    }

    public enum Action: Equatable, Sendable {
        case connect
        case send(ISNSMessage)
        /// Close the connection: no `disconnected` follows.
        case disconnect
        /// One timer: it replaces the one that runs.
        case startTimer(milliseconds: UInt64)
        /// The timer that runs ends after this time at the latest: it never ends later for it.
        case hastenTimer(milliseconds: UInt64)
        case stopTimer
        case report(Report)
        /// Nothing more happens.
        case end
    }

    /// What an operator may want to know.
    public enum Report: Equatable, Sendable {
        case registered(entity: String, targets: Int, portals: Int, periodSeconds: UInt32)
        /// The server knew nothing of us any more.
        case forgotten(ISNSStatus)
        case lost(reason: String, retryMilliseconds: UInt64)
        case refused(ISNSFunction, ISNSStatus, retryMilliseconds: UInt64)
        case subscriptionRefused(target: String, ISNSStatus)
        case deregistered
        /// The server did not answer, or refused, at the end.
        case notDeregistered(String)
    }

    /// How long a response may take.
    public static let responseMilliseconds: UInt64 = 10_000
    /// How long the response to the deregistration may take: the server's stop waits for it.
    public static let withdrawalMilliseconds: UInt64 = 2_000
    /// The first wait before another attempt; each is twice as long as the one before it, up to the longest.
    public static let firstRetryMilliseconds: UInt64 = 1_000
    public static let longestRetryMilliseconds: UInt64 = 60_000
    /// After news of one of our own targets, until the server is asked.
    public static let newsMilliseconds: UInt64 = 1_000
    /// A registration is refreshed so many times in its period, at the latest after the second.
    static let refreshesPerPeriod: UInt64 = 3
    static let longestRefreshMilliseconds: UInt64 = 300_000
    static let shortestRefreshMilliseconds: UInt64 = 500

    public internal(set) var state = State.idle
    /// What the server has, or is to have.
    public internal(set) var registration: ISNSRegistration?
    /// Granted by the server.
    public internal(set) var periodSeconds: UInt32 = 0
    /// The server's last refusal, until it accepts.
    public internal(set) var refusal: ISNSStatus?

    /// Of the request under way.
    var transaction: UInt16 = 0
    var retryMilliseconds = Self.firstRetryMilliseconds
    /// Targets whose SCNReg is still to come.
    var subscriptions: [String] = []
    /// Another registration is to be sent as soon as the request under way has its answer.
    var isOutdated = false
    /// A server that does not show us to ourselves is refreshed by registering again (discovery domains may hide us).
    var refreshesByRegistering = false
    /// No query has been answered since the registration.
    var isUnproven = false
    var isConnected = false

    public init() {}

    public mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .changed(let registration): changed(registration)
        case .connected(let registration): connected(registration)
        case .disconnected(let reason): disconnected(reason)
        case .received(let message): received(message)
        case .selfChanged: selfChanged()
        case .timer: timerEnded()
        case .stop: stop()
        }
    }

    // MARK: Events

    private mutating func changed(_ registration: ISNSRegistration) -> [Action] {
        guard registration != self.registration || state == .idle else {
            // A change that waited is taken back.
            pending = nil
            isOutdated = false
            return []
        }
        switch state {
        case .idle:
            self.registration = registration
            return registration.targets.isEmpty ? [] : connect()
        case .connecting, .waiting:
            self.registration = registration
            guard registration.targets.isEmpty else { return [] }
            state = .idle
            return [.disconnect, .stopTimer]
        case .registered:
            return register(registration)
        case .registering, .subscribing, .refreshing:
            self.pending = registration
            isOutdated = true
            return []
        case .withdrawing, .ended: return []
        }
    }

    /// Waits for the request under way to be answered.
    var pending: ISNSRegistration?

    private mutating func connected(_ registration: ISNSRegistration) -> [Action] {
        switch state {
        case .connecting:
            isConnected = true
            return register(registration)
        case .idle, .waiting, .registering, .subscribing, .registered, .refreshing, .withdrawing, .ended: return []
        }
    }

    private mutating func disconnected(_ reason: String) -> [Action] {
        isConnected = false
        switch state {
        case .connecting, .registering, .subscribing, .registered, .refreshing: return retryLater(reason)
        case .withdrawing: return end(.notDeregistered(reason))
        case .idle, .waiting, .ended: return []
        }
    }

    private mutating func selfChanged() -> [Action] {
        switch state {
        // However often there are news: the registration is refreshed no later than it would have been without.
        case .registered: [.hastenTimer(milliseconds: Self.newsMilliseconds)]
        // What is under way will tell.
        case .idle, .connecting, .waiting, .registering, .subscribing, .refreshing, .withdrawing, .ended: []
        }
    }

    private mutating func timerEnded() -> [Action] {
        switch state {
        case .waiting: return connect()
        case .registered: return refresh()
        case .connecting, .registering, .subscribing, .refreshing:
            return [.disconnect] + retryLater("it did not answer within \(Self.responseMilliseconds / 1000) s")
        case .withdrawing:
            return end(.notDeregistered("it did not answer within \(Self.withdrawalMilliseconds / 1000) s"))
        case .idle, .ended: return []
        }
    }

    private mutating func stop() -> [Action] {
        switch state {
        case .subscribing, .registered, .refreshing, .registering:
            guard let registration else { return end(nil) }
            state = .withdrawing
            return request(registration.deregisterRequest(transaction: nextTransaction()))
        case .idle, .connecting, .waiting: return end(nil)
        case .withdrawing, .ended: return []
        }
    }

    // MARK: Steps

    mutating func nextTransaction() -> UInt16 {
        transaction &+= 1
        return transaction
    }

    func request(_ message: ISNSMessage) -> [Action] {
        let limit = state == .withdrawing ? Self.withdrawalMilliseconds : Self.responseMilliseconds
        return [.send(message), .startTimer(milliseconds: limit)]
    }

    private mutating func connect() -> [Action] {
        state = .connecting
        return [.connect, .startTimer(milliseconds: Self.responseMilliseconds)]
    }

    /// Of an empty registration nothing is left with the server.
    mutating func register(_ registration: ISNSRegistration) -> [Action] {
        let previous = self.registration
        self.registration = registration
        pending = nil
        isOutdated = false
        guard !registration.targets.isEmpty else {
            state = .idle
            isConnected = false
            let removal = previous.map { [Action.send($0.deregisterRequest(transaction: nextTransaction()))] } ?? []
            return removal + [.disconnect, .stopTimer]
        }
        state = .registering
        isUnproven = true
        return request(registration.registerRequest(transaction: nextTransaction(), replaces: true))
    }

    mutating func refresh() -> [Action] {
        guard let registration else { return [] }
        state = .refreshing
        return request(
            refreshesByRegistering
                ? registration.registerRequest(transaction: nextTransaction(), replaces: false)
                : registration.queryRequest(transaction: nextTransaction()))
    }

    mutating func retryLater(_ reason: String) -> [Action] {
        let report = Report.lost(reason: reason, retryMilliseconds: retryMilliseconds)
        return wait(report)
    }

    /// Another attempt after a while, over a new connection.
    mutating func wait(_ report: Report) -> [Action] {
        let milliseconds = retryMilliseconds
        state = .waiting
        isConnected = false
        subscriptions = []
        if let pending { registration = pending }
        pending = nil
        isOutdated = false
        retryMilliseconds = min(retryMilliseconds * 2, Self.longestRetryMilliseconds)
        return [.report(report), .startTimer(milliseconds: milliseconds)]
    }

    mutating func end(_ report: Report?) -> [Action] {
        state = .ended
        isConnected = false
        return (report.map { [.report($0)] } ?? []) + [.disconnect, .stopTimer, .end]
    }
}
