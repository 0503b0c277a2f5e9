// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import TargetCore

/// The login phase: from the first Login Request to a session (RFC 7143 6).
extension ISCSIConnection {
    func beginLogin() {
        let server = context.server
        let directory = TargetDirectory(server: server, portal: portal, peer: peer)
        targetDirectory = directory
        var offered = LocalParameters()
        offered.session.maxConnections = server.configuration.sessionConnectionLimit
        offered.session.errorRecoveryLevel = server.configuration.errorRecoveryLevel
        loginMachine = LoginStateMachine(
            portalGroupTag: server.portalGroupTag(of: portal), offered: offered,
            commandWindowDepth: server.configuration.commandWindowDepth, directory: directory)
    }

    func handleLogin(_ pdu: ReceivedPDU) throws(PDUError) {
        guard pdu.opcode == .login else { throw .dropConnection(.notALoginRequest) }
        let request = try LoginRequestPDU(pdu.header)
        let data = pdu.data
        drive(.loginRequestReceived)
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
        drive(.loginFailed)
        closeAfterFlush()
    }

    // MARK: The session

    private func establish(_ outcome: LoginOutcome) {
        let directory = context.server.directory
        guard catchUp(outcome) else { return }
        guard case .normal(let targetName) = outcome.kind else {
            guard let handle = directory.reserve(loop: context.mailbox) else { return refuse(.outOfResources) }
            return finishDiscovery(outcome, handle)
        }
        let name = SessionName(
            initiatorName: outcome.initiatorName, isid: outcome.isid.rawValue, targetName: targetName,
            portalGroupTag: context.server.portalGroupTag(of: portal))
        switch directory.claim(
            name, tsih: outcome.tsih, parameters: outcome.parameters.session, loop: context.mailbox,
            targetLimit: context.server.configuration.targetSessionLimit)
        {
        case .fresh(let handle):
            finishLogin(outcome, handle: handle, name: name)
        case .replaces(let old, let handle):
            waitForPredecessor(outcome, handle, name)
            old.terminate(reason: Self.reinstatement) { directory.isQuiet(old, of: name) }
        case .takesOver(let waiter, let handle):
            waitForPredecessor(outcome, handle, name)
            waiter.terminate(reason: Self.reinstatement) { waiter.detach() }
        case .joins(let handle):
            handOver(outcome, to: handle)
        case .doesNotExist:
            refuse(.sessionDoesNotExist)
        case .tooMany:
            context.server.admission.countRefusedSession()
            refuse(.outOfResources)
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

    func refuse(_ status: LoginStatus) {
        if let response = loginMachine?.refused(status) { refuse(response) }
    }

    private static let reinstatement = "the initiator logged in again under the same session name"

    /// The login goes on when no command of the older session can touch a medium any more.
    private func waitForPredecessor(_ outcome: LoginOutcome, _ handle: SessionHandle, _ name: SessionName) {
        phase = .establishing
        updateInterest()
        nonisolated(unsafe) let connection = self
        handle.attach { reason, done in
            // One that is told has no predecessor any more, or another login waits in its stead.
            unsafe connection.close(reason: reason)
            done?()
        } begin: {
            unsafe connection.predecessorEnded(outcome, handle, name)
        }
    }

    private func predecessorEnded(_ outcome: LoginOutcome, _ handle: SessionHandle, _ name: SessionName) {
        handle.detach()
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

    private func finishLogin(_ outcome: LoginOutcome, handle: SessionHandle, name: SessionName) {
        guard let targets = targetDirectory,
            let grant = targets.grant(outcome, targetName: name.targetName)
        else {
            context.server.directory.release(name, handle)
            return refuse(.targetRemoved)
        }
        order = CommandOrder(
            initialCmdSN: outcome.cmdSN, depth: context.server.configuration.commandWindowDepth)
        beginFullFeaturePhase(outcome, tsih: handle.tsih, sessionParameters: handle.parameters)
        let session = ISCSISession(
            name: name, handle: handle, grant: grant, parameters: handle.parameters, order: order, context: context)
        session.add(self)
        loggedIn(outcome, "to \(name.targetName)")
    }

    private func finishDiscovery(_ outcome: LoginOutcome, _ handle: SessionHandle) {
        order = CommandOrder(
            initialCmdSN: outcome.cmdSN, depth: context.server.configuration.commandWindowDepth)
        beginFullFeaturePhase(outcome, tsih: handle.tsih, sessionParameters: handle.parameters)
        discoveryHandle = handle
        loggedIn(outcome, "for discovery")
    }

    /// Sends the last Login Response, which goes out without digests; what follows it has them.
    private func beginFullFeaturePhase(
        _ outcome: LoginOutcome, tsih: UInt16, sessionParameters: SessionParameters, window: CommandWindow? = nil
    ) {
        guard var machine = loginMachine else { preconditionFailure("a login without its machine") }
        let (response, text) = machine.established(tsih: tsih, window: window)
        loginMachine = nil
        visitor = targetDirectory?.visitor(outcome.initiatorName)
        targetDirectory = nil
        send(response, text)
        emitOutbox()
        parameters = outcome.parameters
        parameters.session = sessionParameters
        statSN = machine.nextStatSN
        framer.hasHeaderDigest = parameters.hasHeaderDigest
        framer.hasDataDigest = parameters.hasDataDigest
        framer.maxDataSegmentLength = parameters.maxReceiveDataSegmentLength
        connectionIdentifier = outcome.cid
        acknowledgedStatSN = statSN
        if sessionParameters.errorRecoveryLevel > 0, outcome.kind != .discovery {
            retention = StatusRetention()
            tracksStatus = true
        }
        phase = .fullFeature
        context.totals.loginCount += 1
        context.keepsPlace(self)
        drive(.loginSucceeded)
    }

    private func loggedIn(_ outcome: LoginOutcome, _ purpose: String) {
        context.diagnostics.report(
            .info, "\(outcome.initiatorName) logged in from \(peer?.description ?? "unknown") \(purpose)")
        startKeepalive()
        updateInterest()
        // Requests may have come with the last Login Request.
        if !input.isEmpty { planWorkOff() }
    }

    // MARK: One more connection of a session

    /// The session lives in its own loop: the connection goes there.
    private func handOver(_ outcome: LoginOutcome, to handle: SessionHandle) {
        guard let machine = loginMachine else { return }
        guard context.keepsPlace(self) else { return close(reason: LoopContext.evictionReason) }
        phase = .establishing
        let handover = LoginHandover(
            descriptor: releaseSocket(), machine: machine, connectionMachine: self.machine, outcome: outcome,
            input: input.copy(), ticket: ticket, portal: portal, targetDirectory: targetDirectory)
        let mailbox = context.mailbox
        nonisolated(unsafe) let context = context
        handle.join(handover) { handover in
            // The session is no more: the login ends where it began.
            mailbox.perform {
                let connection = unsafe ISCSIConnection(handover, context: context)
                unsafe context.take(connection)
                guard connection.phase == .establishing else { return }
                connection.refuse(.sessionDoesNotExist)
            }
        }
        close(handedOver: true)
    }

    /// In the loop of `session`: the login goes on there.
    func join(_ session: ISCSISession, _ outcome: LoginOutcome) {
        connectionIdentifier = outcome.cid
        if let status = session.refusal(of: self, cid: outcome.cid) { return refuse(status) }
        joining = session
        session.whenSettled(cid: outcome.cid, self) { [self] in finishJoin(session, outcome) }
    }

    /// What the connection of this CID before it had under way is settled: it may have been the very same commands.
    private func finishJoin(_ session: ISCSISession, _ outcome: LoginOutcome) {
        guard joining === session, phase == .establishing else { return }
        // Two logins of one CID: the later one stays.
        if session.end(connectionOf: outcome.cid) {
            return session.whenSettled(cid: outcome.cid, self) { [self] in finishJoin(session, outcome) }
        }
        joining = nil
        // A session that was without a connection when rules changed has not heard of it.
        let mayJoin = session.isEnding || catchUp(outcome)
        session.endJoin(self, failed: session.isEnding || !mayJoin)
        guard mayJoin else { return }
        guard !session.isEnding else { return refuse(.sessionDoesNotExist) }
        let grant = targetDirectory?.grant(outcome, targetName: session.name.targetName)
        order = session.order
        beginFullFeaturePhase(
            outcome, tsih: session.handle.tsih, sessionParameters: session.parameters, window: window)
        session.add(self)
        if let grant, grant.view != session.view { session.change(to: grant) }
        loggedIn(outcome, "to \(session.name.targetName), connection \(outcome.cid) of its session")
    }
}
