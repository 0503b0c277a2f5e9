// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import ISCSI
internal import SCSI
internal import TargetCore

/// Requests that are not SCSI commands, and their answers.
extension ISCSIConnection {
    // MARK: NOP (RFC 7143 11.18, 11.19)

    func nopOut(_ pdu: ReceivedPDU) throws(PDUError) {
        let request = try NOPOutPDU(pdu.header)
        if request.targetTransferTag != BasicHeaderSegment.reservedTag, request.targetTransferTag == keepaliveTag {
            keepaliveTag = nil
        }
        guard request.initiatorTaskTag != BasicHeaderSegment.reservedTag else { return }
        // The ping's data come back, as much as the peer takes in one PDU.
        let data = Array(pdu.data.prefix(parameters.maxSendDataSegmentLength))
        enqueue(
            Outbox.ControlPDU(advancesStatSN: true, data: data) { numbers in
                NOPInPDU(
                    lun: request.lun, initiatorTaskTag: request.initiatorTaskTag,
                    targetTransferTag: BasicHeaderSegment.reservedTag, numbers: numbers,
                    dataSegmentLength: UInt32(data.count))
            })
    }

    /// Asks the peer whether it is there.
    func sendKeepalive() {
        keepaliveCount &+= 1
        let tag = keepaliveCount & ~Self.keepaliveTagFlag
        keepaliveTag = tag
        enqueue(
            Outbox.ControlPDU(advancesStatSN: false) { numbers in
                NOPInPDU(
                    lun: LogicalUnitNumber(0), initiatorTaskTag: BasicHeaderSegment.reservedTag,
                    targetTransferTag: tag, numbers: numbers)
            })
    }

    /// Kept zero in a keepalive's tag, so that it never is the reserved one.
    private static let keepaliveTagFlag: UInt32 = 0x8000_0000

    // MARK: Task management (RFC 7143 11.5, 11.6)

    func taskManagement(_ pdu: ReceivedPDU) throws(PDUError) {
        guard let session else { throw .reject(.protocolError) }
        let request = try TaskManagementRequestPDU(pdu.header)
        let tag = request.initiatorTaskTag
        switch request.function {
        case nil:
            return answer(tag, .functionNotSupported)
        case .taskReassign:
            // Error recovery level 2 alone has it.
            return answer(tag, .taskAllegianceReassignmentNotSupported)
        case let code?:
            let found = dropDrainingTasks(code, request)
            let wait = ManagementWait()
            // A response that waits for a handler must not outlive the connection.
            session.nexus.object.perform(
                code.function, lun: request.lun, tag: UInt64(request.referencedTaskTag)
            ) { [self] response in
                guard wait.end(), phase == .fullFeature else { return }
                managementWaits.removeAll { $0 === wait }
                wait.timer.map(context.loop.cancel)
                answer(tag, found ? .functionComplete : self.code(of: response, to: request)) {
                    if code == .targetColdReset { self.endSessionsOfTarget() }
                }
            }
            limit(wait, tag: tag)
        }
    }

    /// After TARGET COLD RESET all sessions of the target end, this one once it has its response (RFC 7143 11.5.1).
    private func endSessionsOfTarget() {
        if let session {
            let others = context.server.directory.handles(ofTarget: session.name.targetName, except: session.handle)
            for other in others { other.terminate(reason: "an initiator has reset the target (TARGET COLD RESET)") }
        }
        closeAfterFlush()
    }

    /// Answers for commands that do not end: Function rejected, since nobody can say that they are gone. They stay
    /// aborted, and no status of theirs will follow.
    private func limit(_ wait: ManagementWait, tag: UInt32) {
        let milliseconds = context.server.configuration.taskManagementTimeoutMilliseconds
        guard !wait.hasEnded, milliseconds > 0 else { return }
        managementWaits.append(wait)
        // A closed connection cancels the timer, so the timer may hold it.
        wait.timer = context.loop.schedule(afterMilliseconds: milliseconds) { [self] in
            guard wait.end() else { return }
            managementWaits.removeAll { $0 === wait }
            context.diagnostics.report(
                .warning,
                "task management of \(peer?.description ?? "an initiator") is rejected: commands that it concerns have not "
                    + "ended in their handler within \(milliseconds) ms")
            answer(tag, .functionRejected)
        }
    }

    /// Tasks that the core has done with and that only wait for the end of their data, as far as `code` concerns them:
    /// they answer nobody any more. Whether there was one that ABORT TASK meant.
    private func dropDrainingTasks(_ code: TaskManagementFunctionCode, _ request: TaskManagementRequestPDU) -> Bool {
        guard let session else { return false }
        let affected = session.drainingTasks { task in
            switch code {
            case .abortTask: task.scsi.lun == request.lun && task.initiatorTaskTag == request.referencedTaskTag
            case .abortTaskSet, .clearTaskSet, .logicalUnitReset: task.scsi.lun == request.lun
            case .targetWarmReset, .targetColdReset, .iTNexusReset: true
            case .clearACA, .taskReassign, .queryTask, .queryTaskSet, .queryAsynchronousEvent: false
            }
        }
        for task in affected { drop(task) }
        return code == .abortTask && !affected.isEmpty
    }

    private func answer(
        _ tag: UInt32, _ response: TaskManagementResponseCode, whenQueued: @escaping () -> Void = {}
    ) {
        enqueue(
            Outbox.ControlPDU(advancesStatSN: true, whenQueued: whenQueued) { numbers in
                TaskManagementResponsePDU(response: response, initiatorTaskTag: tag, numbers: numbers)
            })
    }

    private func code(
        of response: TaskManagementResponse, to request: TaskManagementRequestPDU
    ) -> TaskManagementResponseCode {
        switch response {
        case .functionComplete: .functionComplete
        case .functionSucceeded: .functionSucceeded
        case .functionRejected: .functionRejected
        case .incorrectLogicalUnitNumber: .lunDoesNotExist
        case .serviceNotSupported: .functionNotSupported
        case .taskDoesNotExist: forgo(request) ? .functionComplete : .taskDoesNotExist
        }
    }

    /// ABORT TASK of a command that is not here (RFC 7143 11.6.1). One that is still on its way, sent before the
    /// request, counts as received and will never run: true. Any other has ended, or never was.
    private func forgo(_ request: TaskManagementRequestPDU) -> Bool {
        guard SerialNumber.contains(first: window.expCmdSN, last: window.maxCmdSN, request.refCmdSN),
            SerialNumber.precedes(request.refCmdSN, request.cmdSN)
        else { return false }
        if case .hold = window.receive(cmdSN: request.refCmdSN, isImmediate: false) { held.skip(request.refCmdSN) }
        return true
    }

    // MARK: Text (RFC 7143 11.10, 11.11)

    func textRequest(_ pdu: ReceivedPDU) throws(PDUError) {
        let request = try TextRequestPDU(pdu.header)
        let answer = try text.receive(
            request, text: pdu.data, parameters: &parameters, sessionTarget: session?.name.targetName
        ) { scope in sendTargets(scope) }
        enqueue(
            Outbox.ControlPDU(advancesStatSN: true, data: answer.text) { numbers in answer.pdu(numbers) })
    }

    /// The targets of `scope` that the peer may use, and where.
    private func sendTargets(_ scope: SendTargets.Scope) -> [SendTargets.Record] {
        guard let visitor else { return [] }
        return DiscoveryAnswer.records(
            scope, for: visitor, policy: context.server.served.policy, portals: context.server.portals, local: local)
    }

    // MARK: Logout (RFC 7143 11.14, 11.15)

    func logout(_ pdu: ReceivedPDU) throws(PDUError) {
        let request = try LogoutRequestPDU(pdu.header)
        let (response, closes) = request.answer(onConnection: connectionIdentifier)
        let send = { [self] in
            enqueue(
                Outbox.ControlPDU(
                    advancesStatSN: true, whenQueued: { [self] in if closes { closeAfterFlush() } }
                ) { numbers in
                    LogoutResponsePDU(
                        response: response, initiatorTaskTag: request.initiatorTaskTag, numbers: numbers)
                })
        }
        guard closes, let session else { return send() }
        // Nothing of the session may touch a medium once the logout has been answered.
        stopReading()
        session.endTasks { [self] in
            if phase == .fullFeature { send() }
        }
    }

    // MARK: Reject (RFC 7143 11.17)

    func reject(_ pdu: ReceivedPDU, _ reason: RejectReason) {
        let header = pdu.headerCopy
        enqueue(
            Outbox.ControlPDU(advancesStatSN: true, data: header) { numbers in
                RejectPDU(reason: reason, numbers: numbers, dataSegmentLength: UInt32(header.count))
            })
    }
}

extension TaskManagementFunctionCode {
    /// The core's name of the function.
    var function: TaskManagementFunction {
        switch self {
        case .abortTask: .abortTask
        case .abortTaskSet: .abortTaskSet
        case .clearACA: .clearACA
        case .clearTaskSet: .clearTaskSet
        case .logicalUnitReset: .logicalUnitReset
        case .targetWarmReset: .targetWarmReset
        case .targetColdReset: .targetColdReset
        case .queryTask: .queryTask
        case .queryTaskSet: .queryTaskSet
        case .iTNexusReset: .iTNexusReset
        case .queryAsynchronousEvent: .queryAsynchronousEvent
        // Answered by the transport: it never reaches the core.
        case .taskReassign: .abortTask
        }
    }
}

/// The answer to a task management function that waits for commands to end. One of two gives it.
final class ManagementWait {
    private(set) var hasEnded = false
    var timer: TimerQueue.Identifier?

    /// True for the first who asks.
    func end() -> Bool {
        defer { hasEnded = true }
        return !hasEnded
    }
}
