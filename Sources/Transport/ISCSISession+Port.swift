// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI
internal import TargetCore

/// What the core tells a session about its tasks.
extension ISCSISession: TargetPort {
    func submissionsBegan() { planTurn() }

    func taskFinished(_ task: SCSITask) {
        let task = transportTask(of: task)
        task.phase = .responding
        guard let connection else { return release(task) }
        connection.enqueue(task)
    }

    func taskAborted(_ task: SCSITask) {
        let task = transportTask(of: task)
        task.waitsForMemory = false
        connection?.forget(task)
        if task.phase != .responding { connection?.window.commandEnded() }
        release(task)
    }

    func requestBegan(_ task: SCSITask) {
        task.request.postedNanoseconds = 0
        transportTask(of: task).stamps.requestBegan = context.latencies.now()
    }

    func requestEnded(_ task: SCSITask) {
        transportTask(of: task).stamps.requestEnded(
            posted: task.request.postedNanoseconds, now: context.latencies.now())
    }

    private func transportTask(of task: SCSITask) -> ISCSITask {
        guard let context = unsafe task.transportContext else { preconditionFailure("a task of another transport") }
        return unsafe unsafeDowncast(context, to: ISCSITask.self)
    }
}
