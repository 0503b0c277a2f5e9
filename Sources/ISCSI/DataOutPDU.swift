// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// SCSI Data-Out (RFC 7143 11.7): data of a command from the initiator.
public struct DataOutPDU: Equatable, Sendable, EncodablePDU {
    /// The Target Transfer Tag of data that no R2T asked for.
    public static let unsolicited = BasicHeaderSegment.reservedTag

    /// The last of its sequence: of the unsolicited data, or of the answer to one R2T.
    public var isFinal: Bool
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    public var targetTransferTag: UInt32
    public var expStatSN: UInt32
    /// Counts from 0 in each sequence.
    public var dataSN: UInt32
    /// Bytes from the start of the command's data.
    public var bufferOffset: UInt32
    public var dataSegmentLength: UInt32

    @inlinable
    public init(
        isFinal: Bool, lun: LogicalUnitNumber, initiatorTaskTag: UInt32, targetTransferTag: UInt32,
        expStatSN: UInt32, dataSN: UInt32, bufferOffset: UInt32, dataSegmentLength: UInt32
    ) {
        self.isFinal = isFinal
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.targetTransferTag = targetTransferTag
        self.expStatSN = expStatSN
        self.dataSN = dataSN
        self.bufferOffset = bufferOffset
        self.dataSegmentLength = dataSegmentLength
    }

    @inlinable
    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkTaskHeader()
        isFinal = BasicHeaderSegment.isFinal(header)
        lun = BasicHeaderSegment.lun(of: header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        targetTransferTag = BasicHeaderSegment.targetTransferTag(of: header)
        expStatSN = BasicHeaderSegment.expStatSN(of: header)
        dataSN = header.uint32(at: 36)
        bufferOffset = header.uint32(at: 40)
        dataSegmentLength = header.uint24(at: 5)
    }

    public var isUnsolicited: Bool { targetTransferTag == Self.unsolicited }

    @inlinable
    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: InitiatorOpcode.dataOut.rawValue, flags: isFinal ? BasicHeaderSegment.finalBit : 0,
            dataSegmentLength: dataSegmentLength)
        header.store(lun.rawValue, at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(targetTransferTag, at: 20)
        header.store(expStatSN, at: 28)
        header.store(dataSN, at: 36)
        header.store(bufferOffset, at: 40)
    }
}
