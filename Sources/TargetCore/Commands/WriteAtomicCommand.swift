// SPDX-License-Identifier: Apache-2.0

import SCSI

/// WRITE ATOMIC(16) (SBC-4 5.48): no other command of the logical unit sees or leaves a mix of the blocks before and
/// after. The blocks are the command's alone while it runs (`ITNexus.holdsAlone`), on every kind of store.
enum WriteAtomicCommand {
    static let row = CommandDescriptor(
        name: "WRITE ATOMIC(16)", opcode: .writeAtomic16,
        usage: [0x18] + [UInt8](repeating: 0xFF, count: 12) + [0x00, 0x00], data: .fromInitiator,
        traits: [.needsMedium, .writesMedium, .namesOneExtent, .claimsExtent, .hasProtectField, .keepsProtection],
        reservation: .never, plan: plan,
        perform: perform)

    private static let addressByte = 2
    private static let boundaryByte = 10
    private static let lengthByte = 12

    /// MAXIMUM ATOMIC TRANSFER LENGTH; the longest that the command can name is 65,535.
    static func maximumBlockCount(on unit: LogicalUnit) -> UInt64 {
        min(unit.maximumTransferBlockCount, UInt64(UInt16.max))
    }

    private static func range(_ cdb: CommandDescriptorBlock) -> BlockRange {
        BlockRange(lba: cdb.uint64(at: addressByte), count: UInt64(cdb.uint16(at: lengthByte)))
    }

    /// MAXIMUM ATOMIC BOUNDARY SIZE is zero: an ATOMIC BOUNDARY other than zero, which would split the write, is refused.
    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let unit = nexus.unit
        let access = try MediumAccess.access(of: task)
        let range = range(task.cdb)
        try MediumAccess.checkForceUnitAccess(access, of: task, on: unit)
        guard task.cdb.uint16(at: boundaryByte) == 0 else { throw .invalidFieldInCDB(byte: boundaryByte) }
        try MediumAccess.checkRange(range, on: unit)
        guard range.count <= maximumBlockCount(on: unit) else { throw .invalidFieldInCDB(byte: lengthByte) }
        // With protection information every write has its blocks alone.
        if unit.isProtected {
            let plan = try ProtectedWrite.plan(task, unit)
            guard task.expectedFromInitiator >= plan.fromInitiator else { throw .invalidFieldInCDB(byte: lengthByte) }
            return plan
        }
        let byteCount = MediumAccess.byteCount(range.count, on: unit)
        // Less than all of the blocks would not be what the initiator wants to see whole.
        guard task.expectedFromInitiator >= byteCount else { throw .invalidFieldInCDB(byte: lengthByte) }
        return TransferPlan(fromInitiator: byteCount)
    }

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        if unit.isProtected { return try ProtectedWrite.perform(task, nexus) }
        let access = try MediumAccess.access(of: task)
        if task.step > 0 { return MediumAccess.endWrite(task, on: unit, isForced: access.forceUnitAccess) }

        let range = range(task.cdb)
        let byteCount = MediumAccess.byteCount(range.count, on: unit)
        guard byteCount > 0 else { return .finished(toInitiator: 0) }
        guard task.receivedByteCount >= byteCount else { throw .invalidFieldInCommandInformationUnit }
        guard nexus.nexus.holdsAlone(range, for: task, on: nexus) else { return .wait }
        MediumAccess.prepare(task, .write, range, on: unit)
        task.useData(byteCount: byteCount)
        return .request
    }
}
