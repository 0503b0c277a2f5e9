// SPDX-License-Identifier: Apache-2.0

/// Sizes as operators write them.
enum ByteCount {
    /// Binary multiples, as the letters of disk sizes mean them.
    private static let shifts: [Character: UInt64] = ["K": 10, "M": 20, "G": 30, "T": 40]

    /// Offsets on a medium are signed 64-bit numbers to the kernel.
    static let maximum = UInt64(Int64.max)

    /// Decimal digits, then at most one letter of K M G T, large or small. Nil for anything else, and beyond `maximum`.
    static func parse(_ text: String) -> UInt64? {
        var digits = Substring(text)
        var shift: UInt64 = 0
        if let letter = text.last, let known = shifts[Character(letter.uppercased())] {
            shift = known
            digits = digits.dropLast()
        }
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt64(digits)
        else { return nil }
        guard number <= maximum >> shift else { return nil }
        return number << shift
    }

    /// For people: the largest unit that divides it, "1 GiB", "1536 MiB", "1000 bytes".
    static func describe(_ byteCount: UInt64) -> String {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] as [(UInt64, String)]
        where byteCount != 0 && byteCount.trailingZeroBitCount >= Int(shift) {
            return "\(byteCount >> shift) \(unit)"
        }
        return "\(byteCount) bytes"
    }
}
