// SPDX-License-Identifier: Apache-2.0

/// A run of logical blocks: from a command descriptor block, or a parameter list.
public struct BlockRange: Equatable, Sendable {
    /// The first logical block.
    public var lba: UInt64
    /// Logical blocks; zero names none.
    public var count: UInt64

    @inlinable
    public init(lba: UInt64, count: UInt64) {
        self.lba = lba
        self.count = count
    }

    /// Whether the whole range lies on a medium of `blockCount` blocks. An empty range lies on it when it begins
    /// no later than behind the last block. Cannot overflow.
    @inlinable
    public func isWithin(blockCount: UInt64) -> Bool {
        lba <= blockCount && count <= blockCount - lba
    }

    /// The range as bytes, or nil when that is no offset or length of a file (above Int64.max).
    @inlinable
    public func byteExtent(blockByteCount: Int) -> (offset: UInt64, byteCount: UInt64)? {
        let (offset, offsetOverflow) = lba.multipliedReportingOverflow(by: UInt64(blockByteCount))
        let (length, lengthOverflow) = count.multipliedReportingOverflow(by: UInt64(blockByteCount))
        let (end, endOverflow) = offset.addingReportingOverflow(length)
        guard !offsetOverflow, !lengthOverflow, !endOverflow, end <= UInt64(Int64.max) else { return nil }
        return (offset, length)
    }
}

/// The block range of a CDB and the bits that say how it is accessed (SBC-4 clause 5). Which of the bits a command has,
/// its usage mask says; a bit that a command does not define is zero once its reserved bits were checked.
public struct BlockAccess: Equatable, Sendable {
    public var range: BlockRange
    /// Byte 1, or byte 10 of a 32-byte CDB: its bits mean what the command says. Zero with 6 bytes.
    @usableFromInline var flagByte: UInt8
    /// GROUP NUMBER.
    public var groupNumber: UInt8

    @inlinable
    init(lba: UInt64, count: UInt64, flagByte: UInt8, groupNumber: UInt8) {
        range = BlockRange(lba: lba, count: count)
        self.flagByte = flagByte
        self.groupNumber = groupNumber
    }

    /// READ(6) and WRITE(6): 21 bits of address; a TRANSFER LENGTH of zero means 256 blocks.
    @inlinable
    public init(sixByte cdb: CommandDescriptorBlock) {
        let count = UInt64(cdb[4])
        self.init(
            lba: UInt64(cdb.uint24(at: 1) & 0x1F_FFFF), count: count == 0 ? 256 : count, flagByte: 0, groupNumber: 0)
    }

    /// Address in bytes 2 to 5, length in bytes 7 and 8.
    @inlinable
    public init(tenByte cdb: CommandDescriptorBlock) {
        self.init(
            lba: UInt64(cdb.uint32(at: 2)), count: UInt64(cdb.uint16(at: 7)), flagByte: cdb[1],
            groupNumber: cdb[6] & 0x3F)
    }

    /// Address in bytes 2 to 5, length in bytes 6 to 9.
    @inlinable
    public init(twelveByte cdb: CommandDescriptorBlock) {
        self.init(
            lba: UInt64(cdb.uint32(at: 2)), count: UInt64(cdb.uint32(at: 6)), flagByte: cdb[1],
            groupNumber: cdb[10] & 0x3F)
    }

    /// Address in bytes 2 to 9, length in bytes 10 to 13.
    @inlinable
    public init(sixteenByte cdb: CommandDescriptorBlock) {
        self.init(
            lba: cdb.uint64(at: 2), count: UInt64(cdb.uint32(at: 10)), flagByte: cdb[1], groupNumber: cdb[14] & 0x3F)
    }

    /// Variable length: flags in byte 10, address in bytes 12 to 19, length in bytes 28 to 31.
    @inlinable
    public init(thirtyTwoByte cdb: CommandDescriptorBlock) {
        self.init(
            lba: cdb.uint64(at: 12), count: UInt64(cdb.uint32(at: 28)), flagByte: cdb[10], groupNumber: cdb[6] & 0x3F)
    }

    /// COMPARE AND WRITE: as 16 bytes, but NUMBER OF LOGICAL BLOCKS is byte 13 alone.
    @inlinable
    public init(compareAndWrite cdb: CommandDescriptorBlock) {
        self.init(
            lba: cdb.uint64(at: 2), count: UInt64(cdb[13]), flagByte: cdb[1], groupNumber: cdb[14] & 0x3F)
    }

    /// By the group of the operation code; nil for groups without a common shape of block commands.
    @inlinable
    public init?(_ cdb: CommandDescriptorBlock) {
        switch cdb.opcode >> 5 {
        case 0: self.init(sixByte: cdb)
        case 1, 2: self.init(tenByte: cdb)
        case 3 where cdb.opcode == CommandDescriptorBlock.variableLengthOpcode: self.init(thirtyTwoByte: cdb)
        case 4: self.init(sixteenByte: cdb)
        case 5: self.init(twelveByte: cdb)
        default: return nil
        }
    }
}

extension BlockAccess {
    /// RDPROTECT, WRPROTECT, VRPROTECT or ORPROTECT: 0 to 7.
    @inlinable
    public var protect: UInt8 { flagByte >> 5 }

    /// DPO: the blocks are not worth keeping in a cache.
    @inlinable
    public var disablePageOut: Bool { flagByte & 0x10 != 0 }

    /// FUA: a read comes from the medium, a write ends on it.
    @inlinable
    public var forceUnitAccess: Bool { flagByte & 0x08 != 0 }

    /// BYTCHK of VERIFY and WRITE AND VERIFY, 0 to 3.
    @inlinable
    public var byteCheck: UInt8 { flagByte >> 1 & 0x03 }

    /// IMMED of SYNCHRONIZE CACHE and PRE-FETCH: status comes before the work is done.
    @inlinable
    public var immediate: Bool { flagByte & 0x02 != 0 }

    /// ANCHOR of WRITE SAME.
    @inlinable
    public var anchor: Bool { flagByte & 0x10 != 0 }

    /// UNMAP of WRITE SAME.
    @inlinable
    public var unmap: Bool { flagByte & 0x08 != 0 }

    /// NDOB of WRITE SAME(16): no data comes; zeroes are written.
    @inlinable
    public var noDataOutBuffer: Bool { flagByte & 0x01 != 0 }
}
