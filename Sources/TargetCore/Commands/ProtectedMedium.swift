// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Where a command of a unit with protection information has arrived with the piece that it works on.
enum ProtectionPhase: UInt8 {
    case start
    case dataRead
    case tuplesRead
    case escapesWritten
    case dataWritten
    case tuplesWritten
}

/// The working memory of such a command: old data, tuples as the device has them, and tuples next to each other.
struct ProtectionRoom {
    /// Bytes from the start of the working memory.
    let stored: Int
    let tuples: Int
    let byteCount: Int

    /// For data and stored tuples of so many blocks, and so many other tuples.
    init(dataBlockCount: UInt64 = 0, storedBlockCount: UInt64, tupleCount: UInt64, on unit: LogicalUnit) {
        func rounded(_ byteCount: Int) -> Int { (byteCount + 4095) & ~4095 }
        stored = rounded(MediumAccess.byteCount(dataBlockCount, on: unit))
        tuples = stored + rounded(unit.protection?.spanByteCount(storedBlockCount) ?? 0)
        byteCount = tuples + rounded(Int(tupleCount) * ProtectionTuple.byteCount)
    }
}

/// The checks and requests that commands on a unit with protection information have in common.
struct ProtectedMedium {
    let unit: LogicalUnit
    let protection: UnitProtection
    let access: BlockAccess
    let field: ProtectField

    /// Throws for a value of the protect field that is reserved.
    init(_ task: SCSITask, on unit: LogicalUnit, access: BlockAccess? = nil) throws(SenseData) {
        guard let protection = unit.protection else { throw .internalTargetFailure }
        self.unit = unit
        self.protection = protection
        if let access { self.access = access } else { self.access = try MediumAccess.access(of: task) }
        guard let field = ProtectField(rawValue: self.access.protect) else {
            throw .invalidFieldInCDB(byte: MediumAccess.flagByte(of: task.cdb), bit: ProtectField.highestBit)
        }
        self.field = field
    }

    var blockByteCount: Int { unit.blockByteCount }

    /// Bytes of a block as it is transferred.
    var transferredByteCount: Int {
        field.isTransferred ? blockByteCount + ProtectionTuple.byteCount : blockByteCount
    }

    /// Whole blocks of the data that came.
    func receivedBlockCount(_ task: SCSITask, of count: UInt64) -> UInt64 {
        min(count, UInt64(task.receivedByteCount / transferredByteCount))
    }

    /// Throws for the tags of `range`, which were read; its data stand at `data`. `base`: the first block of the command.
    func checkStored(
        _ task: SCSITask, _ range: BlockRange, dataAt data: Int, stored: Int, _ checks: ProtectionChecks, base: UInt64
    ) throws(SenseData) {
        let expectation = protection.expectation(checks, lba: base, cdb: task.cdb)
        let found = task.firstFault(
            Int(range.count), dataAt: data, blockByteCount: blockByteCount,
            tuplesAt: stored + protection.span(of: range).lead, isStored: true, expectation,
            from: range.lba - base, protection.type)
        if let found { throw .protectionCheckFailed(found.fault, lba: range.lba + found.index) }
    }

    /// Takes `count` blocks, of `range` and perhaps of it once more, apart as they came, and throws for their tags.
    /// Without tags those of `range` are made.
    func takeData(
        _ task: SCSITask, _ range: BlockRange, times: Int = 1, into tuples: Int
    ) throws(SenseData) {
        let count = Int(range.count)
        guard field.isTransferred else {
            // Of the last time, which is what is written.
            let skipped = (times - 1) * count
            task.generateTuples(
                count, lba: range.lba, dataAt: skipped * blockByteCount, blockByteCount: blockByteCount,
                into: tuples + skipped * ProtectionTuple.byteCount, protection)
            return
        }
        task.separateTuples(times * count, blockByteCount: blockByteCount, into: tuples)
        let expectation = protection.expectation(field.writeChecks, lba: range.lba, cdb: task.cdb)
        for time in 0..<times {
            let found = task.firstFault(
                count, dataAt: time * count * blockByteCount, blockByteCount: blockByteCount,
                tuplesAt: tuples + time * count * ProtectionTuple.byteCount, isStored: false, expectation,
                protection.type)
            if let found { throw .protectionCheckFailed(found.fault, lba: range.lba + found.index) }
        }
    }

    // MARK: - Requests

    func readData(_ task: SCSITask, _ range: BlockRange, at offset: Int) -> CommandDescriptor.Step {
        MediumAccess.prepare(task, .read, range, on: unit)
        task.useData(at: offset, byteCount: MediumAccess.byteCount(range.count, on: unit))
        task.phase = .dataRead
        return .request
    }

    func readTuples(_ task: SCSITask, _ range: BlockRange, at stored: Int) -> CommandDescriptor.Step {
        task.phase = .tuplesRead
        return tuples(task, .read, range, at: stored)
    }

    private func tuples(
        _ task: SCSITask, _ operation: BlockRequest.Operation, _ range: BlockRange, at stored: Int
    ) -> CommandDescriptor.Step {
        let span = protection.span(of: range)
        task.request.prepare(operation, byteOffset: span.byteOffset, extentByteCount: UInt64(span.byteCount))
        task.useData(at: stored, byteCount: span.byteCount)
        return .requestOn(protection.device)
    }

    /// The next step of making the tuples of `range` escapes; nil when they are. The caller holds the blocks alone.
    /// From `tuplesRead` on where the tuples that share the device's blocks are there already.
    func writeEscapes(_ task: SCSITask, _ range: BlockRange, stored: Int) -> CommandDescriptor.Step? {
        switch task.phase {
        case .start where !protection.span(of: range).isExact:
            return readTuples(task, range, at: stored)
        case .start, .dataRead, .tuplesRead:
            task.storeEscapes(Int(range.count), at: stored + protection.span(of: range).lead)
            task.phase = .escapesWritten
            return tuples(task, .write, range, at: stored)
        case .escapesWritten, .dataWritten, .tuplesWritten:
            return nil
        }
    }

    /// The next step of writing data that stand at `data` with the tuples that stand at `tuples`; nil when all is
    /// written, with `task.phase` at its start again.
    func write(
        _ task: SCSITask, _ range: BlockRange, dataAt data: Int, tuplesAt tuples: Int, stored: Int
    ) -> CommandDescriptor.Step? {
        switch task.phase {
        case .start, .dataRead, .tuplesRead:
            return writeEscapes(task, range, stored: stored)
        case .escapesWritten:
            MediumAccess.prepare(task, .write, range, on: unit)
            task.useData(at: data, byteCount: MediumAccess.byteCount(range.count, on: unit))
            task.phase = .dataWritten
            return .request
        case .dataWritten:
            task.storeTuples(Int(range.count), from: tuples, at: stored + protection.span(of: range).lead)
            task.phase = .tuplesWritten
            return self.tuples(task, .write, range, at: stored)
        case .tuplesWritten:
            task.phase = .start
            return nil
        }
    }
}
