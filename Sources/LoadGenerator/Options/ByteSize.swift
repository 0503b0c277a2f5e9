// SPDX-License-Identifier: Apache-2.0

/// Numbers of bytes as operators write them.
enum ByteSize {
    /// Binary multiples, as the letters of disk sizes mean them.
    private static let shifts: [Character: UInt64] = ["K": 10, "M": 20, "G": 30, "T": 40]

    /// Decimal digits, then at most one letter of K M G T, large or small. Nil for anything else, and beyond 2^63 - 1.
    static func parse(_ text: String) -> UInt64? {
        var digits = Substring(text)
        var shift: UInt64 = 0
        if let letter = text.last, let known = shifts[Character(letter.uppercased())] {
            shift = known
            digits = digits.dropLast()
        }
        guard !digits.isEmpty, digits.allSatisfy(\.isASCIIDigit), let number = UInt64(digits),
            number <= UInt64(Int64.max) >> shift
        else { return nil }
        return number << shift
    }

    /// The largest unit that divides it: "1 GiB", "1536 MiB", "1000 bytes".
    static func describe(_ byteCount: UInt64) -> String {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] as [(UInt64, String)]
        where byteCount != 0 && byteCount.trailingZeroBitCount >= Int(shift) {
            return "\(byteCount >> shift) \(unit)"
        }
        return "\(byteCount) bytes"
    }
}
