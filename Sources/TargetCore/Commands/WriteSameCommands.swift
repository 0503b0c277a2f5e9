// SPDX-License-Identifier: Apache-2.0

import SCSI

/// WRITE SAME(10) and (16) (SBC-4 5.48, 5.49).
///
/// Zeroes go to the store as such where it can write them by itself, with storage or, for UNMAP one, without. Where it
/// has no call of its own for the block either, that is written in pieces from working memory. UNMAP one asks for
/// deallocation: where unmapped blocks read as zeroes, whole grains are deallocated and the rest is zeroed, whatever
/// block came with the command (docs/conformance.md says why).
enum WriteSameCommands {
    /// ANCHOR and the obsolete bits must be zero; only the 16-byte command has NDOB.
    static let rows = [
        row("WRITE SAME(10)", .writeSame10, [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0x00]),
        row("WRITE SAME(16)", .writeSame16, [0x09] + [UInt8](repeating: 0xFF, count: 12) + [0x00, 0x00]),
        VariableLengthBlockCommands.row(
            "WRITE SAME(32)", .writeSame32, flags: 0xE9, data: .fromInitiator,
            traits: [.needsMedium, .writesMedium, .keepsProtection], reservation: .never, plan: plan,
            perform: perform),
    ]

    private static func row(_ name: String, _ opcode: OperationCode, _ usage: [UInt8]) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, data: .fromInitiator,
            traits: [.needsMedium, .writesMedium, .hasProtectField, .keepsProtection], reservation: .never, plan: plan,
            perform: perform)
    }

    private static let unmapBit = 3

    /// MAXIMUM WRITE SAME LENGTH.
    static func maximumBlockCount(on unit: LogicalUnit) -> UInt64 {
        TargetLimits.writeSameBlockCount
    }

    /// NUMBER OF LOGICAL BLOCKS zero means up to the last block (WSNZ zero).
    private static func range(_ access: BlockAccess, on unit: LogicalUnit) -> BlockRange {
        guard access.range.count == 0 else { return access.range }
        return BlockRange(lba: access.range.lba, count: unit.blockCount - min(access.range.lba, unit.blockCount))
    }

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let unit = nexus.unit
        let access = try MediumAccess.access(of: task)
        if access.unmap, !unit.features.canUnmap {
            throw .invalidFieldInCDB(byte: MediumAccess.flagByte(of: task.cdb), bit: unmapBit)
        }
        try MediumAccess.checkRange(access.range, on: unit)
        let range = range(access, on: unit)
        guard range.count <= maximumBlockCount(on: unit) else {
            throw .invalidFieldInCDB(byte: MediumAccess.lengthByte(of: task.cdb))
        }
        if unit.isProtected {
            return try ProtectedWriteSame.plan(task, range, deallocates: deallocates(access, on: unit), on: unit)
        }
        // Other than one block is not what the initiator means: the rest of it would be lost, or made up.
        guard access.noDataOutBuffer || task.expectedFromInitiator == unit.blockByteCount else {
            throw .invalidFieldInCDB(byte: MediumAccess.lengthByte(of: task.cdb))
        }
        return TransferPlan(
            fromInitiator: access.noDataOutBuffer ? 0 : unit.blockByteCount,
            work: MediumAccess.byteCount(workBlockCount(access, range, on: unit), on: unit))
    }

    private static func workBlockCount(_ access: BlockAccess, _ range: BlockRange, on unit: LogicalUnit) -> UInt64 {
        if unit.features.canWriteZeroes, isKnownZero(access, on: unit) { return 0 }
        return unit.features.canWriteSame ? 1 : min(range.count, MediumAccess.pieceBlockCount(on: unit))
    }

    /// Zeroes are to be written whatever block comes.
    private static func isKnownZero(_ access: BlockAccess, on unit: LogicalUnit) -> Bool {
        access.noDataOutBuffer || deallocates(access, on: unit)
    }

    /// Whether the store writes zeroes by itself: decided in the first step, by the block that came.
    private static func writesZeroes(_ task: SCSITask, _ access: BlockAccess, on unit: LogicalUnit) -> Bool {
        guard unit.features.canWriteZeroes else { return false }
        guard task.step == 0 else { return task.request.operation == .writeZeroes }
        return isKnownZero(access, on: unit) || task.isZero(byteCount: unit.blockByteCount)
    }

    private static func deallocates(_ access: BlockAccess, on unit: LogicalUnit) -> Bool {
        access.unmap && unit.features.unmappedReadsZero
    }

    /// `task.progress` counts blocks done; `task.descriptorIndex` is their end, fixed when the command starts.
    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let access = try MediumAccess.access(of: task)
        if unit.isProtected {
            return try ProtectedWriteSame.perform(
                task, range(access, on: unit), deallocates: deallocates(access, on: unit), nexus)
        }
        let blockByteCount = unit.blockByteCount
        if task.step == 0 {
            guard access.noDataOutBuffer || task.receivedByteCount >= blockByteCount else {
                throw .invalidFieldInCommandInformationUnit
            }
            task.descriptorIndex = Int(range(access, on: unit).count)
            // The working memory was leased by the plan; the medium may have been resized since.
            guard task.descriptorIndex <= Int(maximumBlockCount(on: unit)) else { throw .logicalBlockAddressOutOfRange }
            if !writesZeroes(task, access, on: unit) {
                task.fillWork(
                    withBlockOf: blockByteCount, isZero: isKnownZero(access, on: unit), byteCount: task.plan.work)
            }
        } else if task.request.operation != .flush {
            task.progress += task.request.extentByteCount / UInt64(blockByteCount)
        }
        let remaining = BlockRange(
            lba: access.range.lba + task.progress, count: UInt64(task.descriptorIndex) - task.progress)
        guard remaining.count > 0 else {
            return task.step == 0 ? .finished(toInitiator: 0) : MediumAccess.endWrite(task, on: unit, isForced: false)
        }
        if writesZeroes(task, access, on: unit) {
            MediumAccess.prepare(task, .writeZeroes, remaining, on: unit)
            task.request.mayUnmap = deallocates(access, on: unit)
            task.useNoMemory()
            return .request
        }
        let piece =
            deallocates(access, on: unit)
            ? UnmapGrid(unit.features).firstPiece(of: remaining) : (range: remaining, isAligned: false)
        if piece.isAligned {
            MediumAccess.prepare(task, .unmap, piece.range, on: unit)
            task.useNoMemory()
        } else if unit.features.canWriteSame {
            MediumAccess.prepare(task, .writeSame, piece.range, on: unit)
            task.useWork(byteCount: blockByteCount)
        } else {
            let count = min(piece.range.count, UInt64(task.plan.work / blockByteCount))
            MediumAccess.prepare(task, .write, BlockRange(lba: remaining.lba, count: count), on: unit)
            task.useWork(byteCount: MediumAccess.byteCount(count, on: unit))
        }
        return .request
    }
}

/// Where a store can deallocate: OPTIMAL UNMAP GRANULARITY and UNMAP GRANULARITY ALIGNMENT (SBC-4 4.7.3.4).
struct UnmapGrid {
    private let granularity: UInt64
    private let alignment: UInt64
    private let maximumCount: UInt64

    init(_ features: BlockDeviceFeatures) {
        granularity = UInt64(max(1, features.unmapGranularity))
        alignment = UInt64(features.unmapGranularityAlignment) % granularity
        let byDevice = features.maximumUnmapBlockCount == 0 ? UInt32.max : features.maximumUnmapBlockCount
        maximumCount = UInt64(min(byDevice, TargetLimits.unmapBlockCount))
    }

    /// The beginning of `range` that lies on the grid throughout and is no longer than one UNMAP may be; or, when it
    /// begins off the grid, the part before the next line of it.
    func firstPiece(of range: BlockRange) -> (range: BlockRange, isAligned: Bool) {
        // Neither sum overflows: addresses are below 2^54 (a byte offset fits in an Int64), granularities below 2^32.
        let beyond = (range.lba + granularity - alignment) % granularity
        if beyond > 0 {
            return (BlockRange(lba: range.lba, count: min(range.count, granularity - beyond)), false)
        }
        let longest = min(range.count, max(maximumCount, granularity))
        let whole = longest - longest % granularity
        return whole == 0 ? (range, false) : (BlockRange(lba: range.lba, count: whole), true)
    }
}
