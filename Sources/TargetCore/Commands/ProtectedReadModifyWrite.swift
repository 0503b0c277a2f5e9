// SPDX-License-Identifier: Apache-2.0

import SCSI

/// COMPARE AND WRITE on a unit with protection information. User data are compared, tags are checked: those of both
/// halves that came, and those on the medium.
enum ProtectedCompareAndWrite {
    static func plan(
        _ task: SCSITask, _ access: BlockAccess, on unit: LogicalUnit, countByte: Int
    ) throws(SenseData) -> TransferPlan {
        let medium = try ProtectedMedium(task, on: unit, access: access)
        let byteCount = 2 * Int(access.range.count) * medium.transferredByteCount
        // Other than all of both halves would compare or write something else than the initiator means.
        guard task.expectedFromInitiator == byteCount else { throw .invalidFieldInCDB(byte: countByte) }
        return TransferPlan(fromInitiator: byteCount, work: room(access.range.count, on: unit).byteCount)
    }

    private static func room(_ count: UInt64, on unit: LogicalUnit) -> ProtectionRoom {
        ProtectionRoom(dataBlockCount: count, storedBlockCount: count, tupleCount: 2 * count, on: unit)
    }

    static func perform(_ task: SCSITask, _ access: BlockAccess, _ nexus: NexusUnit) throws(SenseData)
        -> CommandDescriptor.Step
    {
        let unit = nexus.unit
        let medium = try ProtectedMedium(task, on: unit, access: access)
        let range = access.range
        if range.count == 0 { return .finished(toInitiator: 0) }
        if task.step > 0, task.request.operation == .flush { return .finished(toInitiator: 0) }
        let half = MediumAccess.byteCount(range.count, on: unit)
        let room = room(range.count, on: unit)
        let stored = task.plan.workOffset + room.stored
        let tuples = task.plan.workOffset + room.tuples
        if task.step == 0 {
            guard task.receivedByteCount >= 2 * Int(range.count) * medium.transferredByteCount else {
                throw .invalidFieldInCommandInformationUnit
            }
            guard nexus.nexus.holdsAlone(medium.protection.claim(for: range), for: task, on: nexus) else {
                return .wait
            }
            try medium.takeData(task, range, times: 2, into: tuples)
            return medium.readData(task, range, at: task.plan.workOffset)
        }
        if task.phase == .dataRead { return medium.readTuples(task, range, at: stored) }
        if task.phase == .tuplesRead {
            try medium.checkStored(
                task, range, dataAt: task.plan.workOffset, stored: stored, medium.field.readChecks, base: range.lba)
            if let offset = task.firstDifference(fromDataAt: 0, byteCount: half) {
                throw .miscompare(atByte: transferredOffset(offset, medium))
            }
        }
        return medium.write(
            task, range, dataAt: half, tuplesAt: tuples + Int(range.count) * ProtectionTuple.byteCount, stored: stored)
            ?? MediumAccess.endWrite(task, on: unit, isForced: access.forceUnitAccess)
    }

    /// A byte of the data, counted in what was transferred.
    private static func transferredOffset(_ offset: Int, _ medium: ProtectedMedium) -> UInt64 {
        let (block, rest) = offset.quotientAndRemainder(dividingBy: medium.blockByteCount)
        return UInt64(block * medium.transferredByteCount + rest)
    }
}

/// ORWRITE(16) on a unit with protection information: guards are made anew, for what is written is not what came; the
/// other tags are those that came.
enum ProtectedOrWrite {
    static func plan(_ task: SCSITask, _ unit: LogicalUnit) throws(SenseData) -> TransferPlan {
        let medium = try ProtectedMedium(task, on: unit, access: MediumAccess.checked(task, on: unit))
        let count = medium.access.range.count
        return TransferPlan(
            fromInitiator: Int(count) * medium.transferredByteCount, work: room(count, on: unit).byteCount)
    }

    private static func room(_ count: UInt64, on unit: LogicalUnit) -> ProtectionRoom {
        let piece = min(count, MediumAccess.pieceBlockCount(on: unit))
        return ProtectionRoom(dataBlockCount: piece, storedBlockCount: piece, tupleCount: count, on: unit)
    }

    /// In pieces; `task.progress` counts blocks.
    static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let medium = try ProtectedMedium(task, on: unit)
        let asked = medium.access.range
        let range = BlockRange(lba: asked.lba, count: medium.receivedBlockCount(task, of: asked.count))
        if range.count == 0 { return .finished(toInitiator: 0) }
        let isForced = medium.access.forceUnitAccess
        let room = room(asked.count, on: unit)
        let tuples = task.plan.workOffset + room.tuples
        if task.step == 0 {
            guard nexus.nexus.holdsAlone(medium.protection.claim(for: range), for: task, on: nexus) else {
                return .wait
            }
            try medium.takeData(task, range, into: tuples)
            if isForced, unit.hasVolatileWriteCache, unit.features.canFlush { return MediumAccess.flush(task) }
        } else if task.progress == range.count {
            return MediumAccess.endWrite(task, on: unit, isForced: isForced)
        }
        let piece = BlockRange(
            lba: range.lba + task.progress,
            count: min(range.count - task.progress, MediumAccess.pieceBlockCount(on: unit)))
        let data = Int(task.progress) * unit.blockByteCount
        let pieceTuples = tuples + Int(task.progress) * ProtectionTuple.byteCount
        let stored = task.plan.workOffset + room.stored
        switch task.phase {
        case .start:
            return medium.readData(task, piece, at: task.plan.workOffset)
        case .dataRead:
            return medium.readTuples(task, piece, at: stored)
        case .tuplesRead:
            try medium.checkStored(
                task, piece, dataAt: task.plan.workOffset, stored: stored, medium.field.readChecks, base: range.lba)
            task.orWork(intoDataAt: data, byteCount: MediumAccess.byteCount(piece.count, on: unit))
            renewGuards(task, piece, dataAt: data, tuplesAt: pieceTuples, unit.blockByteCount)
        case .escapesWritten, .dataWritten, .tuplesWritten:
            break
        }
        if let step = medium.write(task, piece, dataAt: data, tuplesAt: pieceTuples, stored: stored) { return step }
        task.progress += piece.count
        return try perform(task, nexus)
    }

    private static func renewGuards(
        _ task: SCSITask, _ piece: BlockRange, dataAt data: Int, tuplesAt tuples: Int, _ blockByteCount: Int
    ) {
        for index in 0..<Int(piece.count) {
            let offset = tuples + index * ProtectionTuple.byteCount
            var tuple = task.tuple(at: offset, isStored: false)
            tuple.guardTag = task.guardTag(
                ofDataAt: data + index * blockByteCount, blockByteCount: blockByteCount)
            task.setTuple(tuple, at: offset)
        }
    }
}
