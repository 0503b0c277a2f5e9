// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("VERIFY, and WRITE AND VERIFY")
struct VerifyTests {
    static func cdb(_ opcode: UInt8, lba: UInt64, count: UInt64, check: UInt8) -> [UInt8] {
        switch opcode >> 5 {
        case 1: [opcode, check << 1] + UInt32(lba).bytes + [0] + UInt16(count).bytes + [0]
        case 5: [opcode, check << 1] + UInt32(lba).bytes + UInt32(count).bytes + [0, 0]
        default: [opcode, check << 1] + lba.bytes + UInt32(count).bytes + [0, 0]
        }
    }

    private func filled(_ change: (inout BlockDeviceFeatures) -> Void = { _ in }) -> Rig {
        let rig = Rig(features: change)
        rig.device.contents = (0..<1024 * 512).map { UInt8(truncatingIfNeeded: $0 / 512 &+ $0 % 251) }
        return rig
    }

    @Test("BYTCHK 00b reads the medium and takes no data", arguments: [0x2F, 0xAF, 0x8F] as [UInt8])
    func mediumOnly(opcode: UInt8) {
        let rig = filled()
        #expect(rig.initiator.run(Self.cdb(opcode, lba: 7, count: 3, check: 0)) == .good)
        #expect(rig.device.log == [.at(.read, 7, 3)])
        rig.device.failure = { _ in .failed(.checkCondition, .unrecoveredReadError()) }
        #expect(rig.initiator.run(Self.cdb(opcode, lba: 7, count: 3, check: 0)) == .check(.unrecoveredReadError()))
    }

    @Test(
        "BYTCHK 01b compares every byte, and tells where the first differs", arguments: [0x2F, 0xAF, 0x8F] as [UInt8])
    func allBlocks(opcode: UInt8) {
        let rig = filled()
        var data = rig.device.block(7) + rig.device.block(8)
        #expect(rig.initiator.run(Self.cdb(opcode, lba: 7, count: 2, check: 1), data) == .good)
        for offset in [0, 1, 511, 512, 1020, 1023] {
            data[offset] ^= 0x80
            let ended = rig.initiator.run(Self.cdb(opcode, lba: 7, count: 2, check: 1), data)
            #expect(ended == .check(.miscompare(atByte: UInt64(offset))))
            data[offset] ^= 0x80
        }
    }

    @Test("BYTCHK 11b compares each block with the one that came", arguments: [0x2F, 0xAF, 0x8F] as [UInt8])
    func oneBlock(opcode: UInt8) {
        let rig = Rig()
        let zeroes = [UInt8](repeating: 0, count: 512)
        #expect(rig.initiator.run(Self.cdb(opcode, lba: 0, count: 1024, check: 3), zeroes) == .good)
        rig.device.contents[900 * 512 + 100] = 1
        let ended = rig.initiator.run(Self.cdb(opcode, lba: 0, count: 1024, check: 3), zeroes)
        #expect(ended == .check(.miscompare(atByte: 100)))
    }

    @Test("A long range is gone over in pieces of working memory")
    func pieces() {
        let rig = Rig(FakeDevice(blockCount: 8192))
        #expect(rig.initiator.run(Self.cdb(0x2F, lba: 0, count: 5000, check: 0)) == .good)
        #expect(rig.device.log.map(\.extentByteCount) == [1_048_576, 1_048_576, 462_848])
        rig.device.contents[3000 * 512 + 5] = 9
        let data = [UInt8](repeating: 0, count: 5000 * 512)
        let ended = rig.initiator.run(Self.cdb(0x2F, lba: 0, count: 5000, check: 1), data)
        #expect(ended == .check(.miscompare(atByte: 3000 * 512 + 5)))
    }

    @Test(
        "Reserved BYTCHK values are refused",
        arguments: [(0x2F, 2), (0x8F, 2), (0x2E, 2), (0x2E, 3), (0xAE, 3), (0x8E, 3)] as [(UInt8, UInt8)])
    func reservedByteCheck(opcode: UInt8, check: UInt8) {
        let rig = Rig()
        let ended = rig.initiator.run(Self.cdb(opcode, lba: 0, count: 1, check: check), [0])
        #expect(ended == .check(.invalidFieldInCDB(byte: 1, bit: 2)))
        #expect(rig.device.log.isEmpty)
    }

    @Test("Ranges are checked as for READ", arguments: [0x2F, 0xAF, 0x8F, 0x2E, 0xAE, 0x8E] as [UInt8])
    func ranges(opcode: UInt8) {
        let rig = Rig { $0.maximumTransferBlockCount = 8 }
        #expect(
            rig.initiator.run(Self.cdb(opcode, lba: 1020, count: 5, check: 0)) == .check(.logicalBlockAddressOutOfRange)
        )
        let byte = opcode >> 5 == 1 ? 7 : opcode >> 5 == 5 ? 6 : 10
        #expect(
            rig.initiator.run(Self.cdb(opcode, lba: 0, count: 9, check: 0)) == .check(.invalidFieldInCDB(byte: byte)))
        #expect(rig.initiator.run(Self.cdb(opcode, lba: 0, count: 0, check: 0)) == .good)
        #expect(rig.device.log.isEmpty)
    }

    @Test(
        "WRITE AND VERIFY writes, flushes a volatile cache, and reads back", arguments: [0x2E, 0xAE, 0x8E] as [UInt8],
        [0, 1] as [UInt8])
    func writeAndVerify(opcode: UInt8, check: UInt8) {
        let rig = Rig { $0.hasVolatileWriteCache = true }
        let data = [UInt8](repeating: 0x5A, count: 1024)
        #expect(rig.initiator.run(Self.cdb(opcode, lba: 4, count: 2, check: check), data) == .good)
        #expect(rig.device.operations == [.write, .flush, .read])
        #expect(rig.device.block(4) + rig.device.block(5) == data)
    }

    @Test("VERIFY flushes a volatile cache before it looks at the medium")
    func verifyFlushes() {
        let rig = Rig { $0.hasVolatileWriteCache = true }
        #expect(rig.initiator.run(Self.cdb(0x2F, lba: 4, count: 2, check: 0)) == .good)
        #expect(rig.device.operations == [.flush, .read])
    }

    @Test("One block that does not come whole is no block to compare with")
    func shortBlock() {
        let rig = Rig()
        let ended = rig.initiator.run(Self.cdb(0x2F, lba: 0, count: 4, check: 3), [0, 0])
        #expect(ended == .check(.invalidFieldInCommandInformationUnit))
    }
}
