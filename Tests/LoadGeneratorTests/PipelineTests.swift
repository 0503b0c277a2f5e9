// SPDX-License-Identifier: Apache-2.0
import ISCSI
import LoadGenerator
import SCSI
import Testing

@Suite("Pipeline")
struct PipelineTests {
    private static let unit = [UInt8](repeating: 1, count: 4096)

    @Test("As many commands leave as the queue is deep, with running numbers")
    func fillsQueue() throws {
        let bench = try Bench(access: .read, depth: 3)
        let commands = try bench.sent().map { try $0.command }
        #expect(commands.map(\.cmdSN) == [1, 2, 3])
        #expect(Set(commands.map(\.initiatorTaskTag)).count == 3)
        for (index, command) in commands.enumerated() {
            #expect(command.reads && !command.writes && command.isFinal && !command.isImmediate)
            #expect(command.expectedDataTransferLength == 4096 && command.expStatSN == bench.statSN)
            #expect(command.cdb.opcode == 0x28 && command.cdb.uint32(at: 2) == UInt32(index * 8))
            #expect(command.cdb.uint16(at: 7) == 8)
        }
        #expect(try bench.sent().isEmpty)
    }

    @Test(
        "Addresses or counts beyond ten bytes take sixteen",
        arguments: [(UInt64(UInt32.max) - 63 * 8 - 1, 8, 0x88), (1 << 40, 8, 0x88), (0, 65536, 0x88), (0, 65535, 0x28)]
            as [(UInt64, UInt32, UInt8)])
    func longCommands(firstLBA: UInt64, blocks: UInt32, opcode: UInt8) throws {
        let bench = try Bench(
            access: .read, depth: 2, blocksPerUnit: blocks, unitCount: 65, firstLBA: firstLBA)
        let cdbs = try bench.sent().map { try $0.command.cdb }
        #expect(cdbs.map(\.opcode) == [opcode, opcode])
        guard opcode == 0x88 else { return }
        #expect(cdbs[1].uint64(at: 2) == firstLBA + UInt64(blocks) && cdbs[1].uint32(at: 10) == blocks)
    }

    @Test("An answered command makes room for the next, in the same slot, and is measured")
    func answered() throws {
        let bench = try Bench(access: .read, depth: 1)
        bench.measurement.isRunning = true
        for turn in 0..<5 as Range<UInt32> {
            let command = try #require(try bench.sent().first).command
            #expect(command.cmdSN == 1 + turn && command.expStatSN == bench.statSN)
            let answer = bench.dataIn(command.initiatorTaskTag, Self.unit)
            #expect(try bench.take(answer, after: 7000) == answer.count)
        }
        #expect(bench.measurement.readCount == 5 && bench.measurement.writeCount == 0)
        #expect(bench.pipeline.outstandingCount == 0)
    }

    @Test("Answers come in any order, data in pieces, and the status with the data or by itself")
    func anyOrder() throws {
        let bench = try Bench(access: .read, depth: 3)
        let tags = try bench.sent().map { try $0.command.initiatorTaskTag }
        try bench.take(bench.dataIn(tags[2], Self.unit))
        try bench.take(bench.dataIn(tags[0], Array(Self.unit[..<1000]), status: nil))
        try bench.take(bench.dataIn(tags[1], Self.unit, status: nil))
        try bench.take(bench.response(tags[1]))
        try bench.take(bench.dataIn(tags[0], Array(Self.unit[1000...]), sn: 1, offset: 1000))
        #expect(bench.pipeline.outstandingCount == 0)
        #expect(try bench.sent().count == 3)
    }

    @Test("The stream may be cut anywhere", arguments: [false, true])
    func dripFed(hasDigests: Bool) throws {
        let bench = try Bench(access: .read, depth: 2) {
            $0.hasHeaderDigest = hasDigests
            $0.hasDataDigest = hasDigests
        }
        let tags = try bench.sent().map { try $0.command.initiatorTaskTag }
        let stream = tags.flatMap { bench.dataIn($0, Self.unit) }
        var pending: [UInt8] = []
        for byte in stream {
            pending.append(byte)
            // A PDU is cut only from its beginning: what was not taken stays.
            guard pending.count % 97 == 0 || pending.count > stream.count / 2 - 8 else { continue }
            pending.removeFirst(try bench.take(pending))
        }
        pending.removeFirst(try bench.take(pending))
        #expect(pending.isEmpty)
        #expect(bench.pipeline.outstandingCount == 0)
    }

    @Test("Beyond the command window nothing is sent, until the target opens it")
    func window() throws {
        let bench = try Bench(access: .read, depth: 4, window: 2)
        #expect(try bench.sent().count == 2)
        #expect(!bench.pipeline.numbers.isWindowOpen)
        bench.window = 3
        try bench.take(
            bench.encoded(
                NOPInPDU(
                    lun: Bench.lun, initiatorTaskTag: BasicHeaderSegment.reservedTag,
                    targetTransferTag: BasicHeaderSegment.reservedTag, numbers: bench.numbersNow())))
        #expect(try bench.sent().count == 1)
        // An older PDU that comes late does not close it.
        bench.window = 1
        try bench.take(
            bench.encoded(
                NOPInPDU(
                    lun: Bench.lun, initiatorTaskTag: BasicHeaderSegment.reservedTag,
                    targetTransferTag: BasicHeaderSegment.reservedTag, numbers: bench.numbersNow())))
        #expect(try bench.sent().isEmpty)
    }

    @Test("A NOP-In that wants an answer gets one, with its tag and LUN, and takes no CmdSN")
    func ping() throws {
        let bench = try Bench(access: .read, depth: 1)
        _ = try bench.sent()
        try bench.take(
            bench.encoded(
                NOPInPDU(
                    lun: Bench.lun, initiatorTaskTag: BasicHeaderSegment.reservedTag, targetTransferTag: 0x55,
                    numbers: bench.numbersNow())))
        let answer = try #require(try bench.sent().first).nopOut
        #expect(answer.isImmediate && answer.targetTransferTag == 0x55 && answer.cmdSN == 2)
        #expect(answer.initiatorTaskTag == BasicHeaderSegment.reservedTag)
    }

    struct WriteCase: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let immediateData: Bool
        let initialR2T: Bool
        var firstBurst = 65536
        var segment = 8192
        /// Bytes in the command, then of each unsolicited Data-Out.
        let immediate: Int
        let unsolicited: [Int]
    }

    @Test(
        "A write sends at once what was agreed, and no more",
        arguments: [
            WriteCase(
                testDescription: "all immediate", immediateData: true, initialR2T: false, immediate: 4096,
                unsolicited: []),
            WriteCase(
                testDescription: "a segment immediate, the rest unsolicited", immediateData: true, initialR2T: false,
                segment: 1024, immediate: 1024, unsolicited: [1024, 1024, 1024]),
            WriteCase(
                testDescription: "a first burst shorter than the command", immediateData: true, initialR2T: false,
                firstBurst: 1536, segment: 1024, immediate: 1024, unsolicited: [512]),
            WriteCase(
                testDescription: "an odd first burst", immediateData: true, initialR2T: false, firstBurst: 513,
                immediate: 513, unsolicited: []),
            WriteCase(
                testDescription: "immediate alone", immediateData: true, initialR2T: true, segment: 1024,
                immediate: 1024, unsolicited: []),
            WriteCase(
                testDescription: "unsolicited alone", immediateData: false, initialR2T: false, segment: 2048,
                immediate: 0, unsolicited: [2048, 2048]),
            WriteCase(
                testDescription: "nothing unasked", immediateData: false, initialR2T: true, immediate: 0,
                unsolicited: []),
        ])
    func writes(_ example: WriteCase) throws {
        let bench = try Bench(access: .write, depth: 1) {
            $0.session.immediateData = example.immediateData
            $0.session.initialR2T = example.initialR2T
            $0.session.firstBurstLength = example.firstBurst
            $0.maxSendDataSegmentLength = example.segment
            $0.hasDataDigest = true
        }
        var sent = try bench.sent()
        let first = sent.removeFirst()
        let command = try first.command
        #expect(command.writes && !command.reads && command.cdb.opcode == 0x2A)
        #expect(first.data.count == example.immediate && command.isFinal == example.unsolicited.isEmpty)
        #expect(sent.map(\.data.count) == example.unsolicited)
        var offset = example.immediate
        for (index, each) in sent.enumerated() {
            let pdu = try each.dataOut
            #expect(pdu.isUnsolicited && pdu.dataSN == UInt32(index) && Int(pdu.bufferOffset) == offset)
            #expect(pdu.isFinal == (index == sent.count - 1))
            offset += each.data.count
        }
        // The rest is asked for, in two bursts of several PDUs.
        var r2tSN: UInt32 = 0
        while offset < 4096 {
            let length = min(4096 - offset, 2500)
            try bench.take(
                bench.r2t(command.initiatorTaskTag, offset: UInt32(offset), length: UInt32(length), sn: r2tSN))
            let burst = try bench.sent()
            #expect(burst.map(\.data.count).reduce(0, +) == length)
            #expect(burst.allSatisfy { $0.data.count <= example.segment })
            for (index, each) in burst.enumerated() {
                let pdu = try each.dataOut
                #expect(pdu.targetTransferTag == 77 && pdu.dataSN == UInt32(index))
                #expect(Int(pdu.bufferOffset) == offset && pdu.isFinal == (index == burst.count - 1))
                offset += each.data.count
            }
            r2tSN += 1
        }
        try bench.take(bench.response(command.initiatorTaskTag))
        #expect(bench.pipeline.outstandingCount == 0)
    }

    @Test("More than one batch holds leaves in several, in order and without a gap")
    func manyBatches() throws {
        // 8192 Data-Out PDUs of 512 bytes each.
        let bench = try Bench(access: .write, depth: 4, blocksPerUnit: 2048, unitCount: 4) {
            $0.maxSendDataSegmentLength = 512
            $0.session.firstBurstLength = 1 << 20
        }
        var offsets: [UInt32: Int] = [:]
        var batchCount = 0
        while true {
            let sent = try bench.sent()
            guard !sent.isEmpty else { break }
            batchCount += 1
            for each in sent {
                let tag = BasicHeaderSegment.initiatorTaskTag(of: each.header.span.bytes)
                if each.opcode == .dataOut { #expect(try Int(each.dataOut.bufferOffset) == offsets[tag]) }
                offsets[tag, default: 0] += each.data.count
            }
        }
        #expect(batchCount > 4)
        #expect(offsets.values.sorted() == [Int](repeating: 1 << 20, count: 4))
    }

    @Test("A verified write carries the pattern of its place, and a verified read must find it")
    func verifies() throws {
        let bench = try Bench(access: .randrw, depth: 4, unitCount: 6, verifies: true)
        var store = [UInt8](repeating: 0, count: 6 * 4096)
        bench.workload.begin(.fill)
        var endedCount = 0
        for phase in [Workload.Phase.fill, .run, .scan] {
            bench.workload.begin(phase)
            for _ in 0..<50 {
                for each in try bench.sent() {
                    let command = try each.command
                    let start = Int(command.cdb.uint32(at: 2)) * Bench.blockByteCount
                    if command.writes {
                        #expect(each.data.count == 4096)
                        store.replaceSubrange(start..<start + 4096, with: each.data)
                        try bench.take(bench.response(command.initiatorTaskTag))
                    } else {
                        try bench.take(
                            bench.dataIn(command.initiatorTaskTag, Array(store[start..<start + 4096])))
                    }
                    endedCount += 1
                }
            }
        }
        #expect(endedCount > 100)
        // One bit anywhere.
        bench.workload.begin(.scan)
        let command = try #require(try bench.sent().first).command
        var data = Array(store[..<4096])
        data[3 * 512 + 100] ^= 1
        let failure = failure { () throws(LoadFailure) in
            try bench.take(bench.dataIn(command.initiatorTaskTag, data))
        }
        #expect(failure.description.contains("block 3 is wrong from its byte 96 on"), "\(failure)")
    }
}
