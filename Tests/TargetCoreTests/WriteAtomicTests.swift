// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("WRITE ATOMIC(16)")
struct WriteAtomicTests {
    static func cdb(_ lba: UInt64, _ count: UInt16, flags: UInt8 = 0, boundary: UInt16 = 0) -> [UInt8] {
        [0x9C, flags] + lba.bytes + boundary.bytes + count.bytes + [0, 0]
    }

    private static func blocks(_ value: UInt8, _ count: Int) -> [UInt8] {
        [UInt8](repeating: value, count: 512 * count)
    }

    @Test("Writes its blocks, with FUA to the medium")
    func basics() {
        let rig = Rig { $0.hasVolatileWriteCache = true }
        #expect(rig.initiator.run(Self.cdb(3, 2), Self.blocks(7, 2)) == .good)
        #expect(rig.device.block(3) == Self.blocks(7, 1))
        #expect(rig.device.block(4) == Self.blocks(7, 1))
        #expect(rig.device.operations == [.write])
        #expect(rig.initiator.run(Self.cdb(3, 1, flags: 0x08), Self.blocks(8, 1)) == .good)
        #expect(rig.device.operations == [.write, .write, .flush])
        #expect(rig.initiator.run(Self.cdb(3, 0)) == .good)
    }

    @Test("Refuses what it cannot do whole, and writes nothing")
    func refusals() {
        let rig = Rig { $0.maximumTransferBlockCount = 8 }
        let data = Self.blocks(1, 9)
        #expect(rig.initiator.run(Self.cdb(0, 9), data) == .check(.invalidFieldInCDB(byte: 12)))
        #expect(rig.initiator.run(Self.cdb(0, 4), Self.blocks(1, 3)) == .check(.invalidFieldInCDB(byte: 12)))
        #expect(rig.initiator.run(Self.cdb(0, 4, boundary: 2), data) == .check(.invalidFieldInCDB(byte: 10)))
        #expect(rig.initiator.run(Self.cdb(1023, 2), data) == .check(.logicalBlockAddressOutOfRange))
        #expect(rig.initiator.run(Self.cdb(.max, 2), data) == .check(.logicalBlockAddressOutOfRange))
        #expect(rig.initiator.run(Self.cdb(0, 1, flags: 0x20), data) == .check(.invalidFieldInCDB(byte: 1, bit: 5)))
        #expect(rig.device.log.isEmpty)
    }

    @Test("Waits for a read that began before, on another loop, and lets no later one in")
    func alone() {
        let rig = Rig()
        let reader = rig.anotherInitiator()
        rig.device.ending = .deferred
        let early = reader.start(CDB.read10(3, 2)).tag
        let write = rig.initiator.start(Self.cdb(3, 2), Self.blocks(7, 2)).tag
        turnAll(rig.initiator, reader)
        #expect(rig.device.operations == [.read], "the write waits")
        let late = reader.start(CDB.read10(4, 1)).tag
        let elsewhere = reader.start(CDB.read10(9, 1)).tag
        #expect(rig.device.operations == [.read, .read], "only other blocks are read meanwhile")
        rig.device.completeAll()
        turnAll(rig.initiator, reader)
        #expect(reader.port.finished[early]?.data == Self.blocks(0, 2))
        #expect(reader.port.finished[elsewhere]?.status == .good)
        #expect(rig.device.operations == [.read, .read, .write], "the late read waits for the write")
        rig.device.completeAll()
        turnAll(rig.initiator, reader)
        rig.device.completeAll()
        turnAll(rig.initiator, reader)
        #expect(rig.initiator.port.finished[write] == .good)
        #expect(reader.port.finished[late]?.data == Self.blocks(7, 1))
        // Nothing is guarded any more: a read goes at once.
        rig.device.ending = .inline
        #expect(reader.start(CDB.read10(3, 1)).ended?.data == Self.blocks(7, 1))
    }

    @Test("An ordinary command that waits for an atomic one is aborted at once; an atomic one, when it may")
    func aborts() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        rig.device.ending = .deferred
        let early = other.start(CDB.write10(3, 1), Self.blocks(1, 1)).tag
        let write = rig.initiator.start(Self.cdb(3, 1), Self.blocks(7, 1)).tag
        turnAll(rig.initiator, other)
        let waiting = other.start(CDB.read10(3, 1)).tag
        var answers: [String] = []
        other.nexus.perform(.abortTask, lun: .init(0), tag: waiting) { _ in answers.append("reader") }
        #expect(answers == ["reader"])
        rig.initiator.nexus.perform(.abortTask, lun: .init(0), tag: write) { _ in answers.append("writer") }
        rig.device.completeAll()
        turnAll(rig.initiator, other)
        #expect(answers == ["reader", "writer"])
        #expect(other.port.finished[early] == .good)
        #expect(other.port.aborted == [waiting])
        #expect(rig.initiator.port.aborted == [write])
        #expect(rig.device.block(3) == Self.blocks(1, 1))
        rig.device.ending = .inline
        #expect(other.start(CDB.read10(3, 1)).ended?.status == .good, "nothing is held any more")
    }

    @Test("The nexus of a waiting reader may go away")
    func vanishingReader() {
        let rig = Rig()
        let reader = rig.anotherInitiator()
        rig.device.ending = .deferred
        reader.start(CDB.read10(3, 1))
        let write = rig.initiator.start(Self.cdb(3, 1), Self.blocks(7, 1)).tag
        turnAll(rig.initiator, reader)
        reader.start(CDB.read10(3, 1))
        var isClosed = false
        reader.nexus.close { isClosed = true }
        #expect(!isClosed, "its first read is still in the device")
        rig.device.completeNext()
        turnAll(rig.initiator, reader)
        #expect(isClosed)
        rig.device.completeAll()
        turnAll(rig.initiator, reader)
        #expect(rig.initiator.port.finished[write] == .good)
    }
}
