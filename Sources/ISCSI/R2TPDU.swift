// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// Ready To Transfer (RFC 7143 11.8): asks for a piece of a command's data.
public struct R2TPDU: Equatable, Sendable, EncodablePDU {
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    public var targetTransferTag: UInt32
    /// The next StatSN; an R2T does not use it up.
    public var statSN: UInt32
    public var expCmdSN: UInt32
    public var maxCmdSN: UInt32
    /// Counts from 0 for each command.
    public var r2tSN: UInt32
    /// Bytes from the start of the command's data.
    public var bufferOffset: UInt32
    /// Bytes, 1 to MaxBurstLength.
    public var desiredDataTransferLength: UInt32

    @inlinable
    public init(
        lun: LogicalUnitNumber, initiatorTaskTag: UInt32, targetTransferTag: UInt32, statSN: UInt32,
        expCmdSN: UInt32, maxCmdSN: UInt32, r2tSN: UInt32, bufferOffset: UInt32, desiredDataTransferLength: UInt32
    ) {
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.targetTransferTag = targetTransferTag
        self.statSN = statSN
        self.expCmdSN = expCmdSN
        self.maxCmdSN = maxCmdSN
        self.r2tSN = r2tSN
        self.bufferOffset = bufferOffset
        self.desiredDataTransferLength = desiredDataTransferLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkTaskHeader()
        let numbers = header.sequenceNumbers()
        lun = BasicHeaderSegment.lun(of: header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        targetTransferTag = BasicHeaderSegment.targetTransferTag(of: header)
        statSN = numbers.statSN
        expCmdSN = numbers.expCmdSN
        maxCmdSN = numbers.maxCmdSN
        r2tSN = header.uint32(at: 36)
        bufferOffset = header.uint32(at: 40)
        desiredDataTransferLength = header.uint32(at: 44)
        guard targetTransferTag != BasicHeaderSegment.reservedTag, desiredDataTransferLength > 0 else {
            throw .reject(.protocolError)
        }
    }

    @inlinable
    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: TargetOpcode.readyToTransfer.rawValue, flags: BasicHeaderSegment.finalBit, dataSegmentLength: 0)
        header.store(lun.rawValue, at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(targetTransferTag, at: 20)
        header.store(SequenceNumbers(statSN: statSN, expCmdSN: expCmdSN, maxCmdSN: maxCmdSN))
        header.store(r2tSN, at: 36)
        header.store(bufferOffset, at: 40)
        header.store(desiredDataTransferLength, at: 44)
    }
}
