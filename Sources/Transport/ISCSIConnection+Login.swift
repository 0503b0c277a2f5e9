// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import TargetCore

/// The login phase: from the first Login Request to a session (RFC 7143 6).
extension ISCSIConnection {
    func beginLogin() {
        let server = context.server
        let directory = TargetDirectory(server: server, portal: portal, peer: peer)
        targetDirectory = directory
        loginMachine = LoginStateMachine(
            portalGroupTag: server.portalGroupTag(of: portal), offered: LocalParameters(),
            commandWindowDepth: server.configuration.commandWindowDepth, directory: directory)
    }

    func handleLogin(_ pdu: ReceivedPDU) throws(PDUError) {
        guard pdu.opcode == .login else { throw .dropConnection(.notALoginRequest) }
        let request = try LoginRequestPDU(pdu.header)
        let data = pdu.data
        guard let step = loginMachine?.receive(request, text: data) else { return }
        switch step {
        case .respond(let response, let text):
            send(response, text)
        case .refuse(let response, let text):
            refuse(response, text)
        case .establish(let outcome):
            establish(outcome)
        }
    }

    private func send(_ response: LoginResponsePDU, _ text: [UInt8]) {
        enqueue(Outbox.ControlPDU(advancesStatSN: false, data: text) { _ in response })
    }

    private func refuse(_ response: LoginResponsePDU, _ text: [UInt8] = []) {
        context.totals.failedLoginCount += 1
        let name = loginMachine?.initiatorName.map { "\($0) from " } ?? ""
        let reason = loginMachine?.authenticationFault.map { ": \($0)" } ?? ""
        context.diagnostics.report(
            .notice, "login of \(name)\(peer?.description ?? "unknown") refused: \(response.status)\(reason)")
        send(response, text)
        closeAfterFlush()
    }

    // MARK: The session

    private func establish(_ outcome: LoginOutcome) {
        let directory = context.server.directory
        guard catchUp(outcome) else { return }
        guard case .normal(let targetName) = outcome.kind else {
            guard let handle = directory.reserve(loop: context.mailbox) else { return refuse(.outOfResources) }
            return finishLogin(outcome, handle: handle, name: nil)
        }
        let name = SessionName(
            initiatorName: outcome.initiatorName, isid: outcome.isid.rawValue, targetName: targetName,
            portalGroupTag: context.server.portalGroupTag(of: portal))
        switch directory.claim(
            name, tsih: outcome.tsih, parameters: outcome.parameters.session, loop: context.mailbox)
        {
        case .fresh(let handle):
            finishLogin(outcome, handle: handle, name: name)
        case .replaces(let old, let handle):
            waitForPredecessor(old, outcome, handle, name)
        case .doesNotExist:
            refuse(.sessionDoesNotExist)
        case .exhausted:
            refuse(.outOfResources)
        }
    }

    /// False when rules have changed during the login and it cannot end as it began; it is refused then.
    private func catchUp(_ outcome: LoginOutcome) -> Bool {
        let status = targetDirectory?.catchUp(outcome) ?? .targetError
        if status != .success { refuse(status) }
        return status == .success
    }

    private func refuse(_ status: LoginStatus) {
        if let response = loginMachine?.refused(status) { refuse(response) }
    }

    /// The login goes on when no command of the older session can touch a medium any more.
    private func waitForPredecessor(
        _ old: SessionHandle, _ outcome: LoginOutcome, _ handle: SessionHandle, _ name: SessionName
    ) {
        phase = .establishing
        updateInterest()
        // A third login of the same name ends this one, but must wait for the first session all the same.
        nonisolated(unsafe) let waiting = Succession()
        nonisolated(unsafe) let connection = self
        handle.attach { reason, done in
            unsafe waiting.whenPredecessorIsQuiet(done)
            unsafe connection.close(reason: reason)
        }
        let mailbox = context.mailbox
        old.terminate(reason: "the initiator logged in again under the same session name") {
            mailbox.perform {
                unsafe waiting.predecessorIsQuiet()
                unsafe connection.predecessorEnded(outcome, handle, name)
            }
        }
    }

    private func predecessorEnded(_ outcome: LoginOutcome, _ handle: SessionHandle, _ name: SessionName) {
        guard phase == .establishing else {
            context.server.directory.release(name, handle)
            return
        }
        phase = .login
        guard catchUp(outcome) else {
            context.server.directory.release(name, handle)
            return
        }
        finishLogin(outcome, handle: handle, name: name)
    }

    private func finishLogin(_ outcome: LoginOutcome, handle: SessionHandle, name: SessionName?) {
        guard var machine = loginMachine, let targets = targetDirectory else { return }
        let (response, text) = machine.established(tsih: handle.tsih)
        loginMachine = nil
        visitor = targets.visitor(outcome.initiatorName)
        targetDirectory = nil
        // The last Login Response goes out without digests; what follows it has them.
        send(response, text)
        emitOutbox()
        parameters = outcome.parameters
        parameters.session = handle.parameters
        statSN = machine.nextStatSN
        framer.hasHeaderDigest = parameters.hasHeaderDigest
        framer.hasDataDigest = parameters.hasDataDigest
        framer.maxDataSegmentLength = parameters.maxReceiveDataSegmentLength
        connectionIdentifier = outcome.cid
        window = CommandWindow(
            initialCmdSN: outcome.cmdSN, depth: context.server.configuration.commandWindowDepth)
        phase = .fullFeature
        context.totals.loginCount += 1
        if let name, let visitor, let grant = targets.served.grant(visitor, targetName: name.targetName) {
            session = ISCSISession(
                name: name, handle: handle, grant: grant, parameters: parameters, connection: self)
        } else {
            discoveryHandle = handle
        }
        context.diagnostics.report(
            .info,
            "\(outcome.initiatorName) logged in from \(peer?.description ?? "unknown")"
                + (name.map { " to \($0.targetName)" } ?? " for discovery"))
        startKeepalive()
        updateInterest()
        // Requests may have come with the last Login Request.
        if !input.isEmpty { planWorkOff() }
    }
}

/// The wait of a login for the session that it takes the place of, and of those who wait for this login to end.
/// Belongs to the loop of the waiting connection.
private final class Succession {
    private var isQuiet = false
    private var waiting: [@Sendable () -> Void] = []

    func whenPredecessorIsQuiet(_ done: @escaping @Sendable () -> Void) {
        if isQuiet { done() } else { waiting.append(done) }
    }

    func predecessorIsQuiet() {
        isQuiet = true
        let all = waiting
        waiting = []
        for done in all { done() }
    }
}
