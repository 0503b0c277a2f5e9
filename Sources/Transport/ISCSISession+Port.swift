// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI
internal import TargetCore

/// What the core tells a session about its tasks.
extension ISCSISession: TargetPort {
    func submissionsBegan() { planTurn() }

    func settleMappedData() { settleMappedReads() }

    func taskFinished(_ task: SCSITask) { useTransportTask(of: task) { finished($0) } }

    func taskAborted(_ task: SCSITask) { useTransportTask(of: task) { aborted($0) } }

    private func finished(_ task: ISCSITask) {
        guard let connection = task.connection else { return finishedUnconnected(task) }
        if task.phase == .gathering, !endsGathering(task) { return }
        task.phase = .responding
        respond(task, on: connection)
    }

    /// `task` has ended, and its connection has gone: its answer waits for another one, if there can be one.
    private func finishedUnconnected(_ task: ISCSITask) {
        forgetMemoryWait(of: task)
        guard !isEnding, keepsTasks(ofDeparture: task.departure) else { return dropResponse(of: task) }
        task.phase = .responding
    }

    /// `task` ended while its data were still to come. False: its answer waits for the end of the unsolicited ones.
    private func endsGathering(_ task: ISCSITask) -> Bool {
        forgetMemoryWait(of: task)
        task.connection?.use { $0.forget(task) }
        guard task.write?.awaitsUnsolicited ?? false else { return true }
        task.phase = .draining
        return false
    }

    private func aborted(_ task: ISCSITask) {
        forgetMemoryWait(of: task)
        task.connection?.use { $0.forget(task) }
        if task.phase != .responding { window.commandEnded() }
        release(task)
    }

    func requestBegan(_ task: SCSITask) {
        task.request.postedNanoseconds = 0
        useTransportTask(of: task) { $0.stamps.requestBegan = context.latencies.now() }
    }

    func requestEnded(_ task: SCSITask) {
        useTransportTask(of: task) { task in
            task.stamps.requestEnded(posted: task.scsi.request.postedNanoseconds, now: context.latencies.now())
        }
    }

    static func transportTask(of task: SCSITask) -> ISCSITask {
        guard let context = task.transportContext else { preconditionFailure("a task of another transport") }
        // Safe: `ISCSITask.init` puts itself there, and nobody else does.
        return unsafe unsafeDowncast(context.object, to: ISCSITask.self)
    }

    private func useTransportTask(of task: SCSITask, _ body: (ISCSITask) -> Void) {
        guard let context = task.transportContext else { preconditionFailure("a task of another transport") }
        // Safe: `ISCSITask.init` puts itself there, and nobody else does.
        context.use { body(unsafe unsafeDowncast($0, to: ISCSITask.self)) }
    }
}
