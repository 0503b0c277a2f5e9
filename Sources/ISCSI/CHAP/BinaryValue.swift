// SPDX-License-Identifier: Apache-2.0

/// Binary values as texts carry them (RFC 7143 6.1): hexadecimal behind 0x or 0X, base64 behind 0b or 0B. A decimal
/// constant tells no length, and is none.
enum BinaryValue {
    /// Bytes of a value of CHAP, decoded (RFC 7143 12.1.3).
    static let byteLimit = 1024

    /// What `text` stands for: 1 to `byteLimit` bytes. Nil for anything else.
    static func decode(_ text: String) -> [UInt8]? {
        let digits = text.utf8.dropFirst(2)
        let bytes: [UInt8]?
        switch text.utf8.prefix(2).map({ $0 }) {
        case [0x30, UInt8(ascii: "x")], [0x30, UInt8(ascii: "X")]: bytes = hexadecimal(digits)
        case [0x30, UInt8(ascii: "b")], [0x30, UInt8(ascii: "B")]: bytes = base64(digits)
        default: return nil
        }
        guard let bytes, (1...byteLimit).contains(bytes.count) else { return nil }
        return bytes
    }

    /// "0x" and two digits for each byte.
    static func encode(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text = Array("0x".utf8)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 0xF)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// n digits are (n + 1) / 2 bytes: the first digit of an odd number stands alone.
    private static func hexadecimal(_ digits: Substring.UTF8View) -> [UInt8]? {
        guard digits.count <= 2 * byteLimit else { return nil }
        var bytes: [UInt8] = []
        var isHalf = digits.count.isMultiple(of: 2) == false
        if isHalf { bytes.append(0) }
        for digit in digits {
            guard let value = hexadecimalDigit(digit) else { return nil }
            if isHalf { bytes[bytes.count - 1] |= value } else { bytes.append(value << 4) }
            isHalf.toggle()
        }
        return bytes
    }

    private static func hexadecimalDigit(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// RFC 4648 4: whole groups of four, padded at the end only, the bits that nobody needs zero.
    private static func base64(_ digits: Substring.UTF8View) -> [UInt8]? {
        guard digits.count.isMultiple(of: 4), digits.count <= (byteLimit + 2) / 3 * 4 else { return nil }
        let padding = digits.suffix(2).count { $0 == UInt8(ascii: "=") }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var bitCount = 0
        for digit in digits.dropLast(padding) {
            guard let value = base64Digit(digit) else { return nil }
            bits = bits << 6 | value
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
                bits &= 1 << UInt32(bitCount) - 1
            }
        }
        return bits == 0 ? bytes : nil
    }

    private static func base64Digit(_ digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
