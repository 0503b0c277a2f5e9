// SPDX-License-Identifier: Apache-2.0

public import SCSI

// Byte 1 of Text Request and Text Response.
private enum TextFlags {
    static let continuation: UInt8 = 0x40

    static func byte(isFinal: Bool, continues: Bool) -> UInt8 {
        (isFinal ? BasicHeaderSegment.finalBit : 0) | (continues ? continuation : 0)
    }
}

/// Text Request (RFC 7143 11.10).
public struct TextRequestPDU: Equatable, Sendable, EncodablePDU {
    public var isImmediate: Bool
    /// The initiator has nothing more to say.
    public var isFinal: Bool
    /// The C bit: the text goes on in the next request.
    public var continues: Bool
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    /// Of the Text Response before it; reserved in the first request of an exchange.
    public var targetTransferTag: UInt32
    public var cmdSN: UInt32
    public var expStatSN: UInt32
    public var dataSegmentLength: UInt32

    public init(
        isImmediate: Bool = false, isFinal: Bool = true, continues: Bool = false,
        lun: LogicalUnitNumber = LogicalUnitNumber(rawValue: 0), initiatorTaskTag: UInt32,
        targetTransferTag: UInt32 = BasicHeaderSegment.reservedTag, cmdSN: UInt32, expStatSN: UInt32,
        dataSegmentLength: UInt32 = 0
    ) {
        self.isImmediate = isImmediate
        self.isFinal = isFinal
        self.continues = continues
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.targetTransferTag = targetTransferTag
        self.cmdSN = cmdSN
        self.expStatSN = expStatSN
        self.dataSegmentLength = dataSegmentLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkTaskHeader()
        isImmediate = BasicHeaderSegment.isImmediate(header)
        isFinal = BasicHeaderSegment.isFinal(header)
        continues = header.uint8(at: 1) & TextFlags.continuation != 0
        lun = BasicHeaderSegment.lun(of: header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        targetTransferTag = BasicHeaderSegment.targetTransferTag(of: header)
        cmdSN = BasicHeaderSegment.cmdSN(of: header)
        expStatSN = BasicHeaderSegment.expStatSN(of: header)
        dataSegmentLength = header.uint24(at: 5)
        // RFC 7143 11.10.2: text that goes on cannot be final.
        guard !(isFinal && continues) else { throw .reject(.protocolError) }
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: InitiatorOpcode.text.rawValue, isImmediate: isImmediate,
            flags: TextFlags.byte(isFinal: isFinal, continues: continues), dataSegmentLength: dataSegmentLength)
        header.store(lun.rawValue, at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(targetTransferTag, at: 20)
        header.store(cmdSN, at: 24)
        header.store(expStatSN, at: 28)
    }
}

/// Text Response (RFC 7143 11.11).
public struct TextResponsePDU: Equatable, Sendable, EncodablePDU {
    public var isFinal: Bool
    public var continues: Bool
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    /// Reserved in the last response of an exchange; otherwise the initiator sends it back.
    public var targetTransferTag: UInt32
    public var numbers: SequenceNumbers
    public var dataSegmentLength: UInt32

    public init(
        isFinal: Bool, continues: Bool = false, lun: LogicalUnitNumber = LogicalUnitNumber(rawValue: 0),
        initiatorTaskTag: UInt32, targetTransferTag: UInt32 = BasicHeaderSegment.reservedTag,
        numbers: SequenceNumbers, dataSegmentLength: UInt32 = 0
    ) {
        self.isFinal = isFinal
        self.continues = continues
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.targetTransferTag = targetTransferTag
        self.numbers = numbers
        self.dataSegmentLength = dataSegmentLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkTaskHeader()
        isFinal = BasicHeaderSegment.isFinal(header)
        continues = header.uint8(at: 1) & TextFlags.continuation != 0
        lun = BasicHeaderSegment.lun(of: header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        targetTransferTag = BasicHeaderSegment.targetTransferTag(of: header)
        numbers = header.sequenceNumbers()
        dataSegmentLength = header.uint24(at: 5)
        guard !(isFinal && continues), isFinal == (targetTransferTag == BasicHeaderSegment.reservedTag) else {
            throw .reject(.protocolError)
        }
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: TargetOpcode.textResponse.rawValue,
            flags: TextFlags.byte(isFinal: isFinal, continues: continues), dataSegmentLength: dataSegmentLength)
        header.store(lun.rawValue, at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(targetTransferTag, at: 20)
        header.store(numbers)
    }
}
