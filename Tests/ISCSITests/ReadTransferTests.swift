// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("ReadTransfer and Residual")
struct ReadTransferTests {
    @Test("Data are cut without a gap, within the limits, with F at each burst's end", arguments: Seeds.some)
    func slices(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let byteCount = Int.random(in: 0...100_000, using: &generator)
            let maxDataSegmentLength = Int.random(in: 512...20_000, using: &generator)
            let maxBurstLength = Int.random(in: 512...30_000, using: &generator)
            let carriesStatus = generator.flag()
            var transfer = ReadTransfer(
                byteCount: byteCount, maxDataSegmentLength: maxDataSegmentLength, maxBurstLength: maxBurstLength,
                carriesStatus: carriesStatus)
            var offset = 0
            var dataSN: UInt32 = 0
            while let slice = transfer.next() {
                #expect(slice.offset == offset)
                #expect(slice.byteCount > 0 && slice.byteCount <= maxDataSegmentLength)
                #expect(slice.dataSN == dataSN)
                offset += slice.byteCount
                dataSN += 1
                #expect(slice.isFinal == (offset % maxBurstLength == 0 || offset == byteCount))
                #expect(slice.carriesStatus == (carriesStatus && offset == byteCount))
                #expect(slice.isFinal || slice.byteCount % 4 == 0)
            }
            #expect(offset == byteCount)
            #expect(transfer.dataInCount == dataSN)
        }
    }

    @Test("Limits that make no sense still make progress", arguments: [(0, 0), (-5, -5), (1, 1), (3, 7)])
    func degenerate(segment: Int, burst: Int) {
        var transfer = ReadTransfer(
            byteCount: 100, maxDataSegmentLength: segment, maxBurstLength: burst, carriesStatus: true)
        var total = 0
        while let slice = transfer.next() { total += slice.byteCount }
        #expect(total == 100)
        var nothing = ReadTransfer(byteCount: -1, maxDataSegmentLength: 512, maxBurstLength: 512, carriesStatus: true)
        #expect(nothing.next() == nil)
    }

    /// Expected and actual, to and from the initiator.
    static let residuals: [(to: (Int, Int), from: (Int, Int), expected: Residual)] = [
        ((512, 512), (0, 0), .none),
        ((512, 500), (0, 0), Residual(amount: .underflow(12))),
        ((512, 1024), (0, 0), Residual(amount: .overflow(512))),
        ((0, 512), (0, 0), Residual(amount: .overflow(512))),
        ((0, 0), (512, 512), .none),
        ((0, 0), (512, 0), Residual(amount: .underflow(512))),
        ((0, 0), (512, 4096), Residual(amount: .overflow(3584))),
        ((0, 0), (0, 4096), Residual(amount: .overflow(4096))),
        ((0, 0), (0, 0), .none),
        ((512, 512), (512, 512), .none),
        ((512, 100), (512, 600), Residual(amount: .overflow(88), bidirectionalRead: .underflow(412))),
        ((512, 0), (0, 512), Residual(amount: .underflow(512))),
        ((0, 512), (512, 0), Residual(amount: .underflow(512))),
        ((0xFFFF_FFFF, 0), (0, 0), Residual(amount: .underflow(0xFFFF_FFFF))),
        ((0, 0x2_0000_0000), (0, 0), Residual(amount: .overflow(0xFFFF_FFFF))),
    ]

    @Test("Residuals tell by how much and in which direction", arguments: residuals.indices)
    func residual(index: Int) {
        let row = Self.residuals[index]
        let residual = Residual(
            expectedToInitiator: row.to.0, actualToInitiator: row.to.1, expectedFromInitiator: row.from.0,
            actualFromInitiator: row.from.1)
        #expect(residual == row.expected)
    }
}
