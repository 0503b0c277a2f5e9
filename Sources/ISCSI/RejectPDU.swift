// SPDX-License-Identifier: Apache-2.0

internal import SCSI

/// Reject (RFC 7143 11.17). Its data segment is the header of the PDU that is refused, 48 bytes and the additional
/// header segments.
public struct RejectPDU: Equatable, Sendable, EncodablePDU {
    public var reason: RejectReason
    public var numbers: SequenceNumbers
    /// DataSN or R2TSN: means something only after a SNACK.
    public var dataSN: UInt32
    public var dataSegmentLength: UInt32

    public init(
        reason: RejectReason, numbers: SequenceNumbers, dataSN: UInt32 = 0,
        dataSegmentLength: UInt32 = UInt32(BasicHeaderSegment.byteCount)
    ) {
        self.reason = reason
        self.numbers = numbers
        self.dataSN = dataSN
        self.dataSegmentLength = dataSegmentLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkPlainHeader()
        guard let reason = RejectReason(rawValue: header.uint8(at: 2)) else { throw .reject(.protocolError) }
        self.reason = reason
        numbers = header.sequenceNumbers()
        dataSN = header.uint32(at: 36)
        dataSegmentLength = header.uint24(at: 5)
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: TargetOpcode.reject.rawValue, flags: BasicHeaderSegment.finalBit,
            dataSegmentLength: dataSegmentLength)
        header.store(reason.rawValue, at: 2)
        header.store(BasicHeaderSegment.reservedTag, at: 16)
        header.store(numbers)
        header.store(dataSN, at: 36)
    }
}
