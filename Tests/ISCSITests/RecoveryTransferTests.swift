// SPDX-License-Identifier: Apache-2.0

import ISCSI
import SCSI
import Testing

@Suite("Transfers at error recovery levels above 0")
struct RecoveryTransferTests {
    /// An initiator whose PDUs are damaged or lost on the way now and then, and whose connection fails at times.
    private struct LossyInitiator {
        var transfer: WriteTransfer
        /// Bytes that have a place and are good.
        var good: [Bool]
        /// R2Ts that it has not answered.
        var asked: [WriteTransfer.Burst] = []
        var generator: SeededGenerator
        var asksLeft = 2000

        /// Each byte is placed, and placed again only after it was lost.
        mutating func deliver(_ pdu: DataOutPDU, mayVanish: Bool) throws {
            let chance = Int.random(in: 0..<10, using: &generator)
            if chance == 0, mayVanish { return }
            let placement = try transfer.receive(pdu)
            for index in placement.offset..<placement.offset + placement.byteCount {
                #expect(!good[index])
                good[index] = true
            }
            guard chance == 1 else { return }
            transfer.lose(placement)
            for index in placement.offset..<placement.offset + placement.byteCount { good[index] = false }
        }

        mutating func send(_ start: Int, _ end: Int, unsolicited: Bool) throws {
            var offset = start
            var sn: UInt32 = 0
            while offset < end {
                let count = min(end - offset, Int.random(in: 1...1500, using: &generator))
                let isFinal = offset + count == end
                try deliver(
                    WriteTransferTests.dataOut(offset, count, sn: sn, final: isFinal, unsolicited: unsolicited),
                    mayVanish: !isFinal)
                offset += count
                sn += 1
            }
        }

        mutating func goOn() throws {
            while !transfer.isComplete && transfer.failure == nil && asksLeft > 0 {
                asksLeft -= 1
                while let burst = transfer.nextR2T() {
                    #expect(transfer.outstandingR2T(burst.r2tSN) == burst)
                    asked.append(burst)
                }
                if Int.random(in: 0..<40, using: &generator) == 0 {
                    transfer.reassigned()
                    asked = []
                    continue
                }
                guard !asked.isEmpty else { break }
                let burst = asked.removeFirst()
                try send(burst.offset, burst.offset + burst.byteCount, unsolicited: false)
            }
        }
    }

    @Test("Whatever is lost on the way is asked for again, until every byte is there once", arguments: Seeds.some)
    func everyByteInTheEnd(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for round in 0..<200 {
            var parameters = WriteTransferTests.parameters(
                firstBurst: Int.random(in: 512...5000, using: &generator),
                maxBurst: Int.random(in: 512...5000, using: &generator),
                outstanding: Int.random(in: 1...20, using: &generator))
            parameters.errorRecoveryLevel = 2
            let expected = Int.random(in: 1...20_000, using: &generator)
            let first = min(expected, parameters.firstBurstLength)
            let immediate = Int.random(in: 0...first, using: &generator)
            let follows = immediate < first && generator.flag()
            let transfer = try WriteTransfer(
                expectedLength: expected, wanted: expected, immediateByteCount: immediate, unsolicitedFollows: follows,
                parameters: parameters)
            var initiator = LossyInitiator(
                transfer: transfer, good: (0..<expected).map { $0 < immediate },
                generator: SeededGenerator(seed: seed &+ UInt64(round)))
            if follows { try initiator.send(immediate, first, unsolicited: true) }
            try initiator.goOn()
            if initiator.transfer.failure != nil { continue }
            #expect(initiator.transfer.isComplete)
            #expect(initiator.transfer.receivedByteCount == expected)
            #expect(initiator.good.allSatisfy { $0 })
        }
    }

    @Test("More holes than are kept end the command with a CRC error, once the initiator has nothing more to send")
    func tooManyHoles() throws {
        var parameters = WriteTransferTests.parameters(maxBurst: 1 << 20, initialR2T: true)
        parameters.errorRecoveryLevel = 1
        var transfer = try WriteTransfer(
            expectedLength: 100_000, wanted: 100_000, immediateByteCount: 0, unsolicitedFollows: false,
            parameters: parameters)
        _ = transfer.nextR2T()
        for number in 0..<100 {
            let placement = try transfer.receive(
                WriteTransferTests.dataOut(number * 1000, 1000, sn: UInt32(number), final: number == 99))
            if number % 2 == 0 { transfer.lose(placement) }
        }
        #expect(transfer.failure == .protocolServiceCRCError)
        #expect(transfer.isFailed)
        #expect(transfer.nextR2T() == nil)
    }

    @Test("A read goes on at any of its Data-Ins as it was cut, or cut anew", arguments: [0, 1, 3, 7, 12, 13])
    func seek(dataSN: UInt32) {
        func slices(_ transfer: ReadTransfer) -> [DataInSlice] {
            var transfer = transfer
            var result: [DataInSlice] = []
            while let slice = transfer.next() { result.append(slice) }
            return result
        }
        let transfer = ReadTransfer(
            byteCount: 12_500, maxDataSegmentLength: 1024, maxBurstLength: 4096, carriesStatus: false)
        let all = slices(transfer)
        #expect(all.count == 13)
        var later = transfer
        later.seek(to: dataSN)
        #expect(slices(later) == Array(all[Int(dataSN)...]))
        later.recut(maxDataSegmentLength: 512)
        let anew = slices(later)
        #expect(anew.first.map(\.offset) ?? 12_500 == (dataSN == 13 ? 12_500 : all[Int(dataSN)].offset))
        #expect(anew.reduce(0) { $0 + $1.byteCount } == 12_500 - (anew.first?.offset ?? 12_500))
        #expect(anew.allSatisfy { $0.byteCount <= 512 })
        #expect(anew.first.map(\.dataSN) ?? dataSN == dataSN)
    }

    @Test("Cut anew, the Data-Ins before are not to be had again, and those after stand where they were sent")
    func seekBehindRecut() {
        var transfer = ReadTransfer(
            byteCount: 50_000, maxDataSegmentLength: 1024, maxBurstLength: 16_384, carriesStatus: false)
        transfer.seek(to: 5)
        transfer.recut(maxDataSegmentLength: 4096)
        #expect(transfer.firstDataSN == 5)
        var sent: [DataInSlice] = []
        while let slice = transfer.next() { sent.append(slice) }
        #expect(sent.first?.offset == 5 * 1024)
        for slice in sent {
            transfer.seek(to: slice.dataSN)
            #expect(transfer.next() == slice)
        }
        transfer.seek(to: 3)
        #expect(transfer.next()?.dataSN == 5)
    }

    @Test("A PDU that is sent again keeps all but the command window")
    func repeated() {
        let numbers = SequenceNumbers(statSN: 9, expCmdSN: 2, maxCmdSN: 3)
        let first = NOPInPDU(
            lun: LogicalUnitNumber(0), initiatorTaskTag: 5, targetTransferTag: 6, numbers: numbers)
        var later = first
        later.numbers.expCmdSN = 20
        later.numbers.maxCmdSN = 30
        let again = RepeatedPDU(
            header: first.encoded, numbers: SequenceNumbers(statSN: 77, expCmdSN: 20, maxCmdSN: 30))
        #expect(again.encoded == later.encoded)
    }
}
