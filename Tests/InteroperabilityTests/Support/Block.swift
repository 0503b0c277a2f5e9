// SPDX-License-Identifier: Apache-2.0

/// A logical block that says of itself where it belongs and which write it came from.
///
/// Bytes 0 to 7 are its address, 8 to 15 its generation, the rest is noise from both, so that a torn, moved or stale
/// block is known for what it is.
enum Block {
    static let byteCount = 512

    static func content(lba: UInt64, generation: UInt64) -> [UInt8] {
        var random = SplitMix64(seed: lba &* 0x9E37_79B9_7F4A_7C15 ^ generation)
        var words = [lba, generation]
        while words.count < byteCount / 8 { words.append(random.next()) }
        return words.withUnsafeBytes { [UInt8]($0) }
    }

    static func contents(lba: UInt64, blockCount: Int, generation: UInt64) -> [UInt8] {
        (0..<UInt64(blockCount)).flatMap { content(lba: lba + $0, generation: generation) }
    }

    /// The generation of the whole and rightly placed block in `bytes`; 0 for zeros; nil when it is none of ours.
    static func generation(of bytes: ArraySlice<UInt8>, lba: UInt64) -> UInt64? {
        if bytes.allSatisfy({ $0 == 0 }) { return 0 }
        let found = bytes.dropFirst(8).prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return bytes.elementsEqual(content(lba: lba, generation: found)) ? found : nil
    }
}

/// A small generator whose whole state is its seed, so that a failure can be repeated.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
