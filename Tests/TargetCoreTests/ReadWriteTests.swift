// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("READ and WRITE")
struct ReadWriteTests {
    static func cdb(_ form: Int, isWrite: Bool, lba: UInt64, count: UInt64) -> [UInt8] {
        switch form {
        case 6: [isWrite ? 0x0A : 0x08] + Array(UInt32(lba).bytes[1...]) + [UInt8(truncatingIfNeeded: count), 0]
        case 10: [isWrite ? 0x2A : 0x28, 0] + UInt32(lba).bytes + [0] + UInt16(count).bytes + [0]
        case 12: [isWrite ? 0xAA : 0xA8, 0] + UInt32(lba).bytes + UInt32(count).bytes + [0, 0]
        default: [isWrite ? 0x8A : 0x88, 0] + lba.bytes + UInt32(count).bytes + [0, 0]
        }
    }

    static let endings: [FakeDevice.Ending] = [.inline, .onOtherThread, .twice]

    @Test("What was written is read, in every form and however the store ends", arguments: [6, 10, 12, 16], endings)
    func roundTrip(form: Int, ending: FakeDevice.Ending) {
        let rig = Rig()
        rig.device.ending = ending
        let data = (0..<1024).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) }
        #expect(rig.initiator.run(Self.cdb(form, isWrite: true, lba: 5, count: 2), data) == .good)
        #expect(rig.device.block(5) + rig.device.block(6) == data)
        let ended = rig.initiator.run(Self.cdb(form, isWrite: false, lba: 5, count: 2))
        #expect(ended == Ended(status: .good, sense: nil, data: data))
    }

    @Test("A range past the last block is refused and touches nothing", arguments: [6, 10, 12, 16], [true, false])
    func outOfRange(form: Int, isWrite: Bool) {
        for (lba, count) in [(1024, 1), (1023, 2), (0x1F_FFFF, 1), (1025, 3)] as [(UInt64, UInt64)] {
            let rig = Rig()
            let cdb = Self.cdb(form, isWrite: isWrite, lba: lba, count: count)
            #expect(rig.initiator.run(cdb, [1, 2, 3]) == .check(.logicalBlockAddressOutOfRange))
            #expect(rig.device.log.isEmpty)
        }
    }

    @Test("Addresses near 2^64 do not overflow", arguments: [UInt64.max, UInt64.max - 1, 1 << 63, UInt64.max / 512])
    func hugeAddress(lba: UInt64) {
        let rig = Rig()
        for count in [0, 1, UInt32.max] as [UInt32] {
            #expect(rig.initiator.run(CDB.read16(lba, count)) == .check(.logicalBlockAddressOutOfRange))
        }
        #expect(rig.device.log.isEmpty)
    }

    @Test("READ(6) and WRITE(6) take transfer length zero for 256 blocks")
    func zeroIs256() {
        let rig = Rig()
        #expect(rig.initiator.run([0x08, 0, 0, 0, 0, 0]).data.count == 256 * 512)
        let data = [UInt8](repeating: 9, count: 256 * 512)
        #expect(rig.initiator.run([0x0A, 0, 0, 0, 0, 0], data) == .good)
        #expect(rig.device.block(255) == [UInt8](repeating: 9, count: 512))
        #expect(rig.device.block(256) == [UInt8](repeating: 0, count: 512))
    }

    @Test("No blocks are no error, and no request", arguments: [10, 12, 16], [true, false])
    func zeroLength(form: Int, isWrite: Bool) {
        let rig = Rig()
        #expect(rig.initiator.run(Self.cdb(form, isWrite: isWrite, lba: 1, count: 0)) == .good)
        #expect(rig.device.log.isEmpty)
    }

    @Test(
        "A transfer above the maximum is refused with a pointer to its length", arguments: [(10, 7), (12, 6), (16, 10)])
    func aboveMaximum(form: Int, byte: Int) {
        let rig = Rig { $0.maximumTransferBlockCount = 8 }
        for isWrite in [true, false] {
            let cdb = Self.cdb(form, isWrite: isWrite, lba: 0, count: 9)
            #expect(rig.initiator.run(cdb, [0]) == .check(.invalidFieldInCDB(byte: byte)))
        }
        #expect(rig.initiator.run(Self.cdb(form, isWrite: false, lba: 0, count: 8)).status == .good)
        #expect(rig.device.operations == [.read])
    }

    @Test(
        "When less data come than the CDB says, the whole blocks among them are written",
        arguments: [0, 511, 512, 1535])
    func shortData(byteCount: Int) {
        let rig = Rig()
        let data = [UInt8](repeating: 7, count: byteCount)
        #expect(rig.initiator.run(CDB.write10(0, 3), data) == .good)
        let written = rig.device.contents.prefix(while: { $0 == 7 }).count
        #expect(written == byteCount / 512 * 512)
        #expect(rig.device.contents.dropFirst(written).allSatisfy { $0 == 0 })
    }

    @Test("A write is followed by a flush when its data must be stable", arguments: [false, true], [false, true])
    func stableWrites(isVolatile: Bool, isCacheOn: Bool) {
        var features = BlockDeviceFeatures()
        features.hasVolatileWriteCache = isVolatile
        let rig = Rig(FakeDevice(features: features), writeCacheEnabled: isCacheOn)
        let block = [UInt8](repeating: 1, count: 512)
        #expect(rig.initiator.run(CDB.write10(0, 1), block) == .good)
        #expect(rig.device.operations == (isVolatile && !isCacheOn ? [.write, .flush] : [.write]))
        rig.device.forgetLog()
        #expect(rig.initiator.run(CDB.write10(0, 1, flags: 0x08), block) == .good)
        #expect(rig.device.operations == (isVolatile ? [.write, .flush] : [.write]))
        rig.device.forgetLog()
        #expect(rig.initiator.run(CDB.read10(0, 1, flags: 0x08)).data == block)
        #expect(rig.device.operations == (isVolatile ? [.flush, .read] : [.read]))
    }

    @Test("FUA is refused where nothing could make it true")
    func unkeepableFUA() {
        let rig = Rig {
            $0.hasVolatileWriteCache = true
            $0.canFlush = false
        }
        let refusal = Ended.check(.invalidFieldInCDB(byte: 1, bit: 3))
        #expect(rig.initiator.run(CDB.write10(0, 1, flags: 0x08), [1]) == refusal)
        #expect(rig.initiator.run(CDB.read10(0, 1, flags: 0x08)) == refusal)
        #expect(rig.device.log.isEmpty)
    }

    @Test("A write protected unit refuses every write")
    func writeProtected() {
        let rig = Rig { $0.isReadOnly = true }
        for form in [6, 10, 12, 16] {
            let cdb = Self.cdb(form, isWrite: true, lba: 0, count: 1)
            #expect(rig.initiator.run(cdb, [1]) == .check(.writeProtected))
        }
        #expect(rig.device.log.isEmpty)
    }

    @Test("A store is told once when the turn of its loop ends")
    func turnEnds() {
        let rig = Rig()
        for _ in 0..<3 { _ = rig.initiator.run(CDB.read10(0, 1)) }
        #expect(rig.device.turns == 3)
        rig.initiator.nexus.turnEnded()
        #expect(rig.device.turns == 3)
    }

    @Test("A request that follows from a completion asks for the end of its turn, as the first of a command does")
    func laterRequestsAreAnnounced() {
        let rig = Rig { $0.hasVolatileWriteCache = true }
        rig.device.ending = .deferred
        let write = rig.initiator.start(CDB.write10(0, 1, flags: 0x08), [UInt8](repeating: 1, count: 512))
        #expect(rig.device.turns == 1)
        #expect(rig.device.completeNext())
        // The loop resumes the command, which now flushes: a device with threads of its own waits to be woken.
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.hasSubmissions)
        rig.initiator.endTurn()
        #expect(rig.device.turns == 2)
        #expect(rig.device.completeNext())
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[write.tag]?.status == .good)
    }

    @Test("Ten thousand commands brought from within their predecessors' ends do not nest")
    func noRecursion() {
        let rig = Rig()
        var remaining = 10_000
        rig.initiator.port.afterFinished = { task in
            guard remaining > 0 else { return }
            remaining -= 1
            guard case .accepted = rig.initiator.nexus.accept(task) else { return }
            rig.initiator.nexus.execute(task)
        }
        _ = rig.initiator.run(CDB.read10(0, 1))
        #expect(remaining == 0)
        #expect(rig.device.log.count == 10_001)
    }
}
