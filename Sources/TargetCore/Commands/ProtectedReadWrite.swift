// SPDX-License-Identifier: Apache-2.0

import SCSI

/// READ of all lengths on a unit with protection information.
enum ProtectedRead {
    static func plan(_ task: SCSITask, _ unit: LogicalUnit) throws(SenseData) -> TransferPlan {
        let medium = try ProtectedMedium(task, on: unit, access: MediumAccess.checked(task, on: unit))
        let count = medium.access.range.count
        return TransferPlan(
            toInitiator: Int(count) * medium.transferredByteCount, work: room(count, on: unit).byteCount)
    }

    private static func room(_ count: UInt64, on unit: LogicalUnit) -> ProtectionRoom {
        ProtectionRoom(storedBlockCount: count, tupleCount: 0, on: unit)
    }

    static func perform(_ task: SCSITask, _ unit: LogicalUnit) throws(SenseData) -> CommandDescriptor.Step {
        let medium = try ProtectedMedium(task, on: unit)
        let range = medium.access.range
        if range.count == 0 { return .finished(toInitiator: 0) }
        let stored = task.plan.workOffset + room(range.count, on: unit).stored
        switch task.phase {
        case .start:
            if task.step == 0, medium.access.forceUnitAccess, unit.hasVolatileWriteCache, unit.features.canFlush {
                return MediumAccess.flush(task)
            }
            return medium.readData(task, range, at: 0)
        case .dataRead:
            return medium.readTuples(task, range, at: stored)
        case .tuplesRead, .escapesWritten, .dataWritten, .tuplesWritten:
            try medium.checkStored(
                task, range, dataAt: 0, stored: stored, medium.field.readChecks, base: range.lba)
            if medium.field.isTransferred {
                task.joinTuples(
                    Int(range.count), blockByteCount: unit.blockByteCount,
                    stored: stored + medium.protection.span(of: range).lead)
            }
            return .finished(toInitiator: Int(range.count) * medium.transferredByteCount)
        }
    }
}

/// WRITE of all lengths on a unit with protection information. Nothing is written when a tag fails its check.
enum ProtectedWrite {
    static func plan(_ task: SCSITask, _ unit: LogicalUnit) throws(SenseData) -> TransferPlan {
        let medium = try ProtectedMedium(task, on: unit, access: MediumAccess.checked(task, on: unit))
        let count = medium.access.range.count
        return TransferPlan(
            fromInitiator: Int(count) * medium.transferredByteCount, work: room(count, on: unit).byteCount)
    }

    static func room(_ count: UInt64, on unit: LogicalUnit) -> ProtectionRoom {
        ProtectionRoom(storedBlockCount: count, tupleCount: count, on: unit)
    }

    static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let medium = try ProtectedMedium(task, on: unit)
        let asked = medium.access.range
        let range = BlockRange(lba: asked.lba, count: medium.receivedBlockCount(task, of: asked.count))
        if range.count == 0 { return .finished(toInitiator: 0) }
        if task.step > 0, task.request.operation == .flush { return .finished(toInitiator: 0) }
        let room = room(asked.count, on: unit)
        let tuples = task.plan.workOffset + room.tuples
        if task.step == 0 {
            guard nexus.nexus.holdsAlone(medium.protection.claim(for: range), for: task, on: nexus) else {
                return .wait
            }
            try medium.takeData(task, range, into: tuples)
        }
        return medium.write(
            task, range, dataAt: 0, tuplesAt: tuples, stored: task.plan.workOffset + room.stored)
            ?? MediumAccess.endWrite(task, on: unit, isForced: medium.access.forceUnitAccess)
    }
}
