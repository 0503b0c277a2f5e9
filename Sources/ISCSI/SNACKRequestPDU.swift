// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// SNACK Request (RFC 7143 11.16): asks for PDUs again. A session at error recovery level 0 refuses it.
public struct SNACKRequestPDU: Equatable, Sendable, EncodablePDU {
    public enum Kind: UInt8, Sendable, CaseIterable {
        case dataOrR2T = 0
        case status = 1
        case dataACK = 2
        case rDataSNACK = 3
    }

    public var kind: Kind
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    public var targetTransferTag: UInt32
    public var expStatSN: UInt32
    public var begRun: UInt32
    public var runLength: UInt32

    private static let kindMask: UInt8 = 0x0F

    public init(
        kind: Kind, lun: LogicalUnitNumber, initiatorTaskTag: UInt32, targetTransferTag: UInt32,
        expStatSN: UInt32, begRun: UInt32, runLength: UInt32
    ) {
        self.kind = kind
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.targetTransferTag = targetTransferTag
        self.expStatSN = expStatSN
        self.begRun = begRun
        self.runLength = runLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkPlainHeader()
        guard let kind = Kind(rawValue: header.uint8(at: 1) & Self.kindMask) else { throw .reject(.protocolError) }
        self.kind = kind
        lun = BasicHeaderSegment.lun(of: header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        targetTransferTag = BasicHeaderSegment.targetTransferTag(of: header)
        expStatSN = BasicHeaderSegment.expStatSN(of: header)
        begRun = header.uint32(at: 40)
        runLength = header.uint32(at: 44)
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: InitiatorOpcode.snackRequest.rawValue, flags: BasicHeaderSegment.finalBit | kind.rawValue,
            dataSegmentLength: 0)
        header.store(lun.rawValue, at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(targetTransferTag, at: 20)
        header.store(expStatSN, at: 28)
        header.store(begRun, at: 40)
        header.store(runLength, at: 44)
    }
}
