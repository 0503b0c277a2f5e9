// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// SCSI Command (RFC 7143 11.3).
public struct SCSICommandPDU: Equatable, Sendable, EncodablePDU {
    public var isImmediate = false
    /// No unsolicited Data-Out follows.
    public var isFinal = true
    public var reads = false
    public var writes = false
    /// The ATTR field: one of `Attribute`'s values.
    public var attribute: UInt8
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    /// Bytes that the initiator expects to move; of a bidirectional command those that it writes.
    public var expectedDataTransferLength: UInt32
    public var cmdSN: UInt32
    public var expStatSN: UInt32
    public var cdb: CommandDescriptorBlock
    /// Bytes that the initiator of a bidirectional command expects to read.
    public var bidirectionalReadLength: UInt32?
    /// Bytes of immediate data.
    public var dataSegmentLength: UInt32

    /// Task attributes (RFC 7143 11.3.1); 5 to 7 are reserved.
    public enum Attribute {
        public static let untagged: UInt8 = 0
        public static let simple: UInt8 = 1
        public static let ordered: UInt8 = 2
        public static let headOfQueue: UInt8 = 3
        public static let aca: UInt8 = 4
    }

    // Bits of byte 1.
    @usableFromInline static let readBit: UInt8 = 0x40
    @usableFromInline static let writeBit: UInt8 = 0x20
    @usableFromInline static let attributeMask: UInt8 = 0x07
    /// Offset of the 16 CDB bytes.
    @usableFromInline static let cdbOffset = 32

    public init(
        isImmediate: Bool = false, isFinal: Bool = true, reads: Bool = false, writes: Bool = false,
        attribute: UInt8 = Attribute.simple, lun: LogicalUnitNumber, initiatorTaskTag: UInt32,
        expectedDataTransferLength: UInt32 = 0, cmdSN: UInt32, expStatSN: UInt32, cdb: CommandDescriptorBlock,
        bidirectionalReadLength: UInt32? = nil, dataSegmentLength: UInt32 = 0
    ) {
        self.isImmediate = isImmediate
        self.isFinal = isFinal
        self.reads = reads
        self.writes = writes
        self.attribute = attribute
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.expectedDataTransferLength = expectedDataTransferLength
        self.cmdSN = cmdSN
        self.expStatSN = expStatSN
        self.cdb = cdb
        self.bidirectionalReadLength = bidirectionalReadLength
        self.dataSegmentLength = dataSegmentLength
    }

    /// `additionalHeaderSegments` are the bytes behind the 48 of `header`, as many as its TotalAHSLength says.
    @inlinable
    public init(_ header: RawSpan, additionalHeaderSegments: RawSpan = RawSpan()) throws(PDUError) {
        guard header.byteCount >= BasicHeaderSegment.byteCount else { throw .dropConnection(.truncatedHeader) }
        let flags = header.uint8(at: 1)
        isImmediate = BasicHeaderSegment.isImmediate(header)
        isFinal = flags & BasicHeaderSegment.finalBit != 0
        reads = flags & Self.readBit != 0
        writes = flags & Self.writeBit != 0
        attribute = flags & Self.attributeMask
        lun = BasicHeaderSegment.lun(of: header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        expectedDataTransferLength = header.uint32(at: 20)
        cmdSN = BasicHeaderSegment.cmdSN(of: header)
        expStatSN = BasicHeaderSegment.expStatSN(of: header)
        cdb = CommandDescriptorBlock(sixteenBytesOf: header, at: Self.cdbOffset)
        bidirectionalReadLength = nil
        dataSegmentLength = header.uint24(at: 5)
        if BasicHeaderSegment.totalAHSByteCount(of: header) > 0 {
            try readAdditionalHeaderSegments(additionalHeaderSegments, header)
        }
        try check()
    }

    /// The rules between fields (RFC 7143 11.3.1 and 11.3.4).
    @inlinable
    func check() throws(PDUError) {
        guard initiatorTaskTag != BasicHeaderSegment.reservedTag, attribute <= Attribute.aca else {
            throw .reject(.protocolError)
        }
        if writes {
            guard dataSegmentLength <= expectedDataTransferLength else { throw .reject(.protocolError) }
        } else {
            // No data can come: none may be here, none may be announced.
            guard dataSegmentLength == 0, isFinal, reads || expectedDataTransferLength == 0 else {
                throw .reject(.protocolError)
            }
        }
        if bidirectionalReadLength != nil {
            guard reads, writes else { throw .reject(.protocolError) }
        }
    }

    @usableFromInline
    mutating func readAdditionalHeaderSegments(_ bytes: RawSpan, _ header: RawSpan) throws(PDUError) {
        guard bytes.byteCount == BasicHeaderSegment.totalAHSByteCount(of: header) else {
            throw .dropConnection(.truncatedHeader)
        }
        let segments = try AdditionalHeaderSegments(bytes)
        bidirectionalReadLength = segments.bidirectionalReadLength
        guard let extended = segments.extendedCDB else { return }
        var whole = cdb.bytes
        for index in 0..<extended.byteCount { whole.append(bytes.uint8(at: extended.offset + index)) }
        guard let cdb = CommandDescriptorBlock(whole) else { throw .reject(.commandNotSupported) }
        self.cdb = cdb
    }

    /// Bytes that stand behind the header: an extended CDB, a bidirectional read length.
    public var additionalHeaderSegments: [UInt8] {
        AdditionalHeaderSegments.encode(cdb: cdb, bidirectionalReadLength: bidirectionalReadLength)
    }

    /// TotalAHSLength is set to the length of `additionalHeaderSegments`.
    public func encode(into header: inout MutableRawSpan) {
        var flags = attribute & Self.attributeMask
        if isFinal { flags |= BasicHeaderSegment.finalBit }
        if reads { flags |= Self.readBit }
        if writes { flags |= Self.writeBit }
        header.beginHeader(
            opcode: InitiatorOpcode.scsiCommand.rawValue, isImmediate: isImmediate, flags: flags,
            dataSegmentLength: dataSegmentLength)
        header.store(UInt8(additionalHeaderSegments.count / 4), at: 4)
        header.store(lun.rawValue, at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(expectedDataTransferLength, at: 20)
        header.store(cmdSN, at: 24)
        header.store(expStatSN, at: 28)
        header.store(cdb.uint64(at: 0), at: Self.cdbOffset)
        header.store(cdb.uint64(at: 8), at: Self.cdbOffset + 8)
    }
}
