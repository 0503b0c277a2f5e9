// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

/// What a store that fails, or a server that is killed, leaves of a command that writes with protection information.
@Suite("Failures of a unit with protection information")
struct ProtectionFailureTests {
    struct Writer: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let cdb: [UInt8]
        let data: [UInt8]
        /// The blocks that it writes.
        let range: Range<Int>
    }

    private static let old = (0..<128).map { ProtectedData.block($0) }
    private static let new = (0..<3).map { ProtectedData.block($0 + 200) }

    /// All of blocks 62 to 64, whose tuples stand in two blocks.
    static let writers: [Writer] = {
        let tagged = ProtectedData.transferred(new, reference: 62)
        let same = ProtectedData.transferred([new[0]], reference: 62)
        let form = ProtectedCDB(type: .type1, field: 1)
        let halves = ProtectedData.transferred(Array(old[62..<65]), reference: 62) + tagged
        let (unmap, list) = WriteSameTests.unmap([(lba: 62, count: 3)])
        let plain = new.flatMap { $0 }
        return [
            Writer(testDescription: "WRITE", cdb: form.bytes(.write, 62, 3), data: tagged, range: 62..<65),
            Writer(
                testDescription: "WRITE without tags", cdb: ProtectedCDB(type: .type1, field: 0).bytes(.write, 62, 3),
                data: plain, range: 62..<65),
            Writer(
                testDescription: "WRITE AND VERIFY", cdb: form.bytes(.writeAndVerify, 62, 3), data: tagged,
                range: 62..<65),
            Writer(testDescription: "WRITE SAME", cdb: form.bytes(.writeSame, 62, 3), data: same, range: 62..<65),
            Writer(
                testDescription: "COMPARE AND WRITE", cdb: CompareAndWriteTests.cdb(62, 3, flags: 0x20), data: halves,
                range: 62..<65),
            Writer(
                testDescription: "ORWRITE", cdb: OrWriteTests.cdb(62, 3, flags: 0x20), data: tagged, range: 62..<65),
            Writer(testDescription: "UNMAP", cdb: unmap, data: list, range: 62..<65),
        ]
    }()

    /// 128 blocks written with their tags, and both stores with a cache.
    private static func rig() -> ProtectionRig {
        let rig = ProtectionRig(.type1) {
            $0.hasVolatileWriteCache = true
            $0.canUnmap = true
        }
        let cdb = ProtectedCDB(type: .type1, field: 1).bytes(.write, 0, 128)
        let ended = rig.initiator.run(cdb, ProtectedData.transferred(old, reference: 0))
        precondition(ended == .good)
        rig.forgetLogs()
        return rig
    }

    /// Lets `count` requests of both stores pass, and those behind them end with `outcome`. The count so far.
    private static func limit(_ rig: ProtectionRig, to count: Int, _ outcome: BlockOutcome) -> () -> Int {
        var seen = 0
        let failure: (BlockRequest.Operation) -> BlockOutcome? = { _ in
            seen += 1
            return seen > count ? outcome : nil
        }
        rig.device.failure = failure
        rig.tuples.failure = failure
        return { seen }
    }

    /// Every block can be read with all checks; those outside of `range` are as they were, with their tags.
    private static func examine(_ rig: ProtectionRig, _ writer: Writer) {
        rig.device.failure = { _ in nil }
        rig.tuples.failure = { _ in nil }
        let ended = rig.initiator.run(ProtectedCDB(type: .type1, field: 1).bytes(.read, 0, 128))
        #expect(ended.status == .good)
        guard ended.data.count == 128 * 520 else { return }
        for lba in 0..<128 where !writer.range.contains(lba) {
            let block = Array(ended.data[lba * 520..<lba * 520 + 520])
            #expect(block == ProtectedData.transferred([old[lba]], reference: UInt32(lba)))
        }
    }

    static let outcomes: [BlockOutcome] = [
        .failed(.checkCondition, .writeError()), .failed(.good, nil), .failed(.busy, nil), .miscompare(atByte: nil),
        .notHandled,
    ]

    @Test(
        "A store that fails at any request never ends a command GOOD, and leaves no block that fails its checks",
        arguments: writers, outcomes)
    func failures(writer: Writer, outcome: BlockOutcome) {
        var failing = 0
        while true {
            let rig = Self.rig()
            let seen = Self.limit(rig, to: failing, outcome)
            let ended = rig.initiator.run(writer.cdb, writer.data)
            if seen() <= failing {
                #expect(ended == .good)
                break
            }
            #expect(ended.status != .good && seen() == failing + 1)
            Self.examine(rig, writer)
            failing += 1
        }
        #expect(failing >= 3)
    }

    @Test("A server that is killed between any two requests leaves blocks that can be read", arguments: writers)
    func killed(writer: Writer) {
        var passing = 0
        while true {
            let rig = Self.rig()
            let seen = Self.limit(rig, to: passing, .failed(.checkCondition, .internalTargetFailure))
            _ = rig.initiator.run(writer.cdb, writer.data)
            let isDone = seen() <= passing
            // What the stores hold is all that the next server finds.
            let next = ProtectionRig(.type1, device: FakeDevice(), tuples: FakeDevice(blockCount: 16))
            next.device.contents = rig.device.contents
            next.tuples.contents = rig.tuples.contents
            Self.examine(next, writer)
            if isDone { break }
            passing += 1
        }
        #expect(passing >= 3)
    }

    @Test("An aborted write leaves blocks that can be read")
    func aborted() {
        for count in 0..<4 {
            let rig = Self.rig()
            rig.device.ending = .deferred
            rig.tuples.ending = .deferred
            let (tag, _) = rig.initiator.start(Self.writers[0].cdb, Self.writers[0].data)
            for _ in 0..<count {
                if !rig.tuples.completeNext() { rig.device.completeNext() }
                rig.initiator.loop.turn()
            }
            var isAborted = false
            rig.initiator.nexus.perform(.abortTask, lun: LogicalUnitNumber(0), tag: tag) { _ in isAborted = true }
            for _ in 0..<6 {
                if !rig.tuples.completeNext() { rig.device.completeNext() }
                rig.initiator.loop.turn()
            }
            #expect(isAborted)
            rig.device.ending = .inline
            rig.tuples.ending = .inline
            Self.examine(rig, Self.writers[0])
        }
    }

    @Test("A read of either store that fails ends no command GOOD")
    func reads() {
        let form = ProtectedCDB(type: .type1, field: 1)
        for cdb in [form.bytes(.read, 60, 9), form.bytes(.verify, 60, 9)] {
            for failing in 0..<2 {
                let rig = Self.rig()
                rig.device.features.hasVolatileWriteCache = false
                rig.tuples.features.hasVolatileWriteCache = false
                _ = Self.limit(rig, to: failing, .failed(.checkCondition, .unrecoveredReadError(lba: 3)))
                let ended = rig.initiator.run(cdb)
                #expect(ended == .check(.unrecoveredReadError(lba: 3)))
            }
        }
    }
}
