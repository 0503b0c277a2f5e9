// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// SCSI Response (RFC 7143 11.4). Its data segment is two bytes of sense length, then the sense data.
public struct SCSIResponsePDU: Equatable, Sendable, EncodablePDU {
    /// RFC 7143 11.4.3.
    public enum Response: UInt8, Sendable, CaseIterable {
        case commandCompletedAtTarget = 0x00
        case targetFailure = 0x01
    }

    public var response: Response
    /// Means nothing unless the command completed at the target.
    public var status: Status
    public var initiatorTaskTag: UInt32
    public var statSN: UInt32
    public var expCmdSN: UInt32
    public var maxCmdSN: UInt32
    /// Of an R-Data SNACK that has been obeyed; otherwise 0, reserved (RFC 7143 11.4.6).
    public var snackTag: UInt32 = 0
    /// R2Ts and Data-Ins that were sent for the command.
    public var expDataSN: UInt32
    public var residual: Residual
    public var dataSegmentLength: UInt32

    // Bits of byte 1.
    @usableFromInline static let bidirectionalOverflowBit: UInt8 = 0x10
    @usableFromInline static let bidirectionalUnderflowBit: UInt8 = 0x08
    @usableFromInline static let overflowBit: UInt8 = 0x04
    @usableFromInline static let underflowBit: UInt8 = 0x02

    @inlinable
    public init(
        initiatorTaskTag: UInt32, response: Response = .commandCompletedAtTarget, status: Status, statSN: UInt32,
        expCmdSN: UInt32, maxCmdSN: UInt32, expDataSN: UInt32, residual: Residual, dataSegmentLength: UInt32
    ) {
        self.initiatorTaskTag = initiatorTaskTag
        self.response = response
        self.status = status
        self.statSN = statSN
        self.expCmdSN = expCmdSN
        self.maxCmdSN = maxCmdSN
        self.expDataSN = expDataSN
        self.residual = residual
        self.dataSegmentLength = dataSegmentLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkTaskHeader()
        let flags = header.uint8(at: 1)
        let numbers = header.sequenceNumbers()
        guard let response = Response(rawValue: header.uint8(at: 2)), let status = Status(rawValue: header.uint8(at: 3))
        else { throw .reject(.protocolError) }
        self.response = response
        self.status = status
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        statSN = numbers.statSN
        expCmdSN = numbers.expCmdSN
        maxCmdSN = numbers.maxCmdSN
        snackTag = header.uint32(at: 20)
        expDataSN = header.uint32(at: 36)
        residual = Residual(
            amount: try Residual.Amount(
                isOverflow: flags & Self.overflowBit != 0, isUnderflow: flags & Self.underflowBit != 0,
                count: header.uint32(at: 44)),
            bidirectionalRead: try Residual.Amount(
                isOverflow: flags & Self.bidirectionalOverflowBit != 0,
                isUnderflow: flags & Self.bidirectionalUnderflowBit != 0, count: header.uint32(at: 40)))
        dataSegmentLength = header.uint24(at: 5)
    }

    @inlinable
    public func encode(into header: inout MutableRawSpan) {
        let flags =
            BasicHeaderSegment.finalBit
            | residual.amount.flag(overflow: Self.overflowBit, underflow: Self.underflowBit)
            | residual.bidirectionalRead.flag(
                overflow: Self.bidirectionalOverflowBit, underflow: Self.bidirectionalUnderflowBit)
        header.beginHeader(
            opcode: TargetOpcode.scsiResponse.rawValue, flags: flags, dataSegmentLength: dataSegmentLength)
        header.store(response.rawValue, at: 2)
        header.store(status.rawValue, at: 3)
        header.store(initiatorTaskTag, at: 16)
        header.store(snackTag, at: 20)
        header.store(SequenceNumbers(statSN: statSN, expCmdSN: expCmdSN, maxCmdSN: maxCmdSN))
        header.store(expDataSN, at: 36)
        header.store(residual.bidirectionalRead.count, at: 40)
        header.store(residual.amount.count, at: 44)
    }
}
