// SPDX-License-Identifier: Apache-2.0

/// The bytes of an endless stream, each known by its offset: what is lost, doubled or out of order shows.
enum Pattern {
    static func byte(_ offset: Int, salt: Int = 0) -> UInt8 {
        UInt8(truncatingIfNeeded: (UInt64(offset &+ salt &* 7919) &* 0x9E37_79B9_7F4A_7C15) >> 56)
    }

    static func bytes(_ range: Range<Int>, salt: Int = 0) -> [UInt8] { range.map { byte($0, salt: salt) } }

    /// Whether `bytes` are those from `offset` on.
    static func matches(_ bytes: UnsafeRawBufferPointer, from offset: Int, salt: Int = 0) -> Bool {
        for position in bytes.indices where bytes[position] != byte(offset + position, salt: salt) { return false }
        return true
    }
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
