// SPDX-License-Identifier: Apache-2.0

import SCSI

/// The end of copies that another logical unit was told to make: when the tasks of a unit are cleared, no copy may go
/// on reading or writing it, whoever has the task.
extension ITNexus {
    /// As `abort`; and `completion` waits, too, until the copies in other task sets of this nexus that touch `units`
    /// have ended: with CHECK CONDITION, since nobody has aborted their commands.
    func abortWithCopies(
        _ affectedTasks: AffectedTasks, of units: [NexusUnit], notice: AbortNotice = .none,
        completion: @escaping () -> Void
    ) {
        let copies = cancelCopies(touching: units)
        abort(affectedTasks, of: units, notice: notice) { [self] in
            let tasks = copies.filter { $0.copy.state == .underWay }.map(\.task)
            guard !tasks.isEmpty else { return completion() }
            let wait = QuietWait(tasks: tasks, completion: completion)
            wait.isArmed = true
            quietWaits.append(wait)
        }
    }

    private func cancelCopies(touching units: [NexusUnit]) -> [(task: SCSITask, copy: CopyOperation)] {
        var copies: [(task: SCSITask, copy: CopyOperation)] = []
        for other in attachedUnits where !units.contains(where: { $0 === other }) {
            for task in other.taskSet.tasks where !task.isAborted {
                guard let copy = task.copy, units.contains(where: copy.touches) else { continue }
                copy.isCancelled = true
                copies.append((task, copy))
            }
        }
        return copies
    }

    /// The task of a copy leaves its task set, however it ended.
    func leaveCopy(_ task: SCSITask) {
        task.copy?.leave(task)
        guard !quietWaits.isEmpty else { return }
        for wait in quietWaits { wait.tasks.removeAll { $0 === task } }
        endQuietWaits()
    }
}

extension CopyOperation {
    func touches(_ unit: NexusUnit) -> Bool {
        runs.contains { $0.destination.unit === unit || $0.source?.unit === unit }
    }
}
