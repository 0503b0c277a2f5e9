// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Waits until a number of aborted tasks of one nexus have ended. On the loop of the nexus.
final class QuietWait {
    var tasks: [SCSITask]
    /// False while the tasks are still being aborted: their ends are counted, but not told.
    var isArmed = false
    let completion: () -> Void

    init(tasks: [SCSITask], completion: @escaping () -> Void) {
        self.tasks = tasks
        self.completion = completion
    }
}

/// Waits until several nexuses are quiet, each on its own loop, and then tells the one who asked, on its.
final class QuietGroup: Sendable {
    private let remaining: Atomic<Int>
    private let loop: any OwnerLoop
    private let completion: LoopBound<() -> Void>

    /// `completion` is run by `loop` when `leave` has been called `count` times.
    init(count: Int, loop: any OwnerLoop, completion: @escaping () -> Void) {
        remaining = Atomic(count)
        self.loop = loop
        self.completion = LoopBound(completion)
    }

    func leave() {
        guard remaining.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        let completion = completion
        loop.perform { completion.value() }
    }
}

/// With what aborted tasks end for their initiator.
enum AbortNotice: UInt8 {
    /// With nothing: it asked for that itself, or is told by a unit attention.
    case none
    /// TASK ABORTED, if TAS is one.
    case asAnotherNexusAsked
    /// CHECK CONDITION with LOGICAL UNIT NOT SUPPORTED. SAM-5 keeps TASK ABORTED for what another nexus asks while TAS is
    /// one, and nobody would ever tell the initiator of a command that ended silently.
    case logicalUnitNotSupported
}

extension ITNexus {
    /// Which tasks of a task set a function is about.
    enum AffectedTasks {
        case all
        case tagged(UInt64)
        case allBut(SCSITask)
        case matching((SCSITask) -> Bool)

        func contains(_ task: SCSITask) -> Bool {
            switch self {
            case .all: true
            case .tagged(let tag): task.tag == tag
            case .allBut(let exempt): task !== exempt
            case .matching(let matches): matches(task)
            }
        }
    }

    /// Aborts the affected tasks of `units` (SAM-5 7.2 and on). `completion` is called, perhaps
    /// before this returns, when each of them has ended: none can touch a medium or its buffer any more. Tasks that
    /// gather data or wait for others end at once; those whose request is in a device end when it has completed.
    /// `notice`: what the initiator is told of its commands.
    func abort(
        _ affectedTasks: AffectedTasks, of units: [NexusUnit], notice: AbortNotice = .none,
        completion: @escaping () -> Void
    ) {
        let affected = units.flatMap { $0.taskSet.tasks.filter(affectedTasks.contains) }
        for task in affected where !task.isAborted {
            task.isAborted = true
            task.abortNotice = notice
            if notice == .asAnotherNexusAsked, let unit = task.unit?.object.unit, !unit.modes.reportsTaskAborted {
                task.abortNotice = .none
            }
        }
        for unit in units {
            // Those in a device end when it says so: that it need not go on may hasten it.
            for task in affected where task.unit?.object === unit {
                task.request.cancel(on: task.otherDevice ?? unit.unit.device)
            }
        }
        let wait = QuietWait(tasks: affected, completion: completion)
        quietWaits.append(wait)
        for unit in units {
            // A callback may change the task set: look anew each time.
            while let task = unit.taskSet.firstTask(where: { $0.isAborted && canEndNow($0) }) { endAborted(task) }
        }
        drain()
        wait.isArmed = true
        endQuietWaits()
    }

    /// Has the device of `unit` end what it finds overdue.
    func cancelOverdue(of unit: LogicalUnit) {
        for each in attachedUnits where each.unit === unit {
            for task in each.taskSet.tasks where task.request.isUnderWay {
                unit.device.cancelIfOverdue(task.request)
            }
        }
    }

    private func canEndNow(_ task: SCSITask) -> Bool {
        switch task.state {
        case .awaitingData, .blocked: true
        case .waiting:
            withdrawExtentClaim(of: task) || withdrawTurn(of: task) || task.operation?.leave(task) ?? false
        case .enabled, .finished, .free: false
        }
    }

    func endQuietWaits() {
        while let index = quietWaits.firstIndex(where: { $0.isArmed && $0.tasks.isEmpty }) {
            quietWaits.remove(at: index).completion()
        }
    }
}
