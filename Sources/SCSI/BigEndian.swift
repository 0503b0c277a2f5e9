// SPDX-License-Identifier: Apache-2.0

// Wire fields are big-endian and unaligned. This is the one file that loads and stores them.
// Offsets outside the span trap: lengths are checked before fields are read.

extension RawSpan {
    @inlinable @inline(__always)
    public func uint8(at offset: Int) -> UInt8 {
        // Safe: the span checks its bounds, and every bit pattern is a UInt8.
        unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self)
    }

    @inlinable @inline(__always)
    public func uint16(at offset: Int) -> UInt16 {
        // Safe: the span checks its bounds, and every bit pattern is a UInt16.
        UInt16(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    /// Three bytes.
    @inlinable @inline(__always)
    public func uint24(at offset: Int) -> UInt32 {
        UInt32(uint8(at: offset)) << 16 | UInt32(uint16(at: offset + 1))
    }

    @inlinable @inline(__always)
    public func uint32(at offset: Int) -> UInt32 {
        // Safe: the span checks its bounds, and every bit pattern is a UInt32.
        UInt32(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inlinable @inline(__always)
    public func uint64(at offset: Int) -> UInt64 {
        // Safe: the span checks its bounds, and every bit pattern is a UInt64.
        UInt64(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}

extension MutableRawSpan {
    @inlinable @inline(__always)
    public mutating func store(_ value: UInt8, at offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }

    @inlinable @inline(__always)
    public mutating func store(_ value: UInt16, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    /// The low three bytes of `value`.
    @inlinable @inline(__always)
    public mutating func store24(_ value: UInt32, at offset: Int) {
        store(UInt8(truncatingIfNeeded: value >> 16), at: offset)
        store(UInt16(truncatingIfNeeded: value), at: offset + 1)
    }

    @inlinable @inline(__always)
    public mutating func store(_ value: UInt32, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    @inlinable @inline(__always)
    public mutating func store(_ value: UInt64, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }

    /// Zeroes `byteCount` bytes from `offset`.
    @inlinable @inline(__always)
    public mutating func zero(at offset: Int, byteCount: Int) {
        for index in offset..<offset + byteCount { store(UInt8(0), at: index) }
    }
}
