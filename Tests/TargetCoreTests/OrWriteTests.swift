// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("ORWRITE")
struct OrWriteTests {
    static func cdb(_ lba: UInt64, _ count: UInt32, flags: UInt8 = 0) -> [UInt8] {
        [0x8B, flags] + lba.bytes + count.bytes + [0, 0]
    }

    private static func bytes(_ value: UInt8, blocks: Int = 1) -> [UInt8] {
        [UInt8](repeating: value, count: 512 * blocks)
    }

    @Test("What the blocks hold is ORed with what comes; neighbours stay")
    func basics() {
        let rig = Rig()
        _ = rig.initiator.run(CDB.write10(2, 3), Self.bytes(0x0F, blocks: 3))
        rig.device.forgetLog()
        #expect(rig.initiator.run(Self.cdb(2, 2), Self.bytes(0x35) + Self.bytes(0xF0)) == .good)
        #expect(rig.device.block(1) == Self.bytes(0))
        #expect(rig.device.block(2) == Self.bytes(0x3F))
        #expect(rig.device.block(3) == Self.bytes(0xFF))
        #expect(rig.device.block(4) == Self.bytes(0x0F))
        #expect(rig.device.log == [.at(.read, 2, 2), .at(.write, 2, 2)])
        #expect(rig.initiator.run(Self.cdb(1024, 0)) == .good)
    }

    @Test("A long range goes in pieces, and each byte is ORed with its own")
    func pieces() {
        let rig = Rig(FakeDevice(blockCount: 8192))
        let old = (0..<5000 * 512).map { UInt8(truncatingIfNeeded: $0 / 512) }
        let new = (0..<5000 * 512).map { UInt8(truncatingIfNeeded: $0 / 77) }
        _ = rig.initiator.run(CDB.write10(7, 5000), old)
        rig.device.forgetLog()
        #expect(rig.initiator.run(Self.cdb(7, 5000), new) == .good)
        let result = Array(rig.device.contents[7 * 512..<5007 * 512])
        #expect(result == zip(old, new).map { $0 | $1 })
        #expect(
            rig.device.log == [
                .at(.read, 7, 2048), .at(.write, 7, 2048), .at(.read, 2055, 2048), .at(.write, 2055, 2048),
                .at(.read, 4103, 904), .at(.write, 4103, 904),
            ])
    }

    @Test("FUA reads from the medium, and ends on it", arguments: [false, true])
    func forceUnitAccess(isCached: Bool) {
        let rig = Rig { $0.hasVolatileWriteCache = isCached }
        #expect(rig.initiator.run(Self.cdb(3, 1, flags: 0x08), Self.bytes(1)) == .good)
        #expect(rig.device.operations == (isCached ? [.flush, .read, .write, .flush] : [.read, .write]))
        rig.device.forgetLog()
        #expect(rig.initiator.run(Self.cdb(3, 1), Self.bytes(1)) == .good)
        #expect(rig.device.operations == [.read, .write])
    }

    @Test("Ranges beyond the medium, too long ones and protection fields are refused")
    func refusals() {
        let rig = Rig { $0.maximumTransferBlockCount = 4 }
        for (lba, count) in [(1024, 1), (1023, 2), (UInt64.max, 1)] as [(UInt64, UInt32)] {
            #expect(rig.initiator.run(Self.cdb(lba, count)) == .check(.logicalBlockAddressOutOfRange))
        }
        #expect(rig.initiator.run(Self.cdb(0, 5)) == .check(.invalidFieldInCDB(byte: 10)))
        for code in 1...7 as ClosedRange<UInt8> {
            let bit = 7 - code.leadingZeroBitCount + 5
            #expect(
                rig.initiator.run(Self.cdb(0, 1, flags: code << 5), Self.bytes(0))
                    == .check(.invalidFieldInCDB(byte: 1, bit: bit)))
        }
        #expect(rig.device.log.isEmpty)
    }

    @Test("Whole blocks of what came are ORed when less came than the CDB asks for")
    func shortData() {
        let rig = Rig()
        #expect(rig.initiator.run(Self.cdb(0, 3), Self.bytes(9, blocks: 2) + [1, 2, 3]) == .good)
        #expect(rig.device.log == [.at(.read, 0, 2), .at(.write, 0, 2)])
    }

    @Test("Of two on the same blocks, on two loops, one reads only when the other has written")
    func exclusive() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        rig.device.ending = .deferred
        let (first, _) = rig.initiator.start(Self.cdb(3, 1), Self.bytes(0x01))
        let (second, _) = other.start(Self.cdb(3, 1), Self.bytes(0x80))
        for _ in 0..<20 {
            #expect(rig.device.waitingCount <= 1)
            rig.initiator.loop.turn()
            other.loop.turn()
            rig.device.completeNext()
        }
        #expect(rig.initiator.port.finished[first] == .good)
        #expect(other.port.finished[second] == .good)
        #expect(rig.device.block(3) == Self.bytes(0x81))
        #expect(rig.device.operations == [.read, .write, .read, .write])
    }

    @Test("An ordinary write of the same block waits until an ORWRITE in its midst has ended")
    func writesWait() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        rig.device.ending = .deferred
        rig.initiator.start(Self.cdb(3, 1), Self.bytes(0x01))
        for _ in 0..<5 where rig.device.waitingCount == 0 {
            rig.initiator.loop.turn()
            other.loop.turn()
        }
        let (tag, _) = other.start(CDB.write10(3, 1), Self.bytes(0x80))
        #expect(rig.device.waitingCount == 1, "only the read of ORWRITE")
        for _ in 0..<20 {
            rig.initiator.loop.turn()
            other.loop.turn()
            rig.device.completeNext()
        }
        #expect(other.port.finished[tag] == .good)
        #expect(rig.device.operations == [.read, .write, .write])
        #expect(rig.device.block(3) == Self.bytes(0x80))
    }
}
