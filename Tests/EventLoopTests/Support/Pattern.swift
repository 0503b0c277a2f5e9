// SPDX-License-Identifier: Apache-2.0

import CLinux

/// The bytes of an endless stream, each known by its offset: what is lost, doubled or out of order shows.
enum Pattern {
    /// A prime: no power of two and no multiple of a buffer's size makes it look the same elsewhere.
    private static let period = 1_048_573

    /// One period, and again as much as is ever compared at once.
    private static let table: [UInt8] = {
        var numbers = SeededNumbers(seed: 1)
        let once = (0..<period).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        return once + once
    }()

    /// Streams with another `salt` have other bytes. No more than one period at once.
    static func bytes(_ range: Range<Int>, salt: Int = 0) -> [UInt8] {
        let start = start(range.lowerBound, salt)
        return Array(table[start..<start + range.count])
    }

    /// Whether `bytes` are those from `offset` on.
    static func matches(_ bytes: UnsafeRawBufferPointer, from offset: Int, salt: Int = 0) -> Bool {
        guard let address = bytes.baseAddress, !bytes.isEmpty else { return true }
        return table.withUnsafeBytes { memcmp($0.baseAddress! + start(offset, salt), address, bytes.count) == 0 }
    }

    private static func start(_ offset: Int, _ salt: Int) -> Int { (offset + salt * 7919) % period }
}

/// Numbers that can be had again by their seed (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
