// SPDX-License-Identifier: Apache-2.0

internal import SCSI

/// The content of a written block. It follows from the block's address, the seed and how often its place was written:
/// a block that is torn, moved or stale is known for what it is.
///
/// Words of eight bytes, little-endian: the address, the write count, the seed, then a sequence of which no word is
/// like another, with a beginning that mixes all three.
package struct BlockPattern: Equatable, Sendable {
    package let seed: UInt64
    /// Bytes of a block: a multiple of 8, at least 32.
    package let blockByteCount: Int

    package init(seed: UInt64, blockByteCount: Int) {
        self.seed = seed
        self.blockByteCount = blockByteCount
    }

    private static let wordByteCount = 8
    private static let step: UInt64 = 0x0101_0101_0101_0101

    /// The first block of a unit that is not as it should be.
    package struct Mismatch: Equatable, Sendable {
        package let lba: UInt64
        /// Bytes of the block before the first wrong word.
        package let byteOffset: Int
        package let expectedWriteCount: UInt32
        package let expected: UInt64
        package let found: UInt64
        /// The block's first words, as far as they tell where it comes from.
        package let foundLBA: UInt64
        package let foundWriteCount: UInt64
        package let foundSeed: UInt64
        package let isAllZeroes: Bool
    }

    /// Fills `bytes`, whole blocks, for the address `lba` and those that follow.
    package func fill(_ bytes: inout MutableRawSpan, lba: UInt64, writeCount: UInt32) {
        for block in 0..<bytes.byteCount / blockByteCount {
            let address = lba + UInt64(block)
            let start = block * blockByteCount
            let base = base(address, writeCount)
            for word in 0..<blockByteCount / Self.wordByteCount {
                bytes.storeBytes(
                    of: self.word(word, address, writeCount, base).littleEndian,
                    toByteOffset: start + word * Self.wordByteCount, as: UInt64.self)
            }
        }
    }

    /// Nil when `bytes`, whole blocks from the address `lba` on, are what write number `writeCount` left there.
    package func mismatch(in bytes: RawSpan, lba: UInt64, writeCount: UInt32) -> Mismatch? {
        for block in 0..<bytes.byteCount / blockByteCount {
            let address = lba + UInt64(block)
            let start = block * blockByteCount
            let base = base(address, writeCount)
            for word in 0..<blockByteCount / Self.wordByteCount {
                let expected = self.word(word, address, writeCount, base)
                let found = bytes.uint64(at: start + word * Self.wordByteCount).byteSwapped
                if found != expected {
                    return mismatch(
                        bytes.extracting(start..<start + blockByteCount), address, writeCount, word, expected, found)
                }
            }
        }
        return nil
    }

    @inline(never)
    private func mismatch(
        _ block: RawSpan, _ lba: UInt64, _ writeCount: UInt32, _ word: Int, _ expected: UInt64, _ found: UInt64
    ) -> Mismatch {
        Mismatch(
            lba: lba, byteOffset: word * Self.wordByteCount, expectedWriteCount: writeCount, expected: expected,
            found: found, foundLBA: block.uint64(at: 0).byteSwapped, foundWriteCount: block.uint64(at: 8).byteSwapped,
            foundSeed: block.uint64(at: 16).byteSwapped,
            isAllZeroes: (0..<blockByteCount).allSatisfy { block.uint8(at: $0) == 0 })
    }

    private func base(_ lba: UInt64, _ writeCount: UInt32) -> UInt64 {
        SplitMix64.mix(SplitMix64.mix(lba ^ seed << 40) &+ UInt64(writeCount))
    }

    @inline(__always)
    private func word(_ index: Int, _ lba: UInt64, _ writeCount: UInt32, _ base: UInt64) -> UInt64 {
        switch index {
        case 0: lba
        case 1: UInt64(writeCount)
        case 2: seed
        default: base &+ UInt64(index) &* Self.step
        }
    }
}

extension BlockPattern.Mismatch {
    /// The mismatch as a sentence, for a run with `seed`.
    package func sentence(seed: UInt64) -> String {
        let wrong = "block \(lba) is wrong from its byte \(byteOffset) on: expected write \(expectedWriteCount) of it"
        return "\(wrong), \(Self.hexadecimal(expected)), found \(Self.hexadecimal(found)), \(origin(seed: seed))"
    }

    private func origin(seed: UInt64) -> String {
        if isAllZeroes { return "in a block of zeroes" }
        guard foundSeed == seed, foundWriteCount <= UInt64(UInt32.max) else {
            return "in a block that this run did not write"
        }
        let write = "write \(foundWriteCount)"
        if foundLBA != lba { return "in a block that begins like \(write) of block \(foundLBA)" }
        return foundWriteCount == UInt64(expectedWriteCount)
            ? "in a block that begins rightly" : "in a block that begins like \(write) of it"
    }

    private static func hexadecimal(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
