// SPDX-License-Identifier: Apache-2.0

import SCSI

/// WRITE SAME of all lengths on a unit with protection information: one tuple stands for all, with reference tags that
/// count up, but for type 3. With NDOB data are zeroes and tuples all ones. Deallocated blocks have tuples of all ones.
enum ProtectedWriteSame {
    /// `range`: of the command, with its count made out.
    static func plan(
        _ task: SCSITask, _ range: BlockRange, deallocates: Bool, on unit: LogicalUnit
    ) throws(SenseData) -> TransferPlan {
        let medium = try ProtectedMedium(task, on: unit)
        return TransferPlan(
            fromInitiator: medium.access.noDataOutBuffer ? 0 : medium.transferredByteCount,
            work: room(range.count, deallocates: deallocates, on: unit).byteCount)
    }

    /// The tuple of the first block stands by itself behind those of a piece.
    private static func room(_ count: UInt64, deallocates: Bool, on unit: LogicalUnit) -> ProtectionRoom {
        let piece = pieceCount(count, on: unit)
        return ProtectionRoom(
            dataBlockCount: piece, storedBlockCount: deallocates ? count : piece, tupleCount: piece + 1, on: unit)
    }

    private static func pieceCount(_ count: UInt64, on unit: LogicalUnit) -> UInt64 {
        min(count, MediumAccess.pieceBlockCount(on: unit))
    }

    /// `task.progress` counts blocks done; `task.descriptorIndex` is their end, fixed when the command starts.
    static func perform(
        _ task: SCSITask, _ range: BlockRange, deallocates: Bool, _ nexus: NexusUnit
    ) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let medium = try ProtectedMedium(task, on: unit)
        let plannedCount = task.step == 0 ? range.count : UInt64(task.descriptorIndex)
        let room = room(plannedCount, deallocates: deallocates, on: unit)
        // The working memory was leased by the plan; the medium may have been resized since.
        guard room.byteCount <= task.plan.work else { throw .logicalBlockAddressOutOfRange }
        if plannedCount == 0 { return .finished(toInitiator: 0) }
        let start = task.plan.workOffset
        let stored = start + room.stored
        let tuples = start + room.tuples
        if task.step == 0 {
            task.descriptorIndex = Int(plannedCount)
            let whole = BlockRange(lba: range.lba, count: plannedCount)
            guard medium.access.noDataOutBuffer || task.receivedByteCount >= medium.transferredByteCount else {
                throw .invalidFieldInCommandInformationUnit
            }
            guard nexus.nexus.holdsAlone(medium.protection.claim(for: whole), for: task, on: nexus) else {
                return .wait
            }
            try takeBlock(
                task, whole, pieceCount(plannedCount, on: unit), isZero: deallocates, medium, data: start,
                tuples: tuples)
        }
        while true {
            let remaining = BlockRange(lba: range.lba + task.progress, count: plannedCount - task.progress)
            guard remaining.count > 0 else { return MediumAccess.endWrite(task, on: unit, isForced: false) }
            let next =
                deallocates
                ? UnmapGrid(unit.features).firstPiece(of: remaining) : (range: remaining, isAligned: false)
            var piece = next.range
            if next.isAligned {
                if let step = ProtectedUnmap.next(task, piece, stored: stored, medium) { return step }
            } else {
                piece.count = pieceCount(piece.count, on: unit)
                if task.phase == .start { fillTuples(task, piece, base: range.lba, medium, tuples, plannedCount) }
                let step = medium.write(task, piece, dataAt: start, tuplesAt: tuples, stored: stored)
                if let step { return step }
            }
            task.progress += piece.count
        }
    }

    /// Fills the room for data with the block, and puts its tuple behind those of a piece.
    private static func takeBlock(
        _ task: SCSITask, _ range: BlockRange, _ pieceCount: UInt64, isZero: Bool, _ medium: ProtectedMedium,
        data: Int, tuples: Int
    ) throws(SenseData) {
        let first = tuples + Int(pieceCount) * ProtectionTuple.byteCount
        let hasBlock = !medium.access.noDataOutBuffer
        if hasBlock, medium.field.isTransferred {
            try medium.takeData(task, BlockRange(lba: range.lba, count: 1), into: first)
        }
        task.fillWork(
            withBlockOf: medium.blockByteCount, isZero: !hasBlock || isZero,
            byteCount: MediumAccess.byteCount(pieceCount, on: medium.unit))
        if !hasBlock {
            task.setTuple(.escape, at: first)
        } else if isZero || !medium.field.isTransferred {
            task.generateTuples(
                1, lba: range.lba, dataAt: data, blockByteCount: medium.blockByteCount, into: first,
                medium.protection)
        }
    }

    private static func fillTuples(
        _ task: SCSITask, _ piece: BlockRange, base: UInt64, _ medium: ProtectedMedium, _ tuples: Int,
        _ plannedCount: UInt64
    ) {
        let width = ProtectionTuple.byteCount
        let first = task.tuple(
            at: tuples + Int(pieceCount(plannedCount, on: medium.unit)) * width, isStored: false)
        let counts = medium.protection.type != .type3 && !medium.access.noDataOutBuffer
        for index in 0..<piece.count {
            var tuple = first
            if counts { tuple.referenceTag &+= UInt32(truncatingIfNeeded: piece.lba - base + index) }
            task.setTuple(tuple, at: tuples + Int(index) * width)
        }
    }
}

/// Deallocation on a unit with protection information: tuples become all ones before the blocks go.
enum ProtectedUnmap {
    /// Tuples of so many blocks are changed at a time.
    private static let pieceBlockCount = UInt64(TargetLimits.workByteCount / ProtectionTuple.byteCount)

    static func workByteCount(on unit: LogicalUnit) -> Int {
        ProtectionRoom(storedBlockCount: pieceBlockCount, tupleCount: 0, on: unit).byteCount
    }

    /// The next step of deallocating `range`, whose tuples all fit into the room at `stored`; nil when it is done.
    static func next(
        _ task: SCSITask, _ range: BlockRange, stored: Int, _ medium: ProtectedMedium
    ) -> CommandDescriptor.Step? {
        if task.phase == .dataWritten {
            task.phase = .start
            return nil
        }
        return medium.writeEscapes(task, range, stored: stored) ?? unmap(task, range, on: medium.unit)
    }

    private static func unmap(_ task: SCSITask, _ range: BlockRange, on unit: LogicalUnit) -> CommandDescriptor.Step {
        MediumAccess.prepare(task, .unmap, range, on: unit)
        task.useNoMemory()
        task.phase = .dataWritten
        return .request
    }

    /// The same for a range of any length; `task.progress` counts the blocks whose tuples are done.
    static func nextOfLong(
        _ task: SCSITask, _ range: BlockRange, stored: Int, _ medium: ProtectedMedium
    ) -> CommandDescriptor.Step? {
        if task.phase == .dataWritten {
            task.phase = .start
            task.progress = 0
            return nil
        }
        return escape(task, range, stored: stored, medium) ?? unmap(task, range, on: medium.unit)
    }

    /// The next step of making the tuples of `range` escapes, whatever its length; nil when they are, with `task.phase` at
    /// its start and `task.progress` at the count of blocks. For every command that makes blocks what they were when the
    /// unit was new.
    static func escape(
        _ task: SCSITask, _ range: BlockRange, stored: Int, _ medium: ProtectedMedium
    ) -> CommandDescriptor.Step? {
        while task.progress < range.count {
            let piece = BlockRange(
                lba: range.lba + task.progress, count: min(range.count - task.progress, pieceBlockCount))
            if let step = medium.writeEscapes(task, piece, stored: stored) { return step }
            task.progress += piece.count
            task.phase = .start
        }
        return nil
    }
}
