// SPDX-License-Identifier: Apache-2.0

import SCSI

/// What comes from the initiator to be compared with the medium, and where it stands in the task's buffer.
struct ProtectedComparison {
    var check: ByteCheck
    /// The tags that are compared, as a mask of `ProtectionTuple.word`.
    var tags: UInt64
    var tuples: Int
}

/// Goes over a range of a unit with protection information in pieces: reads data and tuples, and checks or compares them.
enum ProtectedVerification {
    /// The next step; nil when the range is verified to its end. `task.progress` counts verified blocks. `data` and
    /// `stored` are where a piece's room is.
    static func next(
        _ task: SCSITask, _ range: BlockRange, _ comparison: ProtectedComparison, _ medium: ProtectedMedium,
        data: Int, stored: Int
    ) throws(SenseData) -> CommandDescriptor.Step? {
        let piece = piece(of: range, task, medium)
        guard piece.count > 0 else { return nil }
        switch task.phase {
        case .start, .escapesWritten, .dataWritten, .tuplesWritten:
            return medium.readData(task, piece, at: data)
        case .dataRead:
            return medium.readTuples(task, piece, at: stored)
        case .tuplesRead:
            // With a byte check what is on the medium is compared, and only without tags to compare also checked.
            let isChecked = comparison.check == .mediumOnly || !medium.field.isTransferred
            if isChecked {
                try medium.checkStored(
                    task, piece, dataAt: data, stored: stored, medium.field.readChecks, base: range.lba)
            }
            try compare(task, piece, comparison, medium, data: data, stored: stored)
            task.progress += piece.count
            task.phase = .start
            return try next(task, range, comparison, medium, data: data, stored: stored)
        }
    }

    private static func piece(of range: BlockRange, _ task: SCSITask, _ medium: ProtectedMedium) -> BlockRange {
        BlockRange(
            lba: range.lba + task.progress,
            count: min(range.count - task.progress, MediumAccess.pieceBlockCount(on: medium.unit)))
    }

    private static func compare(
        _ task: SCSITask, _ piece: BlockRange, _ comparison: ProtectedComparison, _ medium: ProtectedMedium,
        data: Int, stored: Int
    ) throws(SenseData) {
        guard comparison.check != .mediumOnly else { return }
        let blockByteCount = medium.blockByteCount
        let storedTuples = stored + medium.protection.span(of: piece).lead
        for index in 0..<Int(piece.count) {
            // Of the one block that stands for each there are no others.
            let source = comparison.check == .oneBlock ? 0 : Int(task.progress) + index
            let transferred = source * medium.transferredByteCount
            let offset = task.firstDifference(
                at: source * blockByteCount, from: data + index * blockByteCount, byteCount: blockByteCount)
            if let offset { throw .miscompare(atByte: UInt64(transferred + offset)) }
            guard comparison.tags != 0 else { continue }
            var expected = task.tuple(
                at: comparison.tuples + source * ProtectionTuple.byteCount, isStored: false)
            if comparison.check == .oneBlock, medium.protection.type != .type3 {
                expected.referenceTag &+= UInt32(truncatingIfNeeded: task.progress + UInt64(index))
            }
            let found = task.tuple(at: storedTuples + index * ProtectionTuple.byteCount, isStored: true)
            let difference = (expected.word ^ found.word) & comparison.tags
            if difference != 0 {
                let byte = difference.leadingZeroBitCount / 8
                let fault: ProtectionFault = byte < 2 ? .guardTag : byte < 4 ? .applicationTag : .referenceTag
                throw .protectionMiscompare(fault, atByte: UInt64(transferred + blockByteCount + byte))
            }
        }
    }
}

/// VERIFY of all lengths on a unit with protection information (SBC-4 5.35).
enum ProtectedVerify {
    static func plan(_ task: SCSITask, _ unit: LogicalUnit) throws(SenseData) -> TransferPlan {
        let medium = try ProtectedMedium(task, on: unit)
        let check = try ByteCheck(medium.access, in: task.cdb, allowsOneBlock: true)
        let range = medium.access.range
        try MediumAccess.checkRange(range, on: unit)
        try MediumAccess.checkTransferLength(range, of: task, on: unit)
        let dataBlockCount = dataBlockCount(range.count, check)
        return TransferPlan(
            fromInitiator: Int(dataBlockCount) * medium.transferredByteCount,
            work: room(range.count, check, on: unit).byteCount)
    }

    private static func dataBlockCount(_ count: UInt64, _ check: ByteCheck) -> UInt64 {
        switch check {
        case .mediumOnly: 0
        case .allBlocks: count
        case .oneBlock: min(count, 1)
        }
    }

    private static func room(_ count: UInt64, _ check: ByteCheck, on unit: LogicalUnit) -> ProtectionRoom {
        let piece = min(count, MediumAccess.pieceBlockCount(on: unit))
        return ProtectionRoom(
            dataBlockCount: piece, storedBlockCount: piece, tupleCount: dataBlockCount(count, check), on: unit)
    }

    static func perform(_ task: SCSITask, _ unit: LogicalUnit) throws(SenseData) -> CommandDescriptor.Step {
        let medium = try ProtectedMedium(task, on: unit)
        let check = try ByteCheck(medium.access, in: task.cdb, allowsOneBlock: true)
        let asked = medium.access.range
        var range = asked
        if check == .allBlocks { range.count = medium.receivedBlockCount(task, of: asked.count) }
        if range.count == 0 { return .finished(toInitiator: 0) }
        let start = task.plan.workOffset
        let room = room(asked.count, check, on: unit)
        let tuples = start + room.tuples
        if task.step == 0 {
            try takeData(task, range, check, medium, into: tuples)
            if unit.hasVolatileWriteCache, unit.features.canFlush { return MediumAccess.flush(task) }
        }
        let comparison = ProtectedComparison(
            check: check,
            tags: medium.field.comparedTags(
                medium.protection.type, isOwnedByInitiator: medium.protection.isTagOwnedByInitiator),
            tuples: tuples)
        return try ProtectedVerification.next(
            task, range, comparison, medium, data: start, stored: start + room.stored)
            ?? .finished(toInitiator: 0)
    }

    private static func takeData(
        _ task: SCSITask, _ range: BlockRange, _ check: ByteCheck, _ medium: ProtectedMedium, into tuples: Int
    ) throws(SenseData) {
        guard check != .mediumOnly else { return }
        if check == .oneBlock, task.receivedByteCount < medium.transferredByteCount {
            throw .invalidFieldInCommandInformationUnit
        }
        guard medium.field.isTransferred else { return }
        let count = check == .oneBlock ? 1 : range.count
        try medium.takeData(task, BlockRange(lba: range.lba, count: count), into: tuples)
    }
}

/// WRITE AND VERIFY of all lengths on a unit with protection information.
enum ProtectedWriteAndVerify {
    static func plan(_ task: SCSITask, _ unit: LogicalUnit) throws(SenseData) -> TransferPlan {
        let medium = try ProtectedMedium(task, on: unit)
        _ = try ByteCheck(medium.access, in: task.cdb, allowsOneBlock: false)
        let range = medium.access.range
        try MediumAccess.checkRange(range, on: unit)
        try MediumAccess.checkTransferLength(range, of: task, on: unit)
        return TransferPlan(
            fromInitiator: Int(range.count) * medium.transferredByteCount, work: room(range.count, on: unit).byteCount)
    }

    private static func room(_ count: UInt64, on unit: LogicalUnit) -> ProtectionRoom {
        ProtectionRoom(
            dataBlockCount: min(count, MediumAccess.pieceBlockCount(on: unit)), storedBlockCount: count,
            tupleCount: count, on: unit)
    }

    /// Of `task.descriptorIndex`.
    private enum Stage {
        static let writing = 0
        static let flushing = 1
        static let verifying = 2
    }

    static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let medium = try ProtectedMedium(task, on: unit)
        let check = try ByteCheck(medium.access, in: task.cdb, allowsOneBlock: false)
        let asked = medium.access.range
        let range = BlockRange(lba: asked.lba, count: medium.receivedBlockCount(task, of: asked.count))
        if range.count == 0 { return .finished(toInitiator: 0) }
        let start = task.plan.workOffset
        let room = room(asked.count, on: unit)
        let tuples = start + room.tuples
        if task.step == 0 {
            guard nexus.nexus.holdsAlone(medium.protection.claim(for: range), for: task, on: nexus) else {
                return .wait
            }
            try medium.takeData(task, range, into: tuples)
        }
        if task.descriptorIndex == Stage.writing {
            let step = medium.write(task, range, dataAt: 0, tuplesAt: tuples, stored: start + room.stored)
            if let step { return step }
            task.descriptorIndex = Stage.flushing
            if MediumAccess.mustFlush(unit, isForced: true) { return MediumAccess.flush(task) }
        }
        task.descriptorIndex = Stage.verifying
        // All tags as they were written, whoever made them.
        let comparison = ProtectedComparison(check: check, tags: check == .allBlocks ? .max : 0, tuples: tuples)
        return try ProtectedVerification.next(
            task, range, comparison, medium, data: start, stored: start + room.stored)
            ?? .finished(toInitiator: 0)
    }
}
