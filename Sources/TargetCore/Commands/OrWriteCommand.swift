// SPDX-License-Identifier: Apache-2.0

import SCSI

/// ORWRITE(16) (SBC-4 4.27.4, 5.10): what the blocks hold, ORed with the data that came. No other command sees, or
/// changes, the blocks in between.
enum OrWriteCommand {
    static let row = CommandDescriptor(
        name: "ORWRITE(16)", opcode: .orWrite16, usage: [0x18] + [UInt8](repeating: 0xFF, count: 12) + [0x00, 0x00],
        data: .fromInitiator, traits: [.needsMedium, .writesMedium, .namesOneExtent, .claimsExtent],
        reservation: .never, plan: plan, perform: perform)

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let unit = nexus.unit
        let access = try MediumAccess.checked(task, on: unit)
        return TransferPlan(
            fromInitiator: MediumAccess.byteCount(access.range.count, on: unit),
            work: MediumVerification.workByteCount(access.range.count, on: unit))
    }

    /// In pieces, each read into working memory and written from where its data came; `task.progress` counts bytes.
    /// With FUA what a volatile cache holds goes to the medium before it is read, and what was written at the end.
    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let access = try MediumAccess.access(of: task)
        let count = MediumAccess.receivedBlockCount(task, of: access.range.count, on: unit)
        if count == 0 { return .finished(toInitiator: 0) }
        let range = BlockRange(lba: access.range.lba, count: count)
        if task.step == 0 {
            guard nexus.nexus.holdsAlone(range, for: task, on: nexus) else { return .wait }
            if access.forceUnitAccess, unit.hasVolatileWriteCache, unit.features.canFlush {
                return MediumAccess.flush(task)
            }
        } else if task.request.operation == .read {
            let byteCount = Int(task.request.extentByteCount)
            task.orWork(intoDataAt: Int(task.progress), byteCount: byteCount)
            MediumAccess.prepare(task, .write, piece(of: range, task, on: unit), on: unit)
            task.useData(at: Int(task.progress), byteCount: byteCount)
            return .request
        } else if task.request.operation == .write {
            task.progress += task.request.extentByteCount
        }
        let next = piece(of: range, task, on: unit)
        guard next.count > 0 else { return MediumAccess.endWrite(task, on: unit, isForced: access.forceUnitAccess) }
        MediumAccess.prepare(task, .read, next, on: unit)
        task.useWork(byteCount: MediumAccess.byteCount(next.count, on: unit))
        return .request
    }

    private static func piece(of range: BlockRange, _ task: SCSITask, on unit: LogicalUnit) -> BlockRange {
        let doneCount = task.progress / UInt64(unit.blockByteCount)
        return BlockRange(
            lba: range.lba + doneCount, count: min(range.count - doneCount, MediumAccess.pieceBlockCount(on: unit)))
    }
}
