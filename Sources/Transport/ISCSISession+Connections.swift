// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import ISCSI
internal import TargetCore

/// A connection that has gone while its session goes on, until nothing of it is left (RFC 7143 8.2, S8: CLEANUP_WAIT).
final class Departure {
    let cid: UInt16
    /// Names it: a CID may come and go again.
    let number: UInt64
    /// Its tasks wait to be reassigned; otherwise they are being ended.
    var keepsTasks: Bool
    /// Until when its tasks wait.
    var timer: TimerQueue.Identifier?
    /// Who goes on when its tasks have ended: joining connections, and requests that `ISCSISession.beginWait` let in.
    var waiting: [(owner: ISCSIConnection, action: () -> Void)] = []

    init(cid: UInt16, number: UInt64, keepsTasks: Bool) {
        self.cid = cid
        self.number = number
        self.keepsTasks = keepsTasks
    }
}

/// The connections of a session: how they join it, and how they leave it (RFC 7143 8.2 and 8.3).
extension ISCSISession {
    var hasSeveralConnections: Bool { connections.count > 1 }

    /// How a connection leaves its session.
    enum Leave {
        /// Logged out: its tasks have ended.
        case loggedOut
        /// Logged out so that its tasks go on elsewhere, or replaced by a connection of the same CID.
        case removed
        case failed
    }

    // MARK: Joining

    /// The first connection, or one that `mayJoin` let in, is in the full feature phase.
    func add(_ connection: ISCSIConnection) {
        if machine.state == .free { drive(.connectionInLogin) }
        drive(.connectionLoggedIn)
        if connections.isEmpty { context.keepNoMore(self) }
        connections.append(connection)
        visitor = connection.visitor
        connection.session = self
        if hasSeveralConnections {
            for each in connections where !each.tracksStatus {
                each.tracksStatus = true
                // Nobody has looked so far at what is acknowledged there: its last response may be on its way still.
                let hasSent = each.acknowledgedStatSN != each.statSN
                each.acknowledgedStatSN = each.statSN &- (hasSent ? 1 : 0)
            }
        }
    }

    /// A login of another loop that belongs here: its connection moves to this one.
    func join(_ handover: LoginHandover) {
        let connection = ISCSIConnection(handover, context: context)
        context.take(connection)
        guard connection.phase == .establishing else { return }
        connection.join(self, handover.outcome)
    }

    /// Whether a connection of this CID may join; nil: it may. The connection that has the CID now ends (connection
    /// reinstatement, RFC 7143 6.3.4).
    func refusal(of connection: ISCSIConnection, cid: UInt16) -> LoginStatus? {
        guard !isEnding else { return .sessionDoesNotExist }
        let others = connections.filter { $0.connectionIdentifier != cid }
        let rivals = joining.filter { $0.connectionIdentifier == cid }
        guard others.count + joining.count - rivals.count < parameters.maxConnections else {
            return .tooManyConnections
        }
        joining.append(connection)
        drive(.connectionInLogin)
        for rival in rivals { rival.close(reason: "the initiator logged in again under its connection identifier") }
        _ = end(connectionOf: cid)
        return nil
    }

    /// The connection of this CID makes room for another one. False when there is none.
    func end(connectionOf cid: UInt16) -> Bool {
        guard let old = connections.first(where: { $0.connectionIdentifier == cid }) else { return false }
        old.leave = .removed
        old.close(reason: "the initiator logged in again under its connection identifier")
        return true
    }

    /// Runs `action` when no task of the connections of this CID that have gone is being ended any more.
    func whenSettled(cid: UInt16, _ owner: ISCSIConnection, _ action: @escaping () -> Void) {
        guard let departure = departures.first(where: { $0.cid == cid && !$0.keepsTasks }) else { return action() }
        departure.waiting.append((owner, { [self] in whenSettled(cid: cid, owner, action) }))
    }

    /// A connection that was let in is in the full feature phase, or will never be.
    func endJoin(_ connection: ISCSIConnection, failed: Bool) {
        joining.removeAll { $0 === connection }
        for departure in departures { departure.waiting.removeAll { $0.owner === connection } }
        if failed, machine.state != .free { drive(.connectionLoginFailed) }
    }

    func resumeAfterGap() {
        for connection in connections { connection.resumeAfterGap() }
    }

    // MARK: Leaving

    /// `connection` is closed: nothing comes from it, and nothing more goes to it.
    func connectionEnded(_ connection: ISCSIConnection) {
        connections.removeAll { $0 === connection }
        fenceLost(connection)
        // Nobody can come back to a server that stops.
        if connections.isEmpty, context.isStopping { isEnding = true }
        departureCount += 1
        let departure = Departure(
            cid: connection.connectionIdentifier, number: departureCount,
            keepsTasks: !isEnding && connection.leave != .loggedOut && retentionMilliseconds > 0)
        for task in tasks where task.connection?.refers(to: connection) ?? false {
            task.loseConnection(departure: departure.number)
        }
        if isEnding {
            if connections.isEmpty { loseNexus() }
            return
        }
        if connections.isEmpty { context.keepUntilQuiet(self) }
        departures.append(departure)
        forgetOldDepartures()
        if departure.keepsTasks { restartRetention(departure) }
        drive(connection.leave == .loggedOut ? .connectionClosed : .connectionFailed)
        guard !isEnding else { return }
        if !departure.keepsTasks { end(departure) }
        if connection.leave == .failed { announceDrop(of: departure.cid) }
        resumeAfterGap()
    }

    /// Tells the initiator on another connection that one was lost (RFC 7143 11.9, event 2).
    private func announceDrop(of cid: UInt16) {
        connections.first?.sendAsyncMessage(
            .dropsConnection(
                cid: cid, time2WaitSeconds: UInt16(parameters.defaultTime2WaitSeconds),
                time2RetainSeconds: UInt16(retentionMilliseconds > 0 ? parameters.defaultTime2RetainSeconds : 0)))
    }

    /// How long tasks of a lost connection wait to be reassigned. Only error recovery level 2 can do that.
    var retentionMilliseconds: UInt64 {
        guard parameters.errorRecoveryLevel == 2, parameters.defaultTime2RetainSeconds > 0 else { return 0 }
        let seconds = parameters.defaultTime2WaitSeconds + parameters.defaultTime2RetainSeconds
        return UInt64(min(seconds, Self.retentionLimitSeconds)) * 1000
    }

    /// Whatever wait the initiator has asked for.
    static let retentionLimitSeconds = 60
    /// Connections that have gone and are remembered, with their tasks or without.
    private static let departureLimit = 32

    /// Of connections that come and go without end only the latest are remembered, and those whose tasks wait.
    private func forgetOldDepartures() {
        while departures.count > Self.departureLimit {
            let idle = departures.firstIndex { departure in
                departure.keepsTasks
                    && !tasks.contains {
                        $0.connection == nil && $0.phase != .free && $0.departure == departure.number
                    }
            }
            guard let idle else { return }
            departures.remove(at: idle).timer.map(context.loop.cancel)
        }
    }

    /// The tasks of a connection that has gone wait to be reassigned, from now on for the whole of the time.
    private func restartRetention(_ departure: Departure) {
        departure.timer.map(context.loop.cancel)
        departure.timer = context.loop.schedule(afterMilliseconds: retentionMilliseconds) {
            [weak self, weak departure] in
            guard let self, let departure else { return }
            departure.timer = nil
            let isLast = !departures.contains { $0.keepsTasks && $0 !== departure }
            end(departure)
            if connections.isEmpty, joining.isEmpty, isLast { drive(.retentionExpired) }
        }
    }

    /// The tasks of a connection that has gone are ended. Those who wait for it are told when they can touch no medium
    /// any more.
    private func end(_ departure: Departure) {
        departure.timer.map(context.loop.cancel)
        departure.timer = nil
        departure.keepsTasks = false
        let number = departure.number
        let isOfIt = { (task: ISCSITask) in task.connection == nil && task.departure == number }
        for task in tasks where isOfIt(task) && (task.phase == .responding || task.phase == .draining) {
            dropResponse(of: task)
        }
        let isQuiet = { [self] in
            departures.removeAll { $0 === departure }
            let waiting = departure.waiting
            departure.waiting = []
            for waiter in waiting { waiter.action() }
        }
        nexus.object.abortTasks(where: { isOfIt(Self.transportTask(of: $0)) }, completion: isQuiet)
    }

    /// Whether the tasks that lost their connection by this departure still wait to be reassigned.
    func keepsTasks(ofDeparture number: UInt64) -> Bool {
        departures.contains { $0.number == number && $0.keepsTasks }
    }

    /// Answers of connections that have gone wait in vain for another one.
    func dropKeptResponses() {
        for task in tasks where task.connection == nil && task.phase == .responding { dropResponse(of: task) }
    }

    /// Ends the tasks of connections of this CID that have gone. `done` is called when they can touch no medium any more.
    func endTasks(of cid: UInt16, for owner: ISCSIConnection, _ done: @escaping () -> Void) {
        for departure in departures where departure.cid == cid && departure.keepsTasks { end(departure) }
        whenSettled(cid: cid, owner, done)
    }

    /// Ends the tasks of a connection that is still there, and is about to be logged out.
    func endTasks(of connection: ISCSIConnection, _ done: @escaping () -> Void) {
        for task in tasks where task.connection?.refers(to: connection) ?? false && task.phase == .draining {
            drop(task)
        }
        nexus.object.abortTasks(
            where: { Self.transportTask(of: $0).connection?.refers(to: connection) ?? false }, completion: done)
    }

    /// Whether a connection of this CID is here, or its tasks are.
    func knows(cid: UInt16) -> Bool {
        connections.contains { $0.connectionIdentifier == cid } || departures.contains { $0.cid == cid }
    }

    /// A logout for recovery: from now on the tasks of the connection may be reassigned, for the whole of the time.
    func removeForRecovery(cid: UInt16) {
        for connection in connections where connection.connectionIdentifier == cid {
            connection.leave = .removed
            connection.close(reason: "its initiator goes on with its tasks on another connection")
        }
        for departure in departures where departure.cid == cid && departure.keepsTasks { restartRetention(departure) }
    }

    // MARK: The end

    /// All connections stop, and the nexus with them. In the session's loop. `isAnnounced`: the initiator is told.
    func closeAll(reason: String, isAnnounced: Bool = false) {
        isEnding = true
        for departure in departures { departure.timer.map(context.loop.cancel) }
        let all = connections
        for connection in all {
            isAnnounced ? connection.closeWithNotice(reason: reason) : connection.close(reason: reason)
        }
        if connections.isEmpty { loseNexus() }
    }

    /// Ends the session for a successor of the same name (RFC 7143 6.3.5), or because it may not be any more.
    func terminate(reason: String, _ done: (@Sendable () -> Void)?) {
        if isQuiet { return done?() ?? () }
        if let done { quietActions.append(done) }
        closeAll(reason: reason, isAnnounced: true)
    }

    /// Takes the state machine on, and does what it says.
    private func drive(_ event: SessionStateMachine.Event, reason: String = "its session has ended") {
        switch machine.handle(event) {
        case .none: break
        case .startRetentionTimer:
            // Nothing waits: the time is over already. A login that is under way goes on with the session all the same.
            if !joining.isEmpty {
                drive(.connectionInLogin)
            } else if !departures.contains(where: { $0.keepsTasks }) {
                drive(.retentionExpired)
            }
        case .stopRetentionTimer:
            // The tasks of lost connections keep their time; the session itself goes on.
            break
        case .release: closeAll(reason: reason)
        case .protocolError:
            context.diagnostics.report(.error, "session state \(machine.state) does not know \(event)")
        }
    }
}
