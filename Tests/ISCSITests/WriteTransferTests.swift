// SPDX-License-Identifier: Apache-2.0

import ISCSI
import SCSI
import Testing

@Suite("WriteTransfer")
struct WriteTransferTests {
    static func parameters(
        firstBurst: Int = 4096, maxBurst: Int = 8192, outstanding: Int = 1, initialR2T: Bool = false,
        immediateData: Bool = true
    ) -> SessionParameters {
        var parameters = SessionParameters()
        parameters.firstBurstLength = firstBurst
        parameters.maxBurstLength = maxBurst
        parameters.maxOutstandingR2T = outstanding
        parameters.initialR2T = initialR2T
        parameters.immediateData = immediateData
        return parameters
    }

    static func dataOut(
        _ offset: Int, _ byteCount: Int, sn: UInt32, final: Bool = false, unsolicited: Bool = false
    ) -> DataOutPDU {
        DataOutPDU(
            isFinal: final, lun: LogicalUnitNumber(0), initiatorTaskTag: 1,
            targetTransferTag: unsolicited ? DataOutPDU.unsolicited : 9, expStatSN: 0, dataSN: sn,
            bufferOffset: UInt32(offset), dataSegmentLength: UInt32(byteCount))
    }

    private func make(
        _ expected: Int, wanted: Int? = nil, immediate: Int = 0, follows: Bool = false,
        _ parameters: SessionParameters = parameters()
    ) throws -> WriteTransfer {
        try WriteTransfer(
            expectedLength: expected, wanted: wanted ?? expected, immediateByteCount: immediate,
            unsolicitedFollows: follows, parameters: parameters)
    }

    // MARK: Legal

    @Test("A legal initiator's bytes are each placed exactly once and never beyond the buffer", arguments: Seeds.some)
    func everyByteOnce(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<400 {
            let parameters = Self.parameters(
                firstBurst: Int.random(in: 512...5000, using: &generator),
                maxBurst: Int.random(in: 512...5000, using: &generator),
                outstanding: Int.random(in: 1...20, using: &generator), initialR2T: generator.flag(),
                immediateData: generator.flag())
            let expected = Int.random(in: 0...30_000, using: &generator)
            let wanted = generator.flag() ? expected : Int.random(in: 0...40_000, using: &generator)
            let room = min(expected, wanted)
            let first = min(expected, parameters.firstBurstLength)
            let immediate = parameters.immediateData ? Int.random(in: 0...first, using: &generator) : 0
            let follows = !parameters.initialR2T && immediate < first && generator.flag()
            var transfer = try make(expected, wanted: wanted, immediate: immediate, follows: follows, parameters)
            var hits = [UInt8](repeating: 0, count: room)
            for index in 0..<min(immediate, room) { hits[index] += 1 }

            func send(_ start: Int, _ end: Int, unsolicited: Bool) throws {
                var offset = start
                var sn: UInt32 = 0
                repeat {
                    let count = min(end - offset, Int.random(in: 1...1500, using: &generator))
                    let pdu = Self.dataOut(
                        offset, count, sn: sn, final: offset + count == end, unsolicited: unsolicited)
                    let placement = try transfer.receive(pdu)
                    #expect(placement.byteCount <= count)
                    #expect(placement.byteCount == 0 || placement.offset == offset)
                    for index in placement.offset..<placement.offset + placement.byteCount { hits[index] += 1 }
                    offset += count
                    sn += 1
                } while offset < end
            }

            if follows { try send(immediate, first, unsolicited: true) }
            var outstanding: [WriteTransfer.Burst] = []
            var expectedR2TSN: UInt32 = 0
            while !transfer.isComplete {
                while let burst = transfer.nextR2T() {
                    #expect(burst.byteCount > 0 && burst.byteCount <= parameters.maxBurstLength)
                    #expect(burst.r2tSN == expectedR2TSN)
                    #expect(burst.offset + burst.byteCount <= room)
                    expectedR2TSN += 1
                    outstanding.append(burst)
                }
                #expect(outstanding.count <= min(parameters.maxOutstandingR2T, WriteTransfer.outstandingR2TLimit))
                guard !outstanding.isEmpty else {
                    Issue.record("a transfer came to a stop, seed \(seed)")
                    break
                }
                let burst = outstanding.removeFirst()
                try send(burst.offset, burst.offset + burst.byteCount, unsolicited: false)
                #expect(transfer.failure == nil)
            }
            #expect(hits.allSatisfy { $0 == 1 })
            #expect(transfer.receivedByteCount == room)
            #expect(transfer.nextR2T() == nil)
        }
    }

    @Test("Several R2Ts are outstanding as far as was negotiated, and never more than the limit")
    func outstanding() throws {
        for negotiated in [1, 2, 8, 9, 65535] {
            var transfer = try make(20 * 8192, Self.parameters(outstanding: negotiated))
            var count = 0
            while transfer.nextR2T() != nil { count += 1 }
            #expect(count == min(negotiated, WriteTransfer.outstandingR2TLimit))
        }
    }

    @Test("A command that wants less than is offered asks for no more, and drops the rest")
    func wantsLess() throws {
        var transfer = try make(10_000, wanted: 5000, immediate: 100, follows: true)
        #expect(try transfer.receive(Self.dataOut(100, 3996, sn: 0, final: true, unsolicited: true)).byteCount == 3996)
        #expect(transfer.nextR2T() == WriteTransfer.Burst(offset: 4096, byteCount: 904, r2tSN: 0))
        _ = try transfer.receive(Self.dataOut(4096, 904, sn: 0, final: true))
        #expect(transfer.isComplete)
        #expect(transfer.receivedByteCount == 5000)

        var none = try make(10_000, wanted: 0, immediate: 512, follows: true)
        #expect(!none.isComplete)
        let placement = try none.receive(Self.dataOut(512, 3584, sn: 0, final: true, unsolicited: true))
        #expect(placement.byteCount == 0)
        #expect(none.isComplete)
        #expect(none.nextR2T() == nil)
    }

    @Test("No R2T goes out while unsolicited data are still to come")
    func waitsForUnsolicited() throws {
        var transfer = try make(8192, follows: true)
        #expect(transfer.awaitsUnsolicited)
        #expect(transfer.nextR2T() == nil)
        _ = try transfer.receive(Self.dataOut(0, 4096, sn: 0, final: true, unsolicited: true))
        #expect(!transfer.awaitsUnsolicited)
        #expect(transfer.nextR2T() == WriteTransfer.Burst(offset: 4096, byteCount: 4096, r2tSN: 0))
    }

    @Test("Short unsolicited data of a command that fits the first burst are completed by R2T")
    func shortUnsolicited() throws {
        var transfer = try make(4096, follows: true)
        _ = try transfer.receive(Self.dataOut(0, 1000, sn: 0, final: true, unsolicited: true))
        #expect(transfer.failure == nil)
        #expect(transfer.nextR2T() == WriteTransfer.Burst(offset: 1000, byteCount: 3096, r2tSN: 0))
    }

    @Test("An empty last Data-Out ends its burst")
    func emptyFinal() throws {
        var transfer = try make(1024)
        _ = transfer.nextR2T()
        _ = try transfer.receive(Self.dataOut(0, 1024, sn: 0))
        #expect(!transfer.isComplete)
        _ = try transfer.receive(Self.dataOut(1024, 0, sn: 1, final: true))
        #expect(transfer.isComplete)
    }

    // MARK: Illegal

    @Test("A command that breaks the rules of early data is rejected")
    func rejectedCommands() {
        let reject = PDUError.reject(.protocolError)
        #expect(throws: reject) { try make(100, immediate: 101) }
        #expect(throws: reject) { try make(10_000, immediate: 4097) }
        #expect(throws: reject) { try make(0, immediate: 1) }
        #expect(throws: reject) { try make(8192, follows: true, Self.parameters(initialR2T: true)) }
    }

    @Test("Immediate data where none were agreed fail the command once the initiator has said everything")
    func immediateNotAgreed() throws {
        let failed = try make(1024, immediate: 512, Self.parameters(immediateData: false))
        #expect(failed.failure == .unexpectedUnsolicitedData)
        #expect(failed.isFailed && !failed.isComplete)
        #expect(failed.receivedByteCount == 0)

        var later = try make(1024, immediate: 512, follows: true, Self.parameters(immediateData: false))
        #expect(!later.isFailed)
        #expect(try later.receive(Self.dataOut(512, 512, sn: 0, final: true, unsolicited: true)).byteCount == 0)
        #expect(later.isFailed)
    }

    @Test("Unsolicited data that were not announced fail the command")
    func unannounced() throws {
        var transfer = try make(8192)
        #expect(try transfer.receive(Self.dataOut(0, 512, sn: 0, unsolicited: true)).byteCount == 0)
        #expect(transfer.failure == .unexpectedUnsolicitedData)
        #expect(transfer.nextR2T() == nil)

        var asked = try make(8192)
        _ = asked.nextR2T()
        _ = try asked.receive(Self.dataOut(0, 512, sn: 0, unsolicited: true))
        #expect(!asked.isFailed, "the R2T is still to be answered")
        #expect(try asked.receive(Self.dataOut(0, 8192, sn: 0, final: true)).byteCount == 0)
        #expect(asked.isFailed)
    }

    @Test("More unsolicited data than FirstBurstLength fail the command and have no place")
    func tooMuchUnsolicited() throws {
        var transfer = try make(8192, follows: true)
        #expect(try transfer.receive(Self.dataOut(0, 4000, sn: 0, unsolicited: true)).byteCount == 4000)
        #expect(try transfer.receive(Self.dataOut(4000, 97, sn: 1, unsolicited: true)).byteCount == 0)
        #expect(transfer.failure == .incorrectAmountOfData)
        #expect(!transfer.isFailed)
        _ = try transfer.receive(Self.dataOut(4097, 1, sn: 2, final: true, unsolicited: true))
        #expect(transfer.isFailed)
    }

    @Test("Less unsolicited data than FirstBurstLength of a longer command fail it")
    func tooLittleUnsolicited() throws {
        var transfer = try make(8192, immediate: 100, follows: true)
        _ = try transfer.receive(Self.dataOut(100, 3995, sn: 0, final: true, unsolicited: true))
        #expect(transfer.failure == .incorrectAmountOfData)
        #expect(transfer.isFailed)
    }

    @Test("An answer to an R2T with too little or too much data fails the command", arguments: [1, 8191, 8193, 9000])
    func wrongBurst(byteCount: Int) throws {
        var transfer = try make(20_000, Self.parameters(outstanding: 2))
        _ = transfer.nextR2T()
        _ = transfer.nextR2T()
        let placement = try transfer.receive(Self.dataOut(0, byteCount, sn: 0, final: true))
        #expect(placement.byteCount <= 8192)
        #expect(transfer.failure == .incorrectAmountOfData)
        #expect(!transfer.isFailed, "the second R2T is still to be answered")
        #expect(try transfer.receive(Self.dataOut(8192, 8192, sn: 0, final: true)).byteCount == 0)
        #expect(transfer.isFailed)
        #expect(transfer.nextR2T() == nil)
    }

    @Test("A wrong DataSN fails the command as a lost PDU does", arguments: [1, 27, 0xFFFF_FFFF] as [UInt32])
    func wrongDataSN(sn: UInt32) throws {
        for unsolicited in [false, true] {
            var transfer = try make(4096, follows: unsolicited)
            _ = transfer.nextR2T()
            let pdu = Self.dataOut(0, 4096, sn: sn, final: true, unsolicited: unsolicited)
            #expect(try transfer.receive(pdu).byteCount == 0)
            #expect(transfer.failure == .protocolServiceCRCError)
            #expect(transfer.isFailed)
            #expect(transfer.receivedByteCount == 0)
        }
    }

    @Test("DataSN begins anew with each sequence")
    func dataSNPerSequence() throws {
        var transfer = try make(20_000, follows: true)
        _ = try transfer.receive(Self.dataOut(0, 4000, sn: 0, unsolicited: true))
        _ = try transfer.receive(Self.dataOut(4000, 96, sn: 1, final: true, unsolicited: true))
        _ = transfer.nextR2T()
        _ = try transfer.receive(Self.dataOut(4096, 8192, sn: 0, final: true))
        _ = transfer.nextR2T()
        _ = try transfer.receive(Self.dataOut(12_288, 7712, sn: 1, final: true))
        #expect(transfer.failure == .protocolServiceCRCError)
    }

    @Test("Data at any other place than the next drop the connection", arguments: [1, 4095, 4097, 0x7FFF_FFFF])
    func wrongOffset(offset: Int) throws {
        for unsolicited in [false, true] {
            var transfer = try make(4096, follows: unsolicited)
            _ = transfer.nextR2T()
            let before = transfer
            let pdu = Self.dataOut(offset, 1, sn: 0, unsolicited: unsolicited)
            #expect(throws: PDUError.dropConnection(.dataOutOfOrder)) { try transfer.receive(pdu) }
            #expect(transfer == before)
        }
    }

    @Test("Bytes that came are refused a second time")
    func twice() throws {
        var transfer = try make(8192)
        _ = transfer.nextR2T()
        _ = try transfer.receive(Self.dataOut(0, 4096, sn: 0))
        #expect(throws: PDUError.dropConnection(.dataOutOfOrder)) {
            try transfer.receive(Self.dataOut(0, 4096, sn: 1))
        }
    }

    @Test("Data that no R2T asked for are rejected")
    func notAskedFor() throws {
        var transfer = try make(4096)
        #expect(throws: PDUError.reject(.protocolError)) { try transfer.receive(Self.dataOut(0, 4096, sn: 0)) }
        _ = transfer.nextR2T()
        _ = try transfer.receive(Self.dataOut(0, 4096, sn: 0, final: true))
        #expect(transfer.isComplete)
        #expect(throws: PDUError.reject(.protocolError)) { try transfer.receive(Self.dataOut(4096, 0, sn: 0)) }
    }

    @Test("Whatever comes, nothing is placed twice or outside, and nothing traps", arguments: Seeds.some)
    func fuzz(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            let expected = Int.random(in: 0...6000, using: &generator)
            let wanted = Int.random(in: 0...6000, using: &generator)
            let parameters = Self.parameters(
                firstBurst: 512, maxBurst: 512, outstanding: Int.random(in: 1...9, using: &generator),
                initialR2T: generator.flag(), immediateData: generator.flag())
            guard
                var transfer = try? make(
                    expected, wanted: wanted, immediate: Int.random(in: 0...512, using: &generator),
                    follows: generator.flag(), parameters)
            else { continue }
            let room = min(expected, wanted)
            var placed = transfer.receivedByteCount
            for _ in 0..<20 {
                if generator.flag() { _ = transfer.nextR2T() }
                let offset = generator.flag() ? placed : Int(generator.word())
                let length = generator.flag() ? Int.random(in: 0...512, using: &generator) : Int(generator.length())
                let pdu = Self.dataOut(
                    offset, length, sn: generator.flag() ? 0 : generator.word(), final: generator.flag(),
                    unsolicited: generator.flag())
                guard let placement = try? transfer.receive(pdu) else { continue }
                if placement.byteCount > 0 {
                    #expect(placement.offset == placed)
                    #expect(placement.byteCount <= length)
                }
                placed += placement.byteCount
                #expect(placed <= room)
                #expect(transfer.receivedByteCount == placed)
            }
        }
    }
}
