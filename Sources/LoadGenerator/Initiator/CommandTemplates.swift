// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI

/// The headers of the two commands of a run, made once: only tag, numbers and address differ.
struct CommandTemplates: Sendable {
    let read: CommandTemplate
    let write: CommandTemplate

    init(_ setting: Pipeline.Setting) {
        read = CommandTemplate(setting, isWrite: false)
        write = CommandTemplate(setting, isWrite: true)
    }
}

struct CommandTemplate: Sendable {
    /// Bytes of data in the command PDU.
    let immediateByteCount: Int
    /// Bytes of Data-Out that follow without an R2T.
    let unsolicitedByteCount: Int
    private let isLong: Bool
    /// The header as words in the order of memory.
    private let words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    private enum Offset {
        static let tag = 16
        static let cmdSN = 24
        static let expStatSN = 28
        /// LOGICAL BLOCK ADDRESS of the CDB at 32: four bytes in the 10-byte commands, eight in those of 16.
        static let lba = 34
    }

    init(_ setting: Pipeline.Setting, isWrite: Bool) {
        let session = setting.parameters.session
        let byteCount = setting.unitByteCount
        let firstBurst = min(byteCount, session.firstBurstLength)
        immediateByteCount =
            isWrite && session.immediateData ? min(firstBurst, setting.parameters.maxSendDataSegmentLength) : 0
        unsolicitedByteCount = isWrite && !session.initialR2T ? firstBurst - immediateByteCount : 0
        let blockCount = setting.area.blocksPerUnit
        let lastLBA = setting.area.lba(of: setting.area.unitCount - 1)
        isLong = lastLBA > UInt64(UInt32.max) || blockCount > UInt32(UInt16.max)
        let pdu = SCSICommandPDU(
            isFinal: unsolicitedByteCount == 0, reads: !isWrite, writes: isWrite, lun: setting.lun,
            initiatorTaskTag: 0, expectedDataTransferLength: UInt32(byteCount), cmdSN: 0, expStatSN: 0,
            cdb: Self.cdb(isWrite: isWrite, isLong: isLong, blockCount), dataSegmentLength: UInt32(immediateByteCount))
        let bytes = pdu.encoded
        func word(_ index: Int) -> UInt64 {
            (0..<8).reduce(0) { $0 | UInt64(bytes[index * 8 + $1]) << UInt64(8 * $1) }
        }
        words = (word(0), word(1), word(2), word(3), word(4), word(5))
    }

    /// SBC-4 5: an address of zero.
    private static func cdb(isWrite: Bool, isLong: Bool, _ blockCount: UInt32) -> CommandDescriptorBlock {
        var bytes = [UInt8](repeating: 0, count: 16)
        let code: OperationCode =
            switch (isWrite, isLong) {
            case (false, false): .read10
            case (false, true): .read16
            case (true, false): .write10
            case (true, true): .write16
            }
        bytes[0] = code.rawValue
        let last = isLong ? 13 : 8
        for index in 0..<(isLong ? 4 : 2) {
            bytes[last - index] = UInt8(truncatingIfNeeded: blockCount >> (8 * UInt32(index)))
        }
        // Sixteen bytes are not too many.
        return CommandDescriptorBlock(bytes) ?? CommandDescriptorBlock()
    }

    @inline(__always)
    func encode(into header: inout MutableRawSpan, tag: UInt32, lba: UInt64, cmdSN: UInt32, expStatSN: UInt32) {
        header.storeBytes(of: words.0.littleEndian, toByteOffset: 0, as: UInt64.self)
        header.storeBytes(of: words.1.littleEndian, toByteOffset: 8, as: UInt64.self)
        header.storeBytes(of: words.2.littleEndian, toByteOffset: 16, as: UInt64.self)
        header.storeBytes(of: words.3.littleEndian, toByteOffset: 24, as: UInt64.self)
        header.storeBytes(of: words.4.littleEndian, toByteOffset: 32, as: UInt64.self)
        header.storeBytes(of: words.5.littleEndian, toByteOffset: 40, as: UInt64.self)
        header.store(tag, at: Offset.tag)
        header.store(cmdSN, at: Offset.cmdSN)
        header.store(expStatSN, at: Offset.expStatSN)
        if isLong {
            header.store(lba, at: Offset.lba)
        } else {
            header.store(UInt32(truncatingIfNeeded: lba), at: Offset.lba)
        }
    }
}
