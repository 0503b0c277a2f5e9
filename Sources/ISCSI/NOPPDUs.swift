// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// NOP-Out (RFC 7143 11.18): a ping, or the answer to one.
public struct NOPOutPDU: Equatable, Sendable, EncodablePDU {
    public var isImmediate: Bool
    /// Copied from the NOP-In that is answered.
    public var lun: LogicalUnitNumber
    /// Reserved when no answer is wanted.
    public var initiatorTaskTag: UInt32
    /// Of the NOP-In that is answered; otherwise reserved.
    public var targetTransferTag: UInt32
    public var cmdSN: UInt32
    public var expStatSN: UInt32
    /// Bytes of ping data.
    public var dataSegmentLength: UInt32

    public init(
        isImmediate: Bool = false, lun: LogicalUnitNumber, initiatorTaskTag: UInt32,
        targetTransferTag: UInt32 = BasicHeaderSegment.reservedTag, cmdSN: UInt32, expStatSN: UInt32,
        dataSegmentLength: UInt32 = 0
    ) {
        self.isImmediate = isImmediate
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.targetTransferTag = targetTransferTag
        self.cmdSN = cmdSN
        self.expStatSN = expStatSN
        self.dataSegmentLength = dataSegmentLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkPlainHeader()
        isImmediate = BasicHeaderSegment.isImmediate(header)
        lun = BasicHeaderSegment.lun(of: header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        targetTransferTag = BasicHeaderSegment.targetTransferTag(of: header)
        cmdSN = BasicHeaderSegment.cmdSN(of: header)
        expStatSN = BasicHeaderSegment.expStatSN(of: header)
        dataSegmentLength = header.uint24(at: 5)
        // Nothing could follow it in the order of CmdSN without an answer (RFC 7143 11.18.1).
        guard isImmediate || initiatorTaskTag != BasicHeaderSegment.reservedTag else {
            throw .reject(.protocolError)
        }
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: InitiatorOpcode.nopOut.rawValue, isImmediate: isImmediate, flags: BasicHeaderSegment.finalBit,
            dataSegmentLength: dataSegmentLength)
        header.store(lun.rawValue, at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(targetTransferTag, at: 20)
        header.store(cmdSN, at: 24)
        header.store(expStatSN, at: 28)
    }
}

/// NOP-In (RFC 7143 11.19): the answer to a ping, or a ping of ours.
public struct NOPInPDU: Equatable, Sendable, EncodablePDU {
    public var lun: LogicalUnitNumber
    /// Of the NOP-Out that is answered; otherwise reserved.
    public var initiatorTaskTag: UInt32
    /// Reserved when no answer is wanted.
    public var targetTransferTag: UInt32
    /// StatSN is used up only by the answer to a ping.
    public var numbers: SequenceNumbers
    /// Bytes of the ping data that come back.
    public var dataSegmentLength: UInt32

    public init(
        lun: LogicalUnitNumber, initiatorTaskTag: UInt32, targetTransferTag: UInt32, numbers: SequenceNumbers,
        dataSegmentLength: UInt32 = 0
    ) {
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.targetTransferTag = targetTransferTag
        self.numbers = numbers
        self.dataSegmentLength = dataSegmentLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkPlainHeader()
        lun = BasicHeaderSegment.lun(of: header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        targetTransferTag = BasicHeaderSegment.targetTransferTag(of: header)
        numbers = header.sequenceNumbers()
        dataSegmentLength = header.uint24(at: 5)
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: TargetOpcode.nopIn.rawValue, flags: BasicHeaderSegment.finalBit,
            dataSegmentLength: dataSegmentLength)
        header.store(lun.rawValue, at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(targetTransferTag, at: 20)
        header.store(numbers)
    }
}
