// SPDX-License-Identifier: Apache-2.0

/// A command descriptor block: up to 32 bytes, held inline as four big-endian words, so that copying it costs no
/// memory and checking its reserved bits costs four AND operations.
///
/// Bytes behind `byteCount` read as zero. Transports that carry a fixed 16 bytes (iSCSI) pass all of them; how many
/// of those the operation code gives a meaning is `definedByteCount`.
public struct CommandDescriptorBlock: Equatable, Sendable {
    /// Bytes of the longest command descriptor block kept here: those of the block commands of operation code 7Fh.
    public static let maximumByteCount = 32

    @usableFromInline var words: CDBWords
    /// Bytes that came.
    public let byteCount: Int

    /// No bytes at all; reads as TEST UNIT READY.
    @inlinable
    public init() {
        words = CDBWords()
        byteCount = 0
    }

    /// Nil when `bytes` are more than `maximumByteCount`: nothing is cut off.
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount <= Self.maximumByteCount else { return nil }
        words = CDBWords()
        byteCount = bytes.byteCount
        for index in 0..<bytes.byteCount { words.setByte(index, to: bytes.uint8(at: index)) }
    }

    /// Nil when `bytes` are more than `maximumByteCount`.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count <= Self.maximumByteCount else { return nil }
        words = CDBWords(bytes)
        byteCount = bytes.count
    }

    /// The 16 bytes of a fixed-size field, as two loads.
    @inlinable
    public init(sixteenBytesOf bytes: RawSpan, at offset: Int) {
        words = CDBWords(bytes.uint64(at: offset), bytes.uint64(at: offset + 8), 0, 0)
        byteCount = 16
    }

    // Offsets are nearly always constants: always inlined, a field is a load, a shift and perhaps a mask.

    /// Byte `index`, 0 to 31.
    @inlinable @inline(__always)
    public subscript(_ index: Int) -> UInt8 {
        words.byte(index)
    }

    @inlinable @inline(__always)
    public func uint16(at offset: Int) -> UInt16 {
        UInt16(self[offset]) << 8 | UInt16(self[offset + 1])
    }

    /// Three bytes.
    @inlinable @inline(__always)
    public func uint24(at offset: Int) -> UInt32 {
        UInt32(self[offset]) << 16 | UInt32(uint16(at: offset + 1))
    }

    @inlinable @inline(__always)
    public func uint32(at offset: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: words.word(at: offset) >> 32)
    }

    @inlinable @inline(__always)
    public func uint64(at offset: Int) -> UInt64 {
        words.word(at: offset)
    }

    /// Whether any bit of `mask` is set in byte `index`.
    @inlinable
    public func isSet(_ mask: UInt8, inByte index: Int) -> Bool {
        self[index] & mask != 0
    }

    @inlinable
    public var opcode: UInt8 {
        UInt8(truncatingIfNeeded: words.first >> 56)
    }

    /// All `byteCount` bytes.
    public var bytes: [UInt8] {
        (0..<byteCount).map { self[$0] }
    }
}

extension CommandDescriptorBlock {
    /// The same fields under another operation code of its group.
    public func withOpcode(_ opcode: OperationCode) -> CommandDescriptorBlock {
        var copy = self
        copy.words.setByte(0, to: opcode.rawValue)
        return copy
    }
}

extension CommandDescriptorBlock: ExpressibleByArrayLiteral {
    /// For command descriptor blocks written in source: more than 32 bytes are a programming error.
    public init(arrayLiteral elements: UInt8...) {
        precondition(elements.count <= Self.maximumByteCount)
        words = CDBWords(elements)
        byteCount = elements.count
    }
}

/// 32 bytes as four big-endian words: byte 0 is the most significant byte of `first`.
@usableFromInline
struct CDBWords: Equatable, Sendable {
    @usableFromInline var first: UInt64
    @usableFromInline var second: UInt64
    @usableFromInline var third: UInt64
    @usableFromInline var fourth: UInt64

    @inlinable
    init(_ first: UInt64 = 0, _ second: UInt64 = 0, _ third: UInt64 = 0, _ fourth: UInt64 = 0) {
        self.first = first
        self.second = second
        self.third = third
        self.fourth = fourth
    }

    /// At most 32 bytes.
    init(_ bytes: [UInt8]) {
        self.init()
        for (index, byte) in bytes.enumerated() { setByte(index, to: byte) }
    }

    /// Word `index`; zero outside 0 to 3.
    @inlinable @inline(__always)
    subscript(_ index: Int) -> UInt64 {
        switch index {
        case 0: first
        case 1: second
        case 2: third
        case 3: fourth
        default: 0
        }
    }

    @inlinable @inline(__always)
    func byte(_ index: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: self[index >> 3] >> (56 - 8 * UInt64(index & 7)))
    }

    /// Eight bytes from byte `offset`; zero behind the end.
    @inlinable @inline(__always)
    func word(at offset: Int) -> UInt64 {
        let shift = 8 * UInt64(offset & 7)
        // A shift of 64 gives zero.
        return self[offset >> 3] << shift | self[(offset >> 3) + 1] >> (64 - shift)
    }

    mutating func setByte(_ index: Int, to value: UInt8) {
        let shift = 56 - 8 * UInt64(index & 7)
        let bits = UInt64(value) << shift
        let hole = ~(UInt64(0xFF) << shift)
        switch index >> 3 {
        case 0: first = first & hole | bits
        case 1: second = second & hole | bits
        case 2: third = third & hole | bits
        default: fourth = fourth & hole | bits
        }
    }
}
