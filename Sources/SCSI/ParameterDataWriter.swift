// SPDX-License-Identifier: Apache-2.0

/// Writes parameter data for the initiator from front to back, cut off at the allocation length.
///
/// SPC-4 4.2.5.6: what does not fit is not transferred, and length fields inside the data are not changed by that.
/// So the writer counts every byte and stores only those that fit; a length field is reserved first and filled
/// once what it counts has been written. Nothing traps and nothing allocates, whatever the room.
public struct ParameterDataWriter: ~Copyable, ~Escapable {
    @usableFromInline var output: MutableRawSpan

    /// Bytes of the parameter data so far, those cut off included.
    public private(set) var byteCount = 0

    /// A writer that stores at most `room.byteCount` bytes, from the start of `room`.
    @_lifetime(copy room)
    public init(_ room: consuming MutableRawSpan) {
        output = room
    }

    /// Gives back the room that the writer was made with.
    @_lifetime(copy self)
    public consuming func takeRoom() -> MutableRawSpan {
        output
    }

    /// Bytes stored: what the command transfers.
    public var storedByteCount: Int {
        min(byteCount, output.byteCount)
    }

    public mutating func append(_ value: UInt8) {
        if byteCount < output.byteCount { output.store(value, at: byteCount) }
        byteCount += 1
    }

    public mutating func append(_ value: UInt16) {
        append(UInt8(truncatingIfNeeded: value >> 8))
        append(UInt8(truncatingIfNeeded: value))
    }

    /// The low three bytes of `value`.
    public mutating func append24(_ value: UInt32) {
        append(UInt8(truncatingIfNeeded: value >> 16))
        append(UInt16(truncatingIfNeeded: value))
    }

    public mutating func append(_ value: UInt32) {
        append(UInt16(truncatingIfNeeded: value >> 16))
        append(UInt16(truncatingIfNeeded: value))
    }

    public mutating func append(_ value: UInt64) {
        append(UInt32(truncatingIfNeeded: value >> 32))
        append(UInt32(truncatingIfNeeded: value))
    }

    public mutating func append(_ bytes: [UInt8]) {
        for byte in bytes { append(byte) }
    }

    /// Reserved bytes: zero.
    public mutating func appendZeroes(_ count: Int) {
        for _ in 0..<count { append(UInt8(0)) }
    }

    /// `text` in exactly `fieldByteCount` bytes: left-aligned ASCII, filled up with spaces, cut off when longer
    ///. What is not printable ASCII becomes a question mark.
    public mutating func append(ascii text: String, fieldByteCount: Int) {
        var room = fieldByteCount
        for byte in text.utf8.prefix(fieldByteCount) {
            append((0x20...0x7E).contains(byte) ? byte : UInt8(ascii: "?"))
            room -= 1
        }
        for _ in 0..<room { append(UInt8(ascii: " ")) }
    }

    /// `text` as UTF-8 with at least one zero behind it, and zeroes up to a multiple of four bytes.
    public mutating func append(nullTerminated text: String) {
        var count = 0
        for byte in text.utf8 {
            append(byte)
            count += 1
        }
        appendZeroes(4 - count % 4)
    }

    /// Reserves a length field: `fill` it when all that it counts is written.
    public mutating func reserveLength(_ width: LengthField.Width) -> LengthField {
        let field = LengthField(offset: byteCount, width: width)
        appendZeroes(width.rawValue)
        return field
    }

    /// Writes into `field` the bytes written since its end, plus `extra`. A count too large for the field becomes
    /// the largest that it holds.
    public mutating func fill(_ field: LengthField, adding extra: Int = 0) {
        let width = field.width.rawValue
        let largest = UInt64.max >> (64 - 8 * UInt64(width))
        let length = min(UInt64(byteCount - field.offset - width + extra), largest)
        for index in 0..<width where field.offset + index < output.byteCount {
            let shift = 8 * UInt64(width - 1 - index)
            output.store(UInt8(truncatingIfNeeded: length >> shift), at: field.offset + index)
        }
    }

    /// A reserved length field.
    public struct LengthField: Sendable {
        let offset: Int
        let width: Width

        /// Bytes of the field.
        public enum Width: Int, Sendable {
            case oneByte = 1
            case twoBytes = 2
            case fourBytes = 4
        }
    }
}

extension Array where Element == UInt8 {
    /// The parameter data that `body` writes, at most `allocationLength` bytes of them.
    public init(allocationLength: Int, writing body: (inout ParameterDataWriter) -> Void) {
        self.init(repeating: 0, count: allocationLength)
        var span = mutableSpan
        // Safe: UInt8 has no padding and every bit pattern is one.
        var writer = ParameterDataWriter(unsafe span.mutableBytes)
        body(&writer)
        let stored = writer.storedByteCount
        removeLast(allocationLength - stored)
    }
}
