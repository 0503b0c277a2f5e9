// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct CDBUsageTests {
    static let masks: [[UInt8]] = [
        [0x00, 0x00, 0x00, 0x00, 0x00],
        [0x1A, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0x07],
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        [UInt8](repeating: 0x55, count: 31),
    ]

    @Test("each single bit of a CDB is found reserved exactly where the mask has a zero", arguments: masks)
    func singleBits(mask: [UInt8]) throws {
        let usage = CDBUsage(mask)
        #expect(usage.byteCount == mask.count + 1)
        for byte in 0..<32 {
            for bit in 0..<8 {
                var bytes = [UInt8](repeating: 0, count: 32)
                bytes[byte] = 1 << UInt8(bit)
                let found = usage.firstReservedBit(in: try #require(CommandDescriptorBlock(bytes)))
                let isUsed = byte == 0 || byte > mask.count || mask[byte - 1] & 1 << UInt8(bit) != 0
                #expect((found == nil) == isUsed)
                if !isUsed {
                    #expect(found?.byte == byte)
                    #expect(found?.bit == bit)
                }
            }
        }
    }

    @Test("of several reserved bits, the highest of the first byte is named")
    func firstOfSeveral() {
        let usage = CDBUsage([0x1A, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0x00])
        let cdb: CommandDescriptorBlock = [0x28, 0x05, 0xFF, 0, 0, 0, 0xFF, 0, 0, 0xFF]
        #expect(usage.firstReservedBit(in: cdb)?.byte == 1)
        #expect(usage.firstReservedBit(in: cdb)?.bit == 2)
        let later: CommandDescriptorBlock = [0x28, 0x1A, 0xFF, 0, 0, 0, 0x3F, 0, 0, 0xFF]
        #expect(usage.firstReservedBit(in: later)?.byte == 6)
        #expect(usage.firstReservedBit(in: later)?.bit == 5)
    }

    @Test("padding behind the command's bytes is not looked at")
    func padding() {
        let usage = CDBUsage([0x00, 0x00, 0x00, 0x00, 0x00])
        let cdb: CommandDescriptorBlock = [
            0x00, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
        ]
        #expect(usage.firstReservedBit(in: cdb) == nil)
    }

    @Test("random CDBs agree with a bit by bit check")
    func randomCDBs() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<5_000 {
            let mask = (0..<Int.random(in: 0...31, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator) | UInt8.random(in: 0...255, using: &generator)
            }
            let bytes = (0..<32).map { _ in
                UInt8.random(in: 0...255, using: &generator) & UInt8.random(in: 0...255, using: &generator)
            }
            var expected: (byte: Int, bit: Int)?
            search: for byte in 1..<32 where byte <= mask.count {
                for bit in (0..<8).reversed() where bytes[byte] & ~mask[byte - 1] & 1 << UInt8(bit) != 0 {
                    expected = (byte, bit)
                    break search
                }
            }
            let found = CDBUsage(mask).firstReservedBit(in: try #require(CommandDescriptorBlock(bytes)))
            #expect(found?.byte == expected?.byte)
            #expect(found?.bit == expected?.bit)
        }
    }

    @Test("CDB USAGE DATA hold the operation code and the service action in their places")
    func usageData() {
        let read10 = CDBUsage([0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0x3F, 0xFF, 0xFF, 0x00])
        #expect(
            written { read10.write(opcode: 0x28, serviceAction: nil, to: &$0) }
                == hex("28 18 FF FF FF FF 3F FF FF 00"))
        let readCapacity16 = CDBUsage([0x1F] + [UInt8](repeating: 0xFF, count: 12) + [0x00, 0x00])
        #expect(
            written { readCapacity16.write(opcode: 0x9E, serviceAction: 0x10, to: &$0) }
                == hex("9E 10 FF FF FF FF FF FF FF FF FF FF FF FF 00 00"))
        let withFlag = CDBUsage([0x9F] + [UInt8](repeating: 0, count: 10))
        #expect(written { withFlag.write(opcode: 0xA3, serviceAction: 0x0C, to: &$0) }[1] == 0x8C)
        let read32 = CDBUsage([0, 0, 0, 0, 0, 0x3F, 0xFF, 0xFF, 0xFF, 0xFA] + [UInt8](repeating: 0xFF, count: 21))
        let data = written { read32.write(opcode: 0x7F, serviceAction: 0x0009, to: &$0) }
        #expect(data.count == 32)
        #expect(Array(data[8...9]) == [0x00, 0x09])
    }
}
