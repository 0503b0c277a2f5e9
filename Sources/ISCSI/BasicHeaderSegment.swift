// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// The first 48 bytes of every PDU (RFC 7143 11.2.1), and the fields that most PDUs have in the same place.
///
/// The accessors read a header of at least `byteCount` bytes; a shorter span traps, so its length is checked first
/// (the framer does).
public enum BasicHeaderSegment {
    public static let byteCount = 48

    /// An Initiator Task Tag that names no task, a Target Transfer Tag that names no transfer.
    public static let reservedTag: UInt32 = 0xFFFF_FFFF

    // Masks of bytes 0 and 1.
    @usableFromInline static let immediateBit: UInt8 = 0x40
    @usableFromInline static let opcodeMask: UInt8 = 0x3F
    @usableFromInline static let finalBit: UInt8 = 0x80

    /// All six bits, whether or not they are a known code.
    @inlinable @inline(__always)
    public static func rawOpcode(of header: RawSpan) -> UInt8 {
        header.uint8(at: 0) & opcodeMask
    }

    @inlinable @inline(__always)
    public static func initiatorOpcode(of header: RawSpan) -> InitiatorOpcode? {
        InitiatorOpcode(rawValue: rawOpcode(of: header))
    }

    @inlinable @inline(__always)
    public static func targetOpcode(of header: RawSpan) -> TargetOpcode? {
        TargetOpcode(rawValue: rawOpcode(of: header))
    }

    @inlinable @inline(__always)
    public static func isImmediate(_ header: RawSpan) -> Bool {
        header.uint8(at: 0) & immediateBit != 0
    }

    @inlinable @inline(__always)
    public static func isFinal(_ header: RawSpan) -> Bool {
        header.uint8(at: 1) & finalBit != 0
    }

    /// Bytes of all additional header segments: a multiple of four, at most 1,020.
    @inlinable @inline(__always)
    public static func totalAHSByteCount(of header: RawSpan) -> Int {
        Int(header.uint8(at: 4)) * 4
    }

    /// Bytes of the data segment without its padding: at most 16,777,215.
    @inlinable @inline(__always)
    public static func dataSegmentLength(of header: RawSpan) -> Int {
        Int(header.uint24(at: 5))
    }

    /// Where the PDU has a LUN.
    @inlinable @inline(__always)
    public static func lun(of header: RawSpan) -> LogicalUnitNumber {
        LogicalUnitNumber(rawValue: header.uint64(at: 8))
    }

    @inlinable @inline(__always)
    public static func initiatorTaskTag(of header: RawSpan) -> UInt32 {
        header.uint32(at: 16)
    }

    /// Where the PDU has a Target Transfer Tag.
    @inlinable @inline(__always)
    public static func targetTransferTag(of header: RawSpan) -> UInt32 {
        header.uint32(at: 20)
    }

    /// In requests that have one: all of the initiator's but Data-Out and SNACK Request.
    @inlinable @inline(__always)
    public static func cmdSN(of header: RawSpan) -> UInt32 {
        header.uint32(at: 24)
    }

    @inlinable @inline(__always)
    public static func expStatSN(of header: RawSpan) -> UInt32 {
        header.uint32(at: 28)
    }

    /// Bytes that fill a data segment up to a multiple of four.
    @inlinable @inline(__always)
    public static func paddingByteCount(of dataSegmentLength: Int) -> Int {
        -dataSegmentLength & 3
    }
}

/// A PDU that can write its basic header segment.
public protocol EncodablePDU: Sendable {
    /// Writes the first 48 bytes of `header`, reserved fields as zeroes. A shorter span traps.
    func encode(into header: inout MutableRawSpan)
}

extension EncodablePDU {
    /// The 48 bytes by themselves.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: BasicHeaderSegment.byteCount)
        var span = bytes.mutableSpan
        // Safe: every bit pattern is a UInt8.
        var header = unsafe span.mutableBytes
        encode(into: &header)
        return bytes
    }
}

extension MutableRawSpan {
    /// Starts a header: zeroes, then bytes 0 and 1 and the length of the data segment.
    @inlinable @inline(__always)
    mutating func beginHeader(opcode: UInt8, isImmediate: Bool = false, flags: UInt8, dataSegmentLength: UInt32) {
        for word in 0..<BasicHeaderSegment.byteCount / 8 { store(UInt64(0), at: word * 8) }
        store(isImmediate ? opcode | BasicHeaderSegment.immediateBit : opcode, at: 0)
        store(flags, at: 1)
        store24(dataSegmentLength, at: 5)
    }

    /// ExpCmdSN and MaxCmdSN behind StatSN, in the target's PDUs that have them.
    @inlinable @inline(__always)
    mutating func store(_ numbers: SequenceNumbers) {
        store(numbers.statSN, at: 24)
        store(numbers.expCmdSN, at: 28)
        store(numbers.maxCmdSN, at: 32)
    }
}

extension RawSpan {
    @inlinable @inline(__always)
    func sequenceNumbers() -> SequenceNumbers {
        SequenceNumbers(statSN: uint32(at: 24), expCmdSN: uint32(at: 28), maxCmdSN: uint32(at: 32))
    }

    /// Whether the header is whole and carries no additional header segments: they belong to SCSI Command alone
    /// (RFC 7143 11.2.1.5).
    @inlinable @inline(__always)
    func checkPlainHeader() throws(PDUError) {
        guard byteCount >= BasicHeaderSegment.byteCount else { throw .dropConnection(.truncatedHeader) }
        guard BasicHeaderSegment.totalAHSByteCount(of: self) == 0 else { throw .reject(.invalidPDUField) }
    }

    /// The same, for a PDU that must name its task.
    @inlinable @inline(__always)
    func checkTaskHeader() throws(PDUError) {
        try checkPlainHeader()
        guard BasicHeaderSegment.initiatorTaskTag(of: self) != BasicHeaderSegment.reservedTag else {
            throw .reject(.protocolError)
        }
    }
}
