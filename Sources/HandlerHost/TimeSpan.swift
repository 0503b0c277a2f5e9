// SPDX-License-Identifier: Apache-2.0

/// Short times as operators write them.
package enum TimeSpan {
    private static let units: [(suffix: String, nanoseconds: UInt64)] = [
        ("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000),
    ]

    /// Nanoseconds: 0, or decimal digits with us, ms or s. Nil for anything else, and beyond `limit`.
    package static func parse(_ text: String, limit: UInt64) -> UInt64? {
        if text == "0" { return 0 }
        for (suffix, nanoseconds) in units where text.hasSuffix(suffix) {
            let digits = text.dropLast(suffix.count)
            // "50us" ends in s, too, but then what is left is no number.
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { continue }
            guard let number = UInt64(digits), number <= limit / nanoseconds else { return nil }
            return number * nanoseconds
        }
        return nil
    }
}
