// SPDX-License-Identifier: Apache-2.0

import SCSI

/// What a command must pass before it may run, in the order of SAM-5 5.9.5 and SPC-4 5.
extension ITNexus {
    enum Admission {
        case admitted, reservationConflict
    }

    /// Puts `task` into its task set, or throws with what it ends.
    func admit(_ task: SCSITask) throws(SenseData) -> Admission {
        try link(for: task.lun).use { unit throws(SenseData) in try admit(task, unit) }
    }

    private func admit(_ task: SCSITask, _ unit: NexusUnit) throws(SenseData) -> Admission {
        task.unit = Borrowed(unit)
        let opcode = task.cdb.opcode
        if unit.attentions.isAny, !Self.passesUnitAttention(opcode), let attention = unit.takeAttention() {
            throw attention.sense
        }
        if task.attribute == .aca { throw SenseData(.illegalRequest, .invalidMessageError) }

        if unit.unit.conditions.contains(.asymmetric) { try unit.checkAccessState(task.cdb) }
        if unit.unit.features.passthrough != .none, Self.isOffered(opcode, to: unit) {
            try admitOffered(task, unit)
        } else {
            let admission = try check(task, unit)
            guard admission == .admitted else { return admission }
        }
        if task.isOffered, !unit.unit.reservations.permits(task, unit) { return .reservationConflict }
        enter(task, unit)
        return .admitted
    }

    /// Everything that follows from the row.
    private func check(_ task: SCSITask, _ unit: NexusUnit) throws(SenseData) -> Admission {
        let row = try unit.table.row(for: task.cdb, on: unit.unit)
        task.descriptor = row
        return try row.use { row throws(SenseData) in try check(task, unit, row) }
    }

    private func check(
        _ task: SCSITask, _ unit: NexusUnit, _ row: CommandDescriptor
    ) throws(SenseData) -> Admission {
        try row.checkReservedBits(task.cdb, on: unit.unit)
        if unit.unit.reservations.isAny, !unit.unit.reservations.permits(task, unit) { return .reservationConflict }
        try Self.checkState(of: unit, for: row)
        task.plan = try row.plan(task, unit)
        return .admitted
    }

    private static func checkState(of unit: NexusUnit, for row: CommandDescriptor) throws(SenseData) {
        let conditions = unit.unit.conditions.now
        if !conditions.isDisjoint(with: .unready), let sense = unit.unit.notReadySense(for: row, conditions) {
            throw sense
        }
        if row.traits.contains(.writesMedium), unit.isWriteProtected { throw .writeProtected }
    }

    private func enter(_ task: SCSITask, _ unit: NexusUnit) {
        if let row = task.descriptor, row.use({ $0.traits.contains(.implicitHeadOfQueue) }) {
            task.ordering = .implicitHeadOfQueue
        } else {
            task.ordering = TaskOrdering(task.attribute)
        }
        task.state = .awaitingData
        unit.taskSet.append(task)
    }

    /// SPC-4 5.14: these do not end with a unit attention, also where there is no logical unit. Asked only while one
    /// is pending.
    private static func passesUnitAttention(_ opcode: UInt8) -> Bool { has(.passesUnitAttention, opcode) }

    private static func has(_ trait: CommandDescriptor.Traits, _ opcode: UInt8) -> Bool {
        CommandTable.directAccess.rows.contains { $0.opcode == opcode && $0.traits.contains(trait) }
    }

    // MARK: - Stores that look at CDBs themselves

    /// Whether a CDB goes to the store as it came: all but those of the core.
    private static func isOffered(_ opcode: UInt8, to unit: NexusUnit) -> Bool {
        if opcode == OperationCode.requestSense.rawValue { return !unit.attentions.isAny }
        return !has(.ownedByCore, opcode)
    }

    /// The plan of a command that the store sees first. A row that the core may have to run afterwards is checked now,
    /// since its plan must be known too; what it has to say waits until the store has left the command to the core.
    private func admitOffered(_ task: SCSITask, _ unit: NexusUnit) throws(SenseData) {
        if unit.isReadOnlyView, Self.mayWrite(task.cdb) { throw .writeProtected }
        task.isOffered = true
        let limit = Int(unit.unit.maximumTransferBlockCount) * unit.unit.blockByteCount
        guard task.expectedFromInitiator <= limit else { throw .invalidFieldInCDB }
        guard task.expectedFromInitiator == 0 || task.expectedToInitiator == 0 else {
            throw .invalidFieldInCDB
        }
        var plan = TransferPlan()
        task.refusal = .invalidCommandOperationCode
        if unit.unit.features.passthrough == .first {
            do throws(SenseData) {
                let row = try unit.table.row(for: task.cdb, on: unit.unit).object
                task.descriptor = Borrowed(row)
                try row.checkReservedBits(task.cdb, on: unit.unit)
                plan = try row.plan(task, unit)
                task.refusal = nil
            } catch {
                task.refusal = error
            }
            if let row = task.descriptor?.object { try Self.checkState(of: unit, for: row) }
        }
        if let sized = try OfferedCommand.plan(task, unit) {
            plan.work = max(plan.work, sized.work)
            plan.fromInitiator = sized.fromInitiator
            plan.toInitiator = sized.toInitiator
        } else {
            // Room for what the transport expects.
            plan.fromInitiator = max(plan.fromInitiator, task.expectedFromInitiator)
            plan.toInitiator = max(plan.toInitiator, min(task.expectedToInitiator, limit))
        }
        // The store needs memory, whatever the row would do without.
        plan.isMapped = false
        plan.takesDataAtOnce = false
        task.plan = plan
    }

    /// Whether a command that the store sees first may change the medium, or mode parameters: one of which nobody knows
    /// what it does may. Through a read-only view no such command gets there.
    static func mayWrite(_ cdb: CommandDescriptorBlock) -> Bool {
        let row = CommandTable.directAccess.rows.first {
            $0.opcode == cdb.opcode && ($0.serviceAction == nil || $0.serviceAction == cdb.serviceAction)
        }
        guard let row else { return true }
        return row.traits.contains(.writesMedium) || ModeCommands.selects(cdb)
    }
}
