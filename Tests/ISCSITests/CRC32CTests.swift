// SPDX-License-Identifier: Apache-2.0

import CDigest
import ISCSI
import Testing

@Suite("CRC32C")
struct CRC32CTests {
    /// RFC 7143 appendix A.4 (RFC 3720 B.4): data and the digest as its bytes stand on the wire.
    static let vectors: [(data: [UInt8], digest: String)] = [
        ([UInt8](repeating: 0, count: 32), "aa36918a"),
        ([UInt8](repeating: 0xFF, count: 32), "43aba862"),
        ((0..<32).map { $0 }, "4e79dd46"),
        ((0..<32).map { 31 - $0 }, "5cdb3f11"),
        (
            bytes(
                hexadecimal: """
                    01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018
                    28000000 00000000 02000000 00000000
                    """), "563a96d9"
        ),
    ]

    private func value(_ bytes: [UInt8]) -> UInt32 { CRC32C.of(bytes.span.bytes) }

    @Test("The standard's vectors give the standard's digests", arguments: vectors.indices)
    func standardVectors(index: Int) {
        let (data, expected) = Self.vectors[index]
        #expect(hexadecimal(digest(data)) == expected)
    }

    @Test("Nothing has the digest zero")
    func empty() {
        #expect(CRC32C().value == 0)
        #expect(value([]) == 0)
        #expect(martlet_crc32c(0, nil, 0) == 0)
        #expect(martlet_crc32c_software(0, nil, 0) == 0)
    }

    @Test("Instructions and tables agree on any data, alignment and length", arguments: Seeds.some)
    func hardwareAgainstSoftware(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let data = generator.bytes(20_000)
        data.withUnsafeBytes { all in
            // Every short length, then lengths around the stream boundaries and at random.
            let lengths = Array(0...600) + [4079, 4080, 4081, 4583, 4584, 4585, 8160, 8161]
            for length in lengths + (0..<200).map({ _ in Int.random(in: 0...19_000, using: &generator) }) {
                let offset = Int.random(in: 0...64, using: &generator)
                let initial = generator.word()
                let piece = all[offset..<offset + length]
                let start = all.baseAddress! + piece.startIndex
                #expect(
                    martlet_crc32c(initial, start, length) == martlet_crc32c_software(initial, start, length),
                    "offset \(offset), length \(length)")
            }
        }
    }

    @Test("Pieces give the digest of the whole", arguments: Seeds.some)
    func pieces(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let data = generator.bytes(10_000)
        let whole = value(data)
        for _ in 0..<50 {
            var inPieces = CRC32C()
            var start = 0
            while start < data.count {
                let end = min(data.count, start + Int.random(in: 1...3000, using: &generator))
                inPieces.update(Array(data[start..<end]).span.bytes)
                start = end
            }
            #expect(inPieces.value == whole)
        }
    }

    @Test("Every flipped bit changes the digest")
    func flippedBits() {
        var data = [UInt8](repeating: 0x5A, count: 48)
        let right = value(data)
        for bit in 0..<data.count * 8 {
            data[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(value(data) != right)
            data[bit / 8] ^= 1 << UInt8(bit % 8)
        }
    }

    @Test("A stored digest is read least significant byte first")
    func stored() {
        let bytes: [UInt8] = [0, 0xAA, 0x36, 0x91, 0x8A]
        let stored = CRC32C.stored(in: bytes.span.bytes, at: 1)
        #expect(stored == 0x8A91_36AA)
    }
}
