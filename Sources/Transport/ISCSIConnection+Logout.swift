// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import TargetCore

/// Logout Requests (RFC 7143 11.14, 11.15). Nothing of what is logged out may touch a medium once the answer is sent.
extension ISCSIConnection {
    func logout(_ pdu: ReceivedPDU) throws(PDUError) {
        let request = try LogoutRequestPDU(pdu.header)
        let outcome = request.outcome(
            onConnection: connectionIdentifier, errorRecoveryLevel: session?.parameters.errorRecoveryLevel ?? 0,
            isKnown: { cid in session?.knows(cid: cid) ?? false })
        switch outcome {
        case .refuse(let code):
            answer(request, code)
        case .closeSession:
            closeSession(request)
        case .closeConnection(let cid):
            try closeConnection(cid, request)
        case .removeForRecovery(let cid):
            removeForRecovery(cid, request)
        }
    }

    private func closeSession(_ request: LogoutRequestPDU) {
        guard let session else { return leave(request) }
        session.isEnding = true
        for connection in session.connections { connection.beginLogout() }
        session.nexus.object.close { [self] in
            guard phase == .fullFeature else {
                return session.closeAll(reason: "its initiator has logged out")
            }
            answer(request, .closedSuccessfully) { [self] in
                for other in session.connections where other !== self { other.closeLoggedOut() }
                closeLoggedOut()
            }
        }
    }

    private func closeConnection(_ cid: UInt16, _ request: LogoutRequestPDU) throws(PDUError) {
        guard let session else { return leave(request) }
        // With its last connection the session ends (N3).
        if cid == connectionIdentifier, !session.hasSeveralConnections { return closeSession(request) }
        guard session.beginWait() else { throw .reject(.immediateCommandReject) }
        guard let connection = session.connections.first(where: { $0.connectionIdentifier == cid }) else {
            return session.endTasks(of: cid, for: self) { [self] in
                session.endWait()
                answer(request, .closedSuccessfully)
            }
        }
        connection.beginLogout()
        session.endTasks(of: connection) { [self] in
            session.endWait()
            if connection === self { return leave(request) }
            connection.closeLoggedOut()
            answer(request, .closedSuccessfully)
        }
    }

    /// The tasks of the connection wait to be reassigned; DefaultTime2Retain begins anew.
    private func removeForRecovery(_ cid: UInt16, _ request: LogoutRequestPDU) {
        guard let session else { return }
        guard cid == connectionIdentifier else {
            session.removeForRecovery(cid: cid)
            return answer(request, .closedSuccessfully)
        }
        beginLogout()
        answer(request, .closedSuccessfully) { [self] in
            leave = .removed
            closeAfterFlush()
        }
    }

    /// The request's own connection, of which nothing is under way any more.
    private func leave(_ request: LogoutRequestPDU) {
        guard phase == .fullFeature else { return }
        answer(request, .closedSuccessfully) { [self] in closeLoggedOut() }
    }

    /// Takes no more requests.
    private func beginLogout() {
        guard phase == .fullFeature, !isReadStopped else { return }
        drive(.logoutReceived)
        stopReading()
    }

    private func closeLoggedOut() {
        leave = .loggedOut
        closeAfterFlush()
    }

    private func answer(
        _ request: LogoutRequestPDU, _ response: LogoutResponseCode, whenQueued: @escaping () -> Void = {}
    ) {
        guard phase == .fullFeature else { return }
        let parameters = session?.parameters
        let keepsTasks = request.reason == .removeConnectionForRecovery && response == .closedSuccessfully
        enqueue(
            Outbox.ControlPDU(advancesStatSN: true, whenQueued: whenQueued) { numbers in
                LogoutResponsePDU(
                    response: response, initiatorTaskTag: request.initiatorTaskTag, numbers: numbers,
                    time2WaitSeconds: UInt16(keepsTasks ? parameters?.defaultTime2WaitSeconds ?? 0 : 0),
                    time2RetainSeconds: UInt16(keepsTasks ? parameters?.defaultTime2RetainSeconds ?? 0 : 0))
            })
    }
}
