// SPDX-License-Identifier: Apache-2.0

import SCSI

/// What the commands that access the medium have in common: the checks of SBC-4 4.6, once, and the requests.
enum MediumAccess {
    /// The range and flags of a checked CDB.
    static func access(of task: SCSITask) throws(SenseData) -> BlockAccess {
        guard let access = BlockAccess(task.cdb) else { throw .internalTargetFailure }
        return access
    }

    static func checkRange(_ range: BlockRange, on unit: LogicalUnit) throws(SenseData) {
        guard range.isWithin(blockCount: unit.blockCount) else { throw .logicalBlockAddressOutOfRange }
    }

    static func checkTransferLength(_ range: BlockRange, of task: SCSITask, on unit: LogicalUnit) throws(SenseData) {
        guard range.count <= unit.maximumTransferBlockCount else {
            throw .invalidFieldInCDB(byte: lengthByte(of: task.cdb))
        }
    }

    /// FUA is refused where nothing could make it true.
    static func checkForceUnitAccess(
        _ access: BlockAccess, of task: SCSITask, on unit: LogicalUnit
    ) throws(SenseData) {
        guard !access.forceUnitAccess || unit.canForceUnitAccess else {
            throw .invalidFieldInCDB(byte: flagByte(of: task.cdb), bit: forceUnitAccessBit)
        }
    }

    /// The checks of READ, WRITE and their like; the access when they pass.
    static func checked(_ task: SCSITask, on unit: LogicalUnit) throws(SenseData) -> BlockAccess {
        let access = try access(of: task)
        try checkForceUnitAccess(access, of: task, on: unit)
        try checkRange(access.range, on: unit)
        try checkTransferLength(access.range, of: task, on: unit)
        return access
    }

    /// Whether a command that has written must flush before it ends: FUA, or a write cache that is reported off.
    static func mustFlush(_ unit: LogicalUnit, isForced: Bool) -> Bool {
        unit.hasVolatileWriteCache && unit.features.canFlush && (isForced || !unit.modes.isWriteCacheEnabled)
    }

    /// The last step of every command that writes: the flush where one is needed, and then GOOD.
    static func endWrite(_ task: SCSITask, on unit: LogicalUnit, isForced: Bool) -> CommandDescriptor.Step {
        if task.request.operation == .flush || !mustFlush(unit, isForced: isForced) {
            return .finished(toInitiator: 0)
        }
        return flush(task)
    }

    static func flush(_ task: SCSITask) -> CommandDescriptor.Step {
        task.request.prepare(.flush)
        task.useNoMemory()
        return .request
    }

    /// Fills the request with a range that was checked, so that nothing here overflows.
    static func prepare(
        _ task: SCSITask, _ operation: BlockRequest.Operation, _ range: BlockRange, on unit: LogicalUnit
    ) {
        let blockByteCount = UInt64(unit.blockByteCount)
        task.request.prepare(
            operation, byteOffset: range.lba * blockByteCount, extentByteCount: range.count * blockByteCount)
    }

    /// Bytes of a checked count of blocks of one transfer.
    static func byteCount(_ blockCount: UInt64, on unit: LogicalUnit) -> Int {
        Int(blockCount) * unit.blockByteCount
    }

    /// Whole blocks of the data that came, no more than `count`: a transport that announced less than the CDB asks
    /// for has its blocks written, and the residual count tells the initiator.
    static func receivedBlockCount(_ task: SCSITask, of count: UInt64, on unit: LogicalUnit) -> UInt64 {
        min(count, UInt64(task.receivedByteCount / unit.blockByteCount))
    }

    /// Blocks that commands going over the medium in pieces take at a time.
    static func pieceBlockCount(on unit: LogicalUnit) -> UInt64 {
        max(1, min(unit.maximumTransferBlockCount, UInt64(TargetLimits.workByteCount / unit.blockByteCount)))
    }

    static let flagByte = 1

    /// Byte 1, or byte 10 of a 32-byte CDB.
    static func flagByte(of cdb: CommandDescriptorBlock) -> Int {
        cdb.opcode == OperationCode.variableLength.rawValue ? 10 : flagByte
    }

    static let forceUnitAccessBit = 3

    /// The first byte of TRANSFER LENGTH and its like, by the group of the operation code.
    static func lengthByte(of cdb: CommandDescriptorBlock) -> Int {
        switch cdb.opcode >> 5 {
        case 0: 4
        case 3: 28
        case 4: 10
        case 5: 6
        default: 7
        }
    }
}
