// SPDX-License-Identifier: Apache-2.0

/// SplitMix64: the same seed gives the same numbers everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }

    /// Bytes that appear nowhere else.
    mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            var word = next()
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        return Array(bytes.prefix(count))
    }
}

/// The file that a configuration string names, where it names one: what stands behind the subtype, or behind an @.
struct StorePath {
    let config: String
    /// Nil: the store is no file, as far as can be seen.
    let path: String?

    init(config: String) {
        self.config = config
        let rest = config.drop { $0 != "/" }.dropFirst()
        let tail = rest.lastIndex(of: "@").map { rest[rest.index(after: $0)...] } ?? rest
        path = tail.first == "/" ? String(tail.prefix { $0 != ";" }) : nil
    }

    /// The same string with another file.
    func replacing(_ other: String) -> String? {
        guard let path, let range = config.range(of: path) else { return nil }
        return config.replacingCharacters(in: range, with: other)
    }
}

// The standard library has neither of these.
extension String {
    fileprivate func range(of part: String) -> Range<String.Index>? { ranges(of: part).last }

    fileprivate func replacingCharacters(in range: Range<String.Index>, with other: String) -> String {
        String(self[..<range.lowerBound]) + other + String(self[range.upperBound...])
    }
}
