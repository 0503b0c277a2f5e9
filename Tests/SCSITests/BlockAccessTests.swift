// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct BlockAccessTests {
    @Test(
        "READ(6) has 21 bits of address, and a length of zero is 256 blocks",
        arguments: [
            ([0x08, 0x1F, 0xFF, 0xFF, 0x00, 0], 0x1F_FFFF, 256), ([0x0A, 0x01, 0x02, 0x03, 0x01, 0], 0x01_0203, 1),
            ([0x08, 0xE0, 0x00, 0x00, 0xFF, 0], 0, 255),
        ] as [([UInt8], UInt64, UInt64)])
    func sixByte(bytes: [UInt8], lba: UInt64, count: UInt64) throws {
        let access = BlockAccess(sixByte: try #require(CommandDescriptorBlock(bytes)))
        #expect(access.range == BlockRange(lba: lba, count: count))
        #expect(access.protect == 0 && !access.disablePageOut && !access.forceUnitAccess)
    }

    struct Shape: Sendable {
        let name: String
        let cdb: CommandDescriptorBlock
        let lba: UInt64
        let count: UInt64
        let group: UInt8

        init(_ name: String, _ cdb: CommandDescriptorBlock, lba: UInt64, count: UInt64, group: UInt8) {
            self.name = name
            self.cdb = cdb
            self.lba = lba
            self.count = count
            self.group = group
        }
    }

    @Test(
        "the block range and the flags stand where SBC-4 puts them",
        arguments: [
            Shape(
                "READ(10)", [0x28, 0xB8, 0x81, 0x02, 0x03, 0x04, 0xE5, 0xF6, 0x07, 0], lba: 0x8102_0304, count: 0xF607,
                group: 0x25),
            Shape(
                "READ(12)", [0xA8, 0xB8, 0x81, 0x02, 0x03, 0x04, 0xF5, 0x06, 0x07, 0x08, 0xC9, 0], lba: 0x8102_0304,
                count: 0xF506_0708, group: 0x09),
            Shape(
                "READ(16)",
                [0x88, 0xB8, 0x81, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0xF9, 0x0A, 0x0B, 0x0C, 0xFF, 0],
                lba: 0x8102_0304_0506_0708, count: 0xF90A_0B0C, group: 0x3F),
            Shape(
                "READ(32)",
                [
                    0x7F, 0, 0, 0, 0, 0, 0x11, 0x18, 0x00, 0x09, 0xB8, 0, 0x81, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                    0x08,
                    0, 0, 0, 0, 0, 0, 0, 0, 0xF9, 0x0A, 0x0B, 0x0C,
                ],
                lba: 0x8102_0304_0506_0708, count: 0xF90A_0B0C, group: 0x11),
        ])
    func shapes(_ shape: Shape) throws {
        let access = try #require(BlockAccess(shape.cdb))
        #expect(access.range == BlockRange(lba: shape.lba, count: shape.count))
        #expect(access.groupNumber == shape.group)
        #expect(access.protect == 5)
        #expect(access.disablePageOut)
        #expect(access.forceUnitAccess)
        #expect(!access.immediate && !access.noDataOutBuffer)
    }

    @Test("each flag is one bit of byte 1", arguments: 0..<8)
    func flags(bit: UInt8) throws {
        let access = BlockAccess(tenByte: [0x41, 1 << bit, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(access.protect == (bit >= 5 ? 1 << (bit - 5) : 0))
        #expect(access.disablePageOut == (bit == 4))
        #expect(access.anchor == (bit == 4))
        #expect(access.forceUnitAccess == (bit == 3))
        #expect(access.unmap == (bit == 3))
        #expect(access.byteCheck == (bit == 1 ? 1 : bit == 2 ? 2 : 0))
        #expect(access.immediate == (bit == 1))
        #expect(access.noDataOutBuffer == (bit == 0))
    }

    @Test("COMPARE AND WRITE has one byte of length")
    func compareAndWrite() {
        let cdb: CommandDescriptorBlock = [
            0x89, 0x18, 0, 0, 0, 1, 0, 0, 0, 2, 0xFF, 0xFF, 0xFF, 0x07, 0x01, 0,
        ]
        let access = BlockAccess(compareAndWrite: cdb)
        #expect(access.range == BlockRange(lba: 0x1_0000_0002, count: 7))
        #expect(access.groupNumber == 1)
    }

    @Test("groups without block commands give none", arguments: [0x60, 0x7E, 0xC0, 0xE0] as [UInt8])
    func noShape(opcode: UInt8) throws {
        #expect(BlockAccess(try #require(CommandDescriptorBlock([opcode] + [UInt8](repeating: 0, count: 15)))) == nil)
    }

    @Test(
        "a range on the medium is told from one that leaves it, without overflow",
        arguments: [
            (0, 0, 100, true), (0, 100, 100, true), (99, 1, 100, true), (100, 0, 100, true), (0, 101, 100, false),
            (99, 2, 100, false), (100, 1, 100, false), (101, 0, 100, false), (.max, 0, 100, false),
            (.max, 1, 100, false), (.max, .max, 100, false), (1, .max, 100, false), (.max - 1, 1, .max, true),
            (.max - 1, 2, .max, false), (0, 1, 0, false), (0, 0, 0, true),
        ] as [(UInt64, UInt64, UInt64, Bool)])
    func ranges(lba: UInt64, count: UInt64, blockCount: UInt64, isWithin: Bool) {
        #expect(BlockRange(lba: lba, count: count).isWithin(blockCount: blockCount) == isWithin)
    }

    @Test("an extent in bytes is given where a file could have it, and nowhere else")
    func byteExtent() throws {
        let extent = try #require(BlockRange(lba: 3, count: 5).byteExtent(blockByteCount: 4096))
        #expect(extent.offset == 12288)
        #expect(extent.byteCount == 20480)
        let last = UInt64(Int64.max) / 512
        #expect(BlockRange(lba: last, count: 0).byteExtent(blockByteCount: 512) != nil)
        #expect(BlockRange(lba: last, count: 1).byteExtent(blockByteCount: 512) == nil)
        #expect(BlockRange(lba: last + 1, count: 0).byteExtent(blockByteCount: 512) == nil)
        #expect(BlockRange(lba: .max, count: 1).byteExtent(blockByteCount: 512) == nil)
        #expect(BlockRange(lba: 0, count: .max).byteExtent(blockByteCount: 512) == nil)
    }
}
