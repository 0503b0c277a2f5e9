// SPDX-License-Identifier: Apache-2.0
import LoadGenerator
import Testing

@Suite("Block pattern")
struct BlockPatternTests {
    static let pattern = BlockPattern(seed: 9, blockByteCount: 512)

    static func blocks(_ pattern: BlockPattern = pattern, lba: UInt64, count: Int = 1, write: UInt32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xAA, count: count * pattern.blockByteCount)
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        pattern.fill(&raw, lba: lba, writeCount: write)
        return bytes
    }

    private func mismatch(_ bytes: [UInt8], lba: UInt64, write: UInt32) -> BlockPattern.Mismatch? {
        Self.pattern.mismatch(in: bytes.span.bytes, lba: lba, writeCount: write)
    }

    @Test(
        "What was written is found right", arguments: [(0, 1), (77, 4), (1 << 40, 4_000_000_000)] as [(UInt64, UInt32)])
    func right(lba: UInt64, write: UInt32) {
        #expect(mismatch(Self.blocks(lba: lba, count: 8, write: write), lba: lba, write: write) == nil)
    }

    @Test("A content belongs to one address, one write and one seed: no two share a word behind the first three")
    func different() {
        var words: Set<[UInt8]> = []
        var blockCount = 0
        for seed in [1, 2] as [UInt64] {
            let pattern = BlockPattern(seed: seed, blockByteCount: 512)
            for lba in [0, 1, 2, 1 << 32] as [UInt64] {
                for write in [1, 2, 3] as [UInt32] {
                    words.insert(Array(Self.blocks(pattern, lba: lba, write: write)[24..<32]))
                    blockCount += 1
                }
            }
        }
        #expect(words.count == blockCount)
    }

    @Test("Any changed byte is found, and told by block and byte", arguments: [0, 7, 8, 511, 512, 1000, 1535])
    func anyByte(index: Int) throws {
        var bytes = Self.blocks(lba: 40, count: 3, write: 2)
        bytes[index] ^= 0x10
        let found = try #require(mismatch(bytes, lba: 40, write: 2))
        #expect(found.lba == 40 + UInt64(index / 512))
        #expect(found.byteOffset == index % 512 / 8 * 8)
        #expect(found.expectedWriteCount == 2)
        #expect(found.expected ^ found.found == 0x10 << UInt64(index % 8 * 8))
        let sentence = found.sentence(seed: 9)
        #expect(sentence.contains("block \(found.lba) ") && sentence.contains("byte \(found.byteOffset) "))
    }

    @Test("Where a wrong content comes from is told when it can be known")
    func origin() throws {
        let stale = try #require(mismatch(Self.blocks(lba: 5, write: 1), lba: 5, write: 2))
        #expect(stale.sentence(seed: 9).contains("expected write 2 of it"))
        #expect(stale.sentence(seed: 9).contains("begins like write 1 of it"))
        let moved = try #require(mismatch(Self.blocks(lba: 6, write: 2), lba: 5, write: 2))
        #expect(moved.sentence(seed: 9).contains("write 2 of block 6"))
        let torn = Array(Self.blocks(lba: 5, write: 2)[..<256]) + Array(Self.blocks(lba: 5, write: 1)[256...])
        let tear = try #require(mismatch(torn, lba: 5, write: 2))
        #expect(tear.byteOffset == 256)
        #expect(tear.sentence(seed: 9).contains("begins rightly"))
        let zeroes = try #require(mismatch([UInt8](repeating: 0, count: 512), lba: 5, write: 2))
        #expect(zeroes.sentence(seed: 9).contains("zeroes"))
        let foreign = try #require(mismatch([UInt8](repeating: 0x5A, count: 512), lba: 5, write: 2))
        #expect(foreign.sentence(seed: 9).contains("this run did not write"))
    }
}
