// SPDX-License-Identifier: Apache-2.0

import SCSI

/// PRE-FETCH(10) and (16) (SBC-4 5.15, 5.16).
///
/// There is no cache of ours. The blocks are read once, so that a cache that the store may have holds them; whether it
/// does nobody can tell, so the status is GOOD and never CONDITION MET, unless the blocks are in memory to begin with.
/// With IMMED, and beyond the first `TargetLimits.workByteCount` bytes, nothing is read: what comes before a READ that
/// never comes must not cost more than that.
enum PreFetchCommands {
    /// GROUP NUMBER only tells where to count.
    static let rows = [
        row("PRE-FETCH(10)", .preFetch10, [0x02, 0xFF, 0xFF, 0xFF, 0xFF, 0x3F, 0xFF, 0xFF, 0x00]),
        row("PRE-FETCH(16)", .preFetch16, [0x02] + [UInt8](repeating: 0xFF, count: 12) + [0x3F, 0x00]),
    ]

    private static func row(_ name: String, _ opcode: OperationCode, _ usage: [UInt8]) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, traits: [.needsMedium, .readsMedium, .namesOneExtent],
            reservation: .duringWriteExclusive, plan: plan, perform: perform)
    }

    /// PREFETCH LENGTH zero means up to the last block.
    private static func range(_ task: SCSITask, on unit: LogicalUnit) throws(SenseData) -> BlockRange {
        var range = try MediumAccess.access(of: task).range
        try MediumAccess.checkRange(range, on: unit)
        if range.count == 0 { range.count = unit.blockCount - min(range.lba, unit.blockCount) }
        return range
    }

    private static func readCount(_ range: BlockRange, _ task: SCSITask, on unit: LogicalUnit) -> UInt64 {
        if unit.canMapReads || (BlockAccess(task.cdb)?.immediate ?? false) { return 0 }
        return min(range.count, MediumAccess.pieceBlockCount(on: unit))
    }

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let count = readCount(try range(task, on: nexus.unit), task, on: nexus.unit)
        return TransferPlan(work: MediumAccess.byteCount(count, on: nexus.unit))
    }

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        if unit.canMapReads { return .conditionMet }
        let range = try range(task, on: unit)
        let count = UInt64(task.plan.work / unit.blockByteCount)
        guard task.step == 0, count > 0 else { return .finished(toInitiator: 0) }
        MediumAccess.prepare(task, .read, BlockRange(lba: range.lba, count: min(count, range.count)), on: unit)
        task.useWork(byteCount: MediumAccess.byteCount(min(count, range.count), on: unit))
        return .request
    }
}
