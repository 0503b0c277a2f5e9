// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import ISCSI
internal import SCSI
internal import TargetCore

/// Task management requests (RFC 7143 11.5, 11.6): what they concern may belong to any connection of the session.
extension ISCSIConnection {
    func taskManagement(_ pdu: ReceivedPDU) throws(PDUError) {
        guard let session else { throw .reject(.protocolError) }
        let request = try TaskManagementRequestPDU(pdu.header)
        let tag = request.initiatorTaskTag
        switch request.function {
        case nil:
            return answer(tag, .functionNotSupported)
        case .taskReassign:
            return reassign(request, session)
        case let code?:
            let wait = ManagementWait()
            // What it concerns may still be on its way on another connection (RFC 7143 4.2.3.3).
            guard request.isImmediate, session.hasSeveralConnections, code.concernsManyTasks else {
                guard session.beginWait() else {
                    if request.isImmediate { throw .reject(.immediateCommandReject) }
                    return answer(tag, .functionRejected)
                }
                return perform(code, request, wait, session)
            }
            let mayWait = session.order.whenReceived(upTo: request.cmdSN, wait) { [self] in
                guard !wait.hasEnded, phase == .fullFeature else { return }
                guard session.beginWait() else { return answer(tag, .functionRejected) }
                perform(code, request, wait, session)
            }
            guard mayWait else { throw .reject(.immediateCommandReject) }
            limit(wait, tag: tag)
        }
    }

    private func perform(
        _ function: TaskManagementFunctionCode, _ request: TaskManagementRequestPDU, _ wait: ManagementWait,
        _ session: ISCSISession
    ) {
        let tag = request.initiatorTaskTag
        let found = dropDrainingTasks(function, request)
        // A response that waits for a handler must not outlive the connection.
        session.nexus.object.perform(
            function.function, lun: request.lun, tag: UInt64(request.referencedTaskTag)
        ) { [self] response in
            session.endWait()
            guard wait.end(), phase == .fullFeature else { return }
            managementWaits.removeAll { $0 === wait }
            wait.timer.map(context.loop.cancel)
            let code = found ? .functionComplete : self.code(of: response, to: request)
            session.fence(self) {
                self.answer(tag, code) {
                    if function == .targetColdReset { self.endSessionsOfTarget() }
                }
            }
        }
        limit(wait, tag: tag)
    }

    /// TASK REASSIGN (RFC 7143 7.2.2): a task of a connection that has gone goes on here. What it still has to send or to
    /// ask for follows the answer.
    private func reassign(_ request: TaskManagementRequestPDU, _ session: ISCSISession) {
        let tag = request.initiatorTaskTag
        guard session.parameters.errorRecoveryLevel == 2 else {
            return answer(tag, .taskAllegianceReassignmentNotSupported)
        }
        let tasks = { (isFree: Bool) in
            session.task(initiatorTaskTag: request.referencedTaskTag) { task in
                (task.connection == nil) == isFree && task.scsi.lun == request.lun
                    && (!isFree || session.keepsTasks(ofDeparture: task.departure))
            }
        }
        guard let task = tasks(true) else {
            return answer(tag, tasks(false) == nil ? .taskDoesNotExist : .taskStillAllegiant)
        }
        answer(tag, .functionComplete)
        goOn(with: task, expDataSN: request.expDataSN, session)
    }

    private func goOn(with task: ISCSITask, expDataSN: UInt32, _ session: ISCSISession) {
        task.move(to: self, expDataSN: expDataSN)
        switch task.phase {
        case .gathering, .draining:
            task.write?.reassigned()
            proceed(task)
        case .responding:
            enqueue(task)
        case .running, .free:
            break
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
        guard !wait.hasEnded, wait.timer == nil else { return }
        if !managementWaits.contains(where: { $0 === wait }) { managementWaits.append(wait) }
        guard milliseconds > 0 else { return }
        // A closed connection cancels the timer, so the timer may hold it.
        wait.timer = context.loop.schedule(afterMilliseconds: milliseconds) { [self] in
            guard wait.end() else { return }
            managementWaits.removeAll { $0 === wait }
            order.withdraw(wait)
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
        for task in affected { session.drop(task) }
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
}

extension TaskManagementFunctionCode {
    /// Aborts whatever has come before it.
    fileprivate var concernsManyTasks: Bool {
        switch self {
        case .abortTaskSet, .clearTaskSet, .logicalUnitReset, .targetWarmReset, .targetColdReset, .iTNexusReset: true
        case .abortTask, .clearACA, .taskReassign, .queryTask, .queryTaskSet, .queryAsynchronousEvent: false
        }
    }

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
