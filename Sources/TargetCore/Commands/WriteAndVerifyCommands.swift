// SPDX-License-Identifier: Apache-2.0

import SCSI

/// WRITE AND VERIFY(10), (12) and (16) (SBC-4 5.44 and on): write, bring to the medium, read back, compare.
enum WriteAndVerifyCommands {
    static let rows = [
        row("WRITE AND VERIFY(10)", .writeAndVerify10, [0x16, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0x00]),
        row(
            "WRITE AND VERIFY(12)", .writeAndVerify12,
            [0x16, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00]),
        row("WRITE AND VERIFY(16)", .writeAndVerify16, [0x16] + [UInt8](repeating: 0xFF, count: 12) + [0x00, 0x00]),
        VariableLengthBlockCommands.row(
            "WRITE AND VERIFY(32)", .writeAndVerify32, flags: 0xF6, data: .fromInitiator,
            traits: [.needsMedium, .writesMedium, .namesOneExtent, .keepsProtection], reservation: .never,
            isSupported: { $0.canForceUnitAccess }, plan: plan, perform: perform),
    ]

    /// There is no row where the data could not be brought to the medium.
    private static func row(_ name: String, _ opcode: OperationCode, _ usage: [UInt8]) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, data: .fromInitiator,
            traits: [.needsMedium, .writesMedium, .namesOneExtent, .hasProtectField, .keepsProtection],
            reservation: .never, isSupported: { $0.canForceUnitAccess }, plan: plan, perform: perform)
    }

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let unit = nexus.unit
        if unit.isProtected { return try ProtectedWriteAndVerify.plan(task, unit) }
        let access = try MediumAccess.access(of: task)
        _ = try ByteCheck(access, in: task.cdb, allowsOneBlock: false)
        try MediumAccess.checkRange(access.range, on: unit)
        try MediumAccess.checkTransferLength(access.range, of: task, on: unit)
        return TransferPlan(
            fromInitiator: MediumAccess.byteCount(access.range.count, on: unit),
            work: MediumVerification.workByteCount(access.range.count, on: unit))
    }

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        if unit.isProtected { return try ProtectedWriteAndVerify.perform(task, nexus) }
        let access = try MediumAccess.access(of: task)
        let check = try ByteCheck(access, in: task.cdb, allowsOneBlock: false)
        var range = access.range
        range.count = MediumAccess.receivedBlockCount(task, of: range.count, on: unit)
        if range.count == 0 { return .finished(toInitiator: 0) }
        if task.step == 0 {
            MediumAccess.prepare(task, .write, range, on: unit)
            task.useData(byteCount: MediumAccess.byteCount(range.count, on: unit))
            return .request
        }
        if task.request.operation == .write, MediumAccess.mustFlush(unit, isForced: true) {
            return MediumAccess.flush(task)
        }
        return try MediumVerification.next(task, range, check, on: unit) ?? .finished(toInitiator: 0)
    }
}
