// SPDX-License-Identifier: Apache-2.0

import SCSI

/// BYTCHK (SBC-4 table 148).
enum ByteCheck: UInt8 {
    /// The medium is read, and nothing compared.
    case mediumOnly = 0b00
    /// Block by block against as many blocks from the initiator.
    case allBlocks = 0b01
    /// Every block against the one from the initiator.
    case oneBlock = 0b11

    static let highestBit = 2

    /// Throws for the reserved value, and for `oneBlock` where the command does not define it.
    init(_ access: BlockAccess, in cdb: CommandDescriptorBlock, allowsOneBlock: Bool) throws(SenseData) {
        guard let check = ByteCheck(rawValue: access.byteCheck), check != .oneBlock || allowsOneBlock else {
            throw .invalidFieldInCDB(byte: MediumAccess.flagByte(of: cdb), bit: Self.highestBit)
        }
        self = check
    }
}

/// Goes over a range of the medium in pieces, reading each into working memory and comparing it.
enum MediumVerification {
    /// The next step; nil when the range is verified to its end. `task.progress` counts verified bytes.
    static func next(
        _ task: SCSITask, _ range: BlockRange, _ check: ByteCheck, on unit: LogicalUnit
    ) throws(SenseData) -> CommandDescriptor.Step? {
        let blockByteCount = UInt64(unit.blockByteCount)
        if task.step > 0, task.request.operation == .read {
            try compare(task, check, on: unit)
            task.progress += task.request.extentByteCount
        }
        let doneCount = task.progress / blockByteCount
        guard doneCount < range.count else { return nil }
        let count = min(range.count - doneCount, MediumAccess.pieceBlockCount(on: unit))
        MediumAccess.prepare(task, .read, BlockRange(lba: range.lba + doneCount, count: count), on: unit)
        task.useWork(byteCount: MediumAccess.byteCount(count, on: unit))
        return .request
    }

    private static func compare(_ task: SCSITask, _ check: ByteCheck, on unit: LogicalUnit) throws(SenseData) {
        let byteCount = Int(task.request.extentByteCount)
        switch check {
        case .mediumOnly:
            return
        case .allBlocks:
            let start = Int(task.progress)
            guard let offset = task.firstDifference(fromDataAt: start, byteCount: byteCount) else { return }
            throw .miscompare(atByte: UInt64(start + offset))
        case .oneBlock:
            let blockByteCount = unit.blockByteCount
            guard let offset = task.firstDifference(fromRepeatedBlock: blockByteCount, byteCount: byteCount) else {
                return
            }
            throw .miscompare(atByte: UInt64(offset))
        }
    }

    static func workByteCount(_ count: UInt64, on unit: LogicalUnit) -> Int {
        MediumAccess.byteCount(min(count, MediumAccess.pieceBlockCount(on: unit)), on: unit)
    }
}

/// VERIFY(10), (12) and (16) (SBC-4 5.35 and on).
enum VerifyCommands {
    static let rows = [
        row("VERIFY(10)", .verify10, [0x16, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0x00]),
        row("VERIFY(12)", .verify12, [0x16, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00]),
        row("VERIFY(16)", .verify16, [0x16] + [UInt8](repeating: 0xFF, count: 12) + [0x00, 0x00]),
        VariableLengthBlockCommands.row(
            "VERIFY(32)", .verify32, flags: 0xF6, data: .fromInitiator,
            traits: [.needsMedium, .readsMedium, .namesOneExtent], reservation: .duringWriteExclusive, plan: plan,
            perform: perform),
    ]

    private static func row(_ name: String, _ opcode: OperationCode, _ usage: [UInt8]) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, data: .fromInitiator,
            traits: [.needsMedium, .readsMedium, .namesOneExtent, .hasProtectField],
            reservation: .duringWriteExclusive, plan: plan, perform: perform)
    }

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let unit = nexus.unit
        if unit.isProtected { return try ProtectedVerify.plan(task, unit) }
        let access = try MediumAccess.access(of: task)
        let check = try ByteCheck(access, in: task.cdb, allowsOneBlock: true)
        try MediumAccess.checkRange(access.range, on: unit)
        try MediumAccess.checkTransferLength(access.range, of: task, on: unit)
        let count = access.range.count
        let dataBlockCount: UInt64 =
            switch check {
            case .mediumOnly: 0
            case .allBlocks: count
            case .oneBlock: min(count, 1)
            }
        return TransferPlan(
            fromInitiator: MediumAccess.byteCount(dataBlockCount, on: unit),
            work: MediumVerification.workByteCount(count, on: unit))
    }

    /// What a volatile cache holds goes to the medium first, since that is what is verified.
    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        if unit.isProtected { return try ProtectedVerify.perform(task, unit) }
        let access = try MediumAccess.access(of: task)
        let check = try ByteCheck(access, in: task.cdb, allowsOneBlock: true)
        var range = access.range
        switch check {
        case .mediumOnly:
            break
        case .allBlocks:
            range.count = MediumAccess.receivedBlockCount(task, of: range.count, on: unit)
        case .oneBlock:
            if range.count > 0, task.receivedByteCount < unit.blockByteCount {
                throw .invalidFieldInCommandInformationUnit
            }
        }
        if task.step == 0, range.count > 0, unit.hasVolatileWriteCache, unit.features.canFlush {
            return MediumAccess.flush(task)
        }
        return try MediumVerification.next(task, range, check, on: unit) ?? .finished(toInitiator: 0)
    }
}
