// SPDX-License-Identifier: Apache-2.0

import SCSI

/// COMPARE AND WRITE (SBC-4 5.3): by the store in one action, or read, compared and written while no other
/// COMPARE AND WRITE of the unit runs.
enum CompareAndWriteCommand {
    static let row = CommandDescriptor(
        name: "COMPARE AND WRITE", opcode: .compareAndWrite,
        usage: [0x18] + [UInt8](repeating: 0xFF, count: 8) + [0x00, 0x00, 0x00, 0xFF, 0x00, 0x00],
        data: .fromInitiator,
        traits: [.needsMedium, .writesMedium, .namesOneExtent, .claimsExtent, .hasProtectField, .keepsProtection],
        reservation: .never, plan: plan,
        perform: perform)

    private static let countByte = 13

    /// MAXIMUM COMPARE AND WRITE LENGTH. The data come twice as long.
    static func maximumBlockCount(on unit: LogicalUnit) -> UInt64 {
        min(TargetLimits.compareAndWriteBlockCount, unit.maximumTransferBlockCount)
    }

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let unit = nexus.unit
        let access = BlockAccess(compareAndWrite: task.cdb)
        try MediumAccess.checkForceUnitAccess(access, of: task, on: unit)
        try MediumAccess.checkRange(access.range, on: unit)
        guard access.range.count <= maximumBlockCount(on: unit) else { throw .invalidFieldInCDB(byte: countByte) }
        if unit.isProtected {
            return try ProtectedCompareAndWrite.plan(task, access, on: unit, countByte: countByte)
        }
        let half = MediumAccess.byteCount(access.range.count, on: unit)
        // Other than all of both halves would compare or write something else than the initiator means.
        guard task.expectedFromInitiator == 2 * half else { throw .invalidFieldInCDB(byte: countByte) }
        return TransferPlan(fromInitiator: 2 * half, work: unit.features.canCompareAndWrite ? 0 : half)
    }

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let access = BlockAccess(compareAndWrite: task.cdb)
        if unit.isProtected { return try ProtectedCompareAndWrite.perform(task, access, nexus) }
        let half = MediumAccess.byteCount(access.range.count, on: unit)
        if half == 0 { return .finished(toInitiator: 0) }
        guard task.receivedByteCount >= 2 * half else { throw .invalidFieldInCommandInformationUnit }
        if unit.features.canCompareAndWrite {
            // Atomic in the store; but readers may be sent its memory as it changes, and atomic commands of the core may
            // be in their midst.
            guard task.step == 0 else {
                return MediumAccess.endWrite(task, on: unit, isForced: access.forceUnitAccess)
            }
            guard nexus.nexus.holdsAlone(access.range, for: task, on: nexus) else { return .wait }
            MediumAccess.prepare(task, .compareAndWrite, access.range, on: unit)
            task.useData(byteCount: 2 * half)
            return .request
        }
        return try emulate(task, access, half, on: nexus)
    }

    private static func emulate(
        _ task: SCSITask, _ access: BlockAccess, _ half: Int, on nexus: NexusUnit
    ) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        switch task.step {
        case 0:
            guard nexus.nexus.holdsAlone(access.range, for: task, on: nexus) else { return .wait }
            MediumAccess.prepare(task, .read, access.range, on: unit)
            task.useWork(byteCount: half)
            return .request
        case 1:
            if let offset = task.firstDifference(fromDataAt: 0, byteCount: half) {
                throw .miscompare(atByte: UInt64(offset))
            }
            MediumAccess.prepare(task, .write, access.range, on: unit)
            task.useData(at: half, byteCount: half)
            return .request
        default:
            return MediumAccess.endWrite(task, on: unit, isForced: access.forceUnitAccess)
        }
    }
}
