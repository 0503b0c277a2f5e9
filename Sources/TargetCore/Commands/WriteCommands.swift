// SPDX-License-Identifier: Apache-2.0

import SCSI

/// WRITE(6), (10), (12) and (16) (SBC-4 5.39 and on).
enum WriteCommands {
    // WRITE(6) has no WRPROTECT, and WRITE(32) is there with protection information of type 2 alone.
    static let rows = [
        row("WRITE(6)", .write6, [0x1F, 0xFF, 0xFF, 0xFF, 0x00], traits: []),
        row("WRITE(10)", .write10, [0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0x00]),
        row("WRITE(12)", .write12, [0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00]),
        row("WRITE(16)", .write16, [0x18] + [UInt8](repeating: 0xFF, count: 12) + [0x00, 0x00]),
        VariableLengthBlockCommands.row(
            "WRITE(32)", .write32, flags: 0xF8, data: .fromInitiator,
            traits: [.needsMedium, .writesMedium, .namesOneExtent, .keepsProtection], reservation: .never, plan: plan,
            perform: perform),
    ]

    private static func row(
        _ name: String, _ opcode: OperationCode, _ usage: [UInt8],
        traits: CommandDescriptor.Traits = .hasProtectField
    ) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, data: .fromInitiator,
            traits: traits.union([.needsMedium, .writesMedium, .namesOneExtent, .keepsProtection]),
            reservation: .never, plan: plan, perform: perform)
    }

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let unit = nexus.unit
        if unit.isProtected { return try ProtectedWrite.plan(task, unit) }
        let access = try MediumAccess.checked(task, on: unit)
        var plan = TransferPlan(fromInitiator: MediumAccess.byteCount(access.range.count, on: unit))
        plan.takesDataAtOnce = unit.copiesWrites
        return plan
    }

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        if unit.isProtected { return try ProtectedWrite.perform(task, nexus) }
        let access = try MediumAccess.access(of: task)
        if task.step > 0 { return MediumAccess.endWrite(task, on: unit, isForced: access.forceUnitAccess) }

        let count = MediumAccess.receivedBlockCount(task, of: access.range.count, on: unit)
        if count == 0 { return .finished(toInitiator: 0) }
        MediumAccess.prepare(task, .write, BlockRange(lba: access.range.lba, count: count), on: unit)
        task.useData(byteCount: MediumAccess.byteCount(count, on: unit))
        return .request
    }
}
