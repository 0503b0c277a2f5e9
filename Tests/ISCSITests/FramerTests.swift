// SPDX-License-Identifier: Apache-2.0

import ISCSI
import SCSI
import Testing

@Suite("PDUFramer")
struct FramerTests {
    /// Header and data digest, in all four combinations.
    static let digests: [(header: Bool, data: Bool)] = [(false, false), (true, false), (false, true), (true, true)]

    private func framer(_ index: Int) -> PDUFramer {
        var framer = PDUFramer()
        framer.hasHeaderDigest = Self.digests[index].header
        framer.hasDataDigest = Self.digests[index].data
        return framer
    }

    private func step(_ framer: PDUFramer, _ bytes: [UInt8]) throws(PDUError) -> PDUFramer.Step {
        try framer.next(bytes.span.bytes)
    }

    private func matches(_ framer: PDUFramer, _ frame: PDUFramer.Frame, _ bytes: [UInt8]) -> Bool {
        framer.dataDigestMatches(frame, in: bytes.span.bytes)
    }

    private func randomPDU(_ generator: inout SeededGenerator, _ index: Int) -> (bytes: [UInt8], data: [UInt8]) {
        let header = generator.bytes(BasicHeaderSegment.byteCount)
        let ahs = generator.flag() ? generator.bytes(4 * Int.random(in: 0...8, using: &generator)) : []
        let data = generator.bytes(generator.flag() ? Int.random(in: 0...700, using: &generator) : 0)
        let bytes = wire(
            header: header, ahs: ahs, data: data, headerDigest: Self.digests[index].header,
            dataDigest: Self.digests[index].data)
        return (bytes, data)
    }

    @Test("One byte more at a time ends in the same frame as all at once", arguments: digests.indices)
    func drip(index: Int) throws {
        var generator = SeededGenerator(seed: 7)
        let framer = framer(index)
        for _ in 0..<20 {
            let (bytes, data) = randomPDU(&generator, index)
            guard case .whole(let frame) = try step(framer, bytes + [0xEE, 0xEE]) else {
                Issue.record("a whole PDU was not seen as such")
                continue
            }
            #expect(frame.totalByteCount == bytes.count)
            #expect(frame.dataByteCount == data.count)
            #expect(Array(bytes[frame.dataOffset..<frame.dataOffset + data.count]) == data)
            #expect(matches(framer, frame, bytes))
            for count in 0..<bytes.count {
                switch try step(framer, Array(bytes[..<count])) {
                case .needMore(nil): #expect(count < BasicHeaderSegment.byteCount)
                case .needMore(let total?):
                    #expect(total == frame.dataOffset)
                    #expect(count >= BasicHeaderSegment.byteCount && count < frame.dataOffset)
                case .partial(let partial, let atHand):
                    #expect(partial == frame)
                    #expect(count >= frame.dataOffset)
                    #expect(atHand == min(count - frame.dataOffset, data.count))
                case .whole: Issue.record("\(count) of \(bytes.count) bytes were taken for the whole")
                }
            }
        }
    }

    @Test("A stream cut anywhere gives the PDUs that went in", arguments: Seeds.some)
    func randomSplits(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for index in Self.digests.indices {
            let framer = framer(index)
            let pdus = (0..<30).map { _ in randomPDU(&generator, index) }
            let stream = pdus.flatMap(\.bytes)
            var seen: [[UInt8]] = []
            var held: [UInt8] = []
            var position = 0
            while position < stream.count {
                let end = min(stream.count, position + Int.random(in: 1...900, using: &generator))
                held += stream[position..<end]
                position = end
                while case .whole(let frame) = try step(framer, held) {
                    seen.append(Array(held[frame.dataOffset..<frame.dataOffset + frame.dataByteCount]))
                    held.removeFirst(frame.totalByteCount)
                }
            }
            #expect(held.isEmpty)
            #expect(seen == pdus.map(\.data))
        }
    }

    @Test("A data segment may be as long as was declared and no longer", arguments: [512, 8192, 0xFF_FFFF])
    func dataSegmentLength(limit: Int) throws {
        var framer = PDUFramer()
        framer.maxDataSegmentLength = limit
        var header = [UInt8](repeating: 0, count: BasicHeaderSegment.byteCount)
        func setLength(_ length: Int) {
            header[5] = UInt8(length >> 16)
            header[6] = UInt8(length >> 8 & 0xFF)
            header[7] = UInt8(length & 0xFF)
        }
        setLength(limit)
        guard case .partial(let frame, 0) = try step(framer, header) else {
            Issue.record("the longest data segment was not taken")
            return
        }
        #expect(frame.dataByteCount == limit)
        guard limit < 0xFF_FFFF else { return }
        setLength(limit + 1)
        #expect(throws: PDUError.dropConnection(.dataSegmentTooLong)) { try step(framer, header) }
    }

    @Test("The largest additional header segments are taken")
    func largestAHS() throws {
        var framer = PDUFramer()
        framer.hasHeaderDigest = true
        let ahs = [UInt8](repeating: 3, count: PDUFramer.maximumAHSByteCount)
        let bytes = wire(header: [UInt8](repeating: 1, count: 48), ahs: ahs, headerDigest: true)
        guard case .whole(let frame) = try step(framer, bytes) else {
            Issue.record("the PDU was not taken")
            return
        }
        #expect(frame.ahsByteCount == 1020)
        #expect(frame.dataOffset == 48 + 1020 + CRC32C.byteCount)
    }

    @Test("Every flipped bit of headers and header digest drops the connection")
    func headerDigest() throws {
        var framer = PDUFramer()
        framer.hasHeaderDigest = true
        let right = wire(header: [UInt8](repeating: 2, count: 48), ahs: [1, 2, 3, 4], headerDigest: true)
        #expect(try step(framer, right) != .needMore(byteCount: nil))
        for bit in 0..<right.count * 8 where bit / 8 != 4 {
            var wrong = right
            wrong[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: PDUError.dropConnection(.headerDigestError)) { try step(framer, wrong) }
        }
    }

    @Test("A length that a broken header claims is not believed")
    func headerDigestBeforeLength() {
        var framer = PDUFramer()
        framer.hasHeaderDigest = true
        var bytes = wire(header: [UInt8](repeating: 2, count: 48), headerDigest: true)
        bytes[5] = 0xFF
        #expect(throws: PDUError.dropConnection(.headerDigestError)) { try step(framer, bytes) }
    }

    @Test("Every flipped bit of data, padding and data digest is noticed")
    func dataDigest() throws {
        var framer = PDUFramer()
        framer.hasDataDigest = true
        let right = wire(header: [UInt8](repeating: 2, count: 48), data: [1, 2, 3, 4, 5], dataDigest: true)
        guard case .whole(let frame) = try step(framer, right) else {
            Issue.record("the PDU was not taken")
            return
        }
        #expect(frame.paddingByteCount == 3)
        for bit in frame.dataOffset * 8..<right.count * 8 {
            var wrong = right
            wrong[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!matches(framer, frame, wrong))
        }
    }

    @Test("A PDU without data has no data digest")
    func noDataNoDigest() throws {
        var framer = PDUFramer()
        framer.hasDataDigest = true
        let bytes = wire(header: [UInt8](repeating: 0, count: 48))
        guard case .whole(let frame) = try step(framer, bytes) else {
            Issue.record("the PDU was not taken")
            return
        }
        #expect(!frame.hasDataDigest)
        #expect(frame.totalByteCount == 48)
        #expect(matches(framer, frame, bytes))
    }
}
