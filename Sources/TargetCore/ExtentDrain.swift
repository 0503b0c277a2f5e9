// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Waits, on one nexus, until the commands that began before an atomic one and touch the same blocks have ended.
final class ExtentDrain {
    var tasks: [SCSITask]
    let completion: () -> Void

    init(tasks: [SCSITask], completion: @escaping () -> Void) {
        self.tasks = tasks
        self.completion = completion
    }
}

extension ITNexus {
    /// For the first step of an atomic command: true when no other command of the unit touches `range` until `task` has
    /// ended. False: the row returns `.wait`, and asks again when it is called again with the same step.
    func holdsAlone(_ range: BlockRange, for task: SCSITask, on unit: NexusUnit) -> Bool {
        switch task.extentClaim {
        case .quiet:
            return true
        case .waiting:
            return false
        case .held:
            break
        case .none:
            guard unit.unit.extents.acquire(range, .exclusive, for: task.request) else {
                wait(task)
                return false
            }
            task.extentClaim = .held
        }
        task.extentClaim = .quiet
        return isQuiet(range, for: task, on: unit.unit)
    }

    /// Sees to it that `task` is called again when those have ended that began, anywhere, before its claim was known.
    /// True when there are none: nobody will call.
    private func isQuiet(_ range: BlockRange, for task: SCSITask, on unit: LogicalUnit) -> Bool {
        let others = unit.attached.filter { $0.nexus.value !== self }
        if others.isEmpty, beganBefore(task, in: range, on: unit).isEmpty {
            port?.use { $0.port.settleMappedData() }
            return true
        }
        let waiter = LoopBound(task)
        let group = QuietGroup(count: others.count + 1, loop: loop) { [self] in resume(waiter.value) }
        drain(range, of: unit, for: task) { group.leave() }
        for other in others {
            other.loop.perform { other.nexus.value.drain(range, of: unit, for: nil) { group.leave() } }
        }
        return false
    }

    /// In the thread of this nexus's loop: `completion` is called, perhaps before this returns, when the tasks of this
    /// nexus for `unit` that touch `range` and know of no claim have ended.
    private func drain(
        _ range: BlockRange, of unit: LogicalUnit, for exempt: SCSITask?, completion: @escaping () -> Void
    ) {
        port?.use { $0.port.settleMappedData() }
        let tasks = beganBefore(exempt, in: range, on: unit)
        guard !tasks.isEmpty else { return completion() }
        drains.append(ExtentDrain(tasks: tasks, completion: completion))
    }

    private func beganBefore(_ exempt: SCSITask?, in range: BlockRange, on unit: LogicalUnit) -> [SCSITask] {
        attachedUnits.filter { $0.unit === unit }.flatMap { nexusUnit in
            nexusUnit.taskSet.tasks.filter { task in
                // One that has not begun finds the claim, and waits for it.
                guard task !== exempt, task.extentClaim == .none, task.hasBegun else { return false }
                guard task.state == .enabled || task.state == .waiting else { return false }
                return Self.extent(of: task)?.overlaps(range) ?? false
            }
        }
    }

    func leaveDrains(_ task: SCSITask) {
        for drain in drains { drain.tasks.removeAll { $0 === task } }
        while let index = drains.firstIndex(where: { $0.tasks.isEmpty }) { drains.remove(at: index).completion() }
    }

    // MARK: - Ordinary commands

    /// Before the first step of a command while some atomic one is there. False: it waits for its turn.
    func passesGuard(_ task: SCSITask, _ unit: NexusUnit) -> Bool {
        guard task.extentClaim == .none, let extent = Self.extent(of: task) else { return true }
        if let traits = task.descriptor?.object.traits,
            traits.contains(.claimsExtent) || unit.unit.isProtected && traits.contains(.keepsProtection)
        {
            return true
        }
        let isGranted = unit.unit.extents.acquire(extent, .shared, for: task.request)
        if isGranted { task.extentClaim = .held } else { wait(task) }
        return isGranted
    }

    /// `task` waits for its claim. Where it was taken for one that had begun, what it waits for must not wait for it.
    func wait(_ task: SCSITask) {
        task.extentClaim = .waiting
        if !drains.isEmpty { leaveDrains(task) }
    }

    /// The blocks that a command touches, as far as its CDB tells; nil: none.
    private static func extent(of task: SCSITask) -> BlockRange? {
        guard let row = task.descriptor?.object else { return task.isOffered ? .wholeMedium : nil }
        guard !row.traits.isDisjoint(with: [.readsMedium, .writesMedium]) else { return nil }
        guard row.traits.contains(.namesOneExtent), let range = BlockAccess(task.cdb)?.range else {
            return .wholeMedium
        }
        return range
    }

    /// Before the first step of a command that writes, while tokens live that a write ends. Without a row nobody knows
    /// what a command does.
    func revokeTokens(_ task: SCSITask, _ unit: NexusUnit) {
        if let row = task.descriptor?.object {
            guard row.traits.contains(.writesMedium) else { return }
            // A store to which the command is offered does not tell.
            if row.traits.contains(.revokesTokens), !task.isOffered { return }
        }
        if let extent = Self.extent(of: task) { unit.unit.tokens.revoke(extent) }
    }

    /// Takes back the claim of a task that waits for it.
    func withdrawExtentClaim(of task: SCSITask) -> Bool {
        guard task.extentClaim == .waiting, let unit = task.copy?.awaitedUnit ?? task.unit?.object.unit,
            unit.extents.withdraw(task.request)
        else { return false }
        // A copy may hold others, which it gives back when it leaves.
        task.extentClaim = task.copy == nil ? .none : .held
        return true
    }
}
