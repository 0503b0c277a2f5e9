// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import ISCSI
internal import TargetCore

/// How a connection ends: after what is queued, with the server, or at once.
extension ISCSIConnection {
    /// Sends what is queued, then closes.
    func closeAfterFlush() {
        guard phase != .closing, phase != .closed else { return }
        phase = .closing
        cancelTimer()
        timer = context.loop.schedule(afterMilliseconds: context.server.configuration.loginTimeoutMilliseconds) {
            [self] in
            timer = nil
            close(reason: "it did not take its last responses")
        }
        updateInterest()
        planFlush()
    }

    /// The server stops: the initiator is asked to log out (RFC 7143 11.9, event 1). When the time for that is over
    /// commands under way end, and the connection is closed.
    func shutDown() {
        guard session != nil, phase == .fullFeature else { return close(reason: "the server stops") }
        let configuration = context.server.configuration
        // What is under way must have its time too.
        let milliseconds = min(configuration.logoutWaitMilliseconds, configuration.stopTimeoutMilliseconds / 2)
        guard milliseconds > 0 else { return finishShutDown() }
        sendAsyncMessage(.requestsLogout(timeSeconds: UInt16(clamping: max(1, milliseconds / 1000))))
        drive(.logoutRequestSent)
        cancelTimer()
        timer = context.loop.schedule(afterMilliseconds: milliseconds) { [self] in
            timer = nil
            finishShutDown()
        }
    }

    private func finishShutDown() {
        guard let session, phase == .fullFeature else { return }
        stopReading()
        // Nobody acknowledges any more, and nobody will come back: nothing is kept for them.
        session.isEnding = true
        while shedRetained() {}
        retention = nil
        session.dropKeptResponses()
        // What waits for data waits in vain from here on.
        session.dropIncompleteTasks()
        session.whenIdle { [self] in closeAfterFlush() }
    }

    /// Closes at once, and tells the initiator that the whole session goes (event 3), as far as the socket takes it.
    func closeWithNotice(reason: String) {
        stopReading()
        sendAsyncMessage(.dropsAllConnections(time2WaitSeconds: 0, time2RetainSeconds: 0))
        flush()
        close(reason: reason)
    }

    /// Closes at once. Commands under way are aborted, or wait for another connection; what they touch is quiet when
    /// their session says so.
    func close(reason: String, isPeersFault: Bool = false) {
        guard phase != .closed else { return }
        let wasLoggedIn = phase == .fullFeature
        if isPeersFault { context.totals.protocolErrorCount += 1 }
        context.diagnostics.report(
            isPeersFault ? .warning : (wasLoggedIn ? .info : .debug),
            "connection from \(peer?.description ?? "unknown") closed: \(reason)")
        drive(leave == .loggedOut ? .sessionEnded : .transportFailed)
        close(handedOver: false)
    }

    /// Lets go of all that it has. `handedOver`: its socket goes on in another loop.
    func close(handedOver: Bool) {
        phase = .closed
        cancelTimer()
        for wait in managementWaits {
            wait.timer.map(context.loop.cancel)
            order.withdraw(wait)
        }
        managementWaits.removeAll()
        // From here on the kernel writes into no command's buffer.
        stream?.close()
        stream = nil
        // Of a data segment that has not come whole nobody knows what is right.
        if let segment, !segment.placement.isEmpty { segment.task?.use { $0.write?.lose(segment.placement) } }
        segment = nil
        input.giveBack(to: context.pool)
        coalescer.discard()
        retention = nil
        held.forget(self)
        heldUntil = .max
        context.latencies.forget(&sampledResponses)
        outbox.removeAll()
        if let session {
            self.session = nil
            session.connectionEnded(self)
        }
        if let joining {
            self.joining = nil
            joining.endJoin(self, failed: true)
        }
        if let discoveryHandle { context.server.directory.release(discoveryHandle) }
        discoveryHandle = nil
        if handedOver { return context.giveAway(self) }
        // A timer or a login that waits may hold the connection for a while: the descriptor goes now.
        socket.shutdown()
        socket.close()
        context.forget(self)
    }

    /// Takes the state machine on. What it says to do is done by the caller: the states name what happens.
    func drive(_ event: ConnectionStateMachine.Event) {
        guard machine.handle(event) == .protocolError else { return }
        context.diagnostics.report(.error, "connection state \(machine.state) does not know \(event)")
    }
}
