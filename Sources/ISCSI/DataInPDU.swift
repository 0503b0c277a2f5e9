// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// SCSI Data-In (RFC 7143 11.7): data of a command to the initiator, and in the last PDU perhaps its status.
public struct DataInPDU: Equatable, Sendable, EncodablePDU {
    /// The end of a command that has no SCSI Response of its own.
    public struct Ending: Equatable, Sendable {
        public var status: Status
        public var statSN: UInt32
        /// Of a bidirectional command the status never comes with the data: the read residual has no place here.
        public var residual: Residual.Amount

        @inlinable
        public init(status: Status, statSN: UInt32, residual: Residual.Amount) {
            self.status = status
            self.statSN = statSN
            self.residual = residual
        }
    }

    /// The last of its sequence: MaxBurstLength is reached, or all data have been sent.
    public var isFinal: Bool
    /// Asks for a SNACK of type DataACK: error recovery levels above 0 only.
    public var requestsAcknowledgement = false
    /// The S bit and what belongs to it.
    public var ending: Ending?
    /// Means something only with a Target Transfer Tag.
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    /// Reserved unless an acknowledgement is asked for.
    public var targetTransferTag = BasicHeaderSegment.reservedTag
    public var expCmdSN: UInt32
    public var maxCmdSN: UInt32
    /// Counts from 0 for each command.
    public var dataSN: UInt32
    /// Bytes from the start of the command's data.
    public var bufferOffset: UInt32
    public var dataSegmentLength: UInt32

    // Bits of byte 1.
    @usableFromInline static let acknowledgeBit: UInt8 = 0x40
    @usableFromInline static let overflowBit: UInt8 = 0x04
    @usableFromInline static let underflowBit: UInt8 = 0x02
    @usableFromInline static let statusBit: UInt8 = 0x01

    @inlinable
    public init(
        lun: LogicalUnitNumber, initiatorTaskTag: UInt32, expCmdSN: UInt32, maxCmdSN: UInt32, dataSN: UInt32,
        bufferOffset: UInt32, dataSegmentLength: UInt32, isFinal: Bool
    ) {
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.expCmdSN = expCmdSN
        self.maxCmdSN = maxCmdSN
        self.dataSN = dataSN
        self.bufferOffset = bufferOffset
        self.dataSegmentLength = dataSegmentLength
        self.isFinal = isFinal
    }

    /// The command ends with this PDU, which is therefore the last of its sequence.
    @inlinable
    public mutating func setStatus(_ status: Status, statSN: UInt32, residual: Residual) {
        ending = Ending(status: status, statSN: statSN, residual: residual.amount)
        isFinal = true
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkTaskHeader()
        let flags = header.uint8(at: 1)
        let numbers = header.sequenceNumbers()
        isFinal = flags & BasicHeaderSegment.finalBit != 0
        requestsAcknowledgement = flags & Self.acknowledgeBit != 0
        lun = BasicHeaderSegment.lun(of: header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        targetTransferTag = BasicHeaderSegment.targetTransferTag(of: header)
        expCmdSN = numbers.expCmdSN
        maxCmdSN = numbers.maxCmdSN
        dataSN = header.uint32(at: 36)
        bufferOffset = header.uint32(at: 40)
        dataSegmentLength = header.uint24(at: 5)
        if flags & Self.statusBit != 0 {
            guard isFinal, let status = Status(rawValue: header.uint8(at: 3)) else { throw .reject(.protocolError) }
            ending = Ending(
                status: status, statSN: numbers.statSN,
                residual: try Residual.Amount(
                    isOverflow: flags & Self.overflowBit != 0, isUnderflow: flags & Self.underflowBit != 0,
                    count: header.uint32(at: 44)))
        }
    }

    @inlinable
    public func encode(into header: inout MutableRawSpan) {
        var flags = isFinal ? BasicHeaderSegment.finalBit : 0
        if requestsAcknowledgement { flags |= Self.acknowledgeBit }
        if let ending {
            flags |= Self.statusBit | ending.residual.flag(overflow: Self.overflowBit, underflow: Self.underflowBit)
        }
        header.beginHeader(
            opcode: TargetOpcode.dataIn.rawValue, flags: flags, dataSegmentLength: dataSegmentLength)
        if requestsAcknowledgement { header.store(lun.rawValue, at: 8) }
        header.store(initiatorTaskTag, at: 16)
        header.store(targetTransferTag, at: 20)
        header.store(expCmdSN, at: 28)
        header.store(maxCmdSN, at: 32)
        header.store(dataSN, at: 36)
        header.store(bufferOffset, at: 40)
        if let ending {
            header.store(ending.status.rawValue, at: 3)
            header.store(ending.statSN, at: 24)
            header.store(ending.residual.count, at: 44)
        }
    }
}
