// SPDX-License-Identifier: Apache-2.0
import Testing

extension Interoperability {
    @Suite("Data", .onEachPoller)
    struct DataTests {
        static let blockCount = 16384

        @Test("What is written is read back, however the initiator wants to speak", arguments: Dialect.allCases)
        func writtenIsRead(dialect: Dialect) throws {
            let server = try MartletServer("ram/16M")
            let client = try dialect.connect(server.url)
            var workload = Workload(client, first: 100, blockCount: Self.blockCount, seed: seed)
            print("seed \(seed)")
            for _ in 0..<12 { try workload.step() }
            try client.flush()
            try workload.verifyAll(with: try Initiator(server.url))
            try server.stop()
        }

        @Test("The first and the last block are within reach, and the next is not", arguments: [1, 8, 2048])
        func bounds(blockCount: Int) throws {
            let server = try MartletServer("ram/16M")
            let client = try Initiator(server.url)
            let last = try client.capacity().lastBlock
            let start = last + 1 - UInt64(blockCount)
            for lba in [0, start] {
                let content = Block.contents(lba: lba, blockCount: blockCount, generation: 7)
                try client.write(lba: lba, content)
                expectEqual(try client.read(lba: lba, blockCount: blockCount), content)
            }
            let beyond = Outcome.Sense(key: 0x05, additional: 0x2100)
            for command in [
                Command.read16(lba: start + 1, blockCount: blockCount),
                .read16(lba: .max, blockCount: blockCount),
                .write16(lba: start + 1, [UInt8](repeating: 0xEE, count: blockCount * Block.byteCount)),
            ] {
                let outcome = try client.perform(command)
                #expect(outcome.status == Outcome.checkCondition && outcome.sense == beyond)
            }
            let tail = try client.read(lba: start, blockCount: blockCount)
            expectEqual(tail, Block.contents(lba: start, blockCount: blockCount, generation: 7))
            try server.stop()
        }

        @Test("A read-only unit refuses writes and keeps its content")
        func readOnly() throws {
            let folder = try TemporaryFolder()
            let content = Block.contents(lba: 0, blockCount: 128, generation: 3)
            let path = try folder.write(content, to: "disk.img")
            let server = try MartletServer("file/\(path),readonly")
            let client = try Initiator(server.url)
            let outcome = try client.perform(.write16(lba: 0, [UInt8](repeating: 1, count: Block.byteCount)))
            #expect(outcome.sense == Outcome.Sense(key: 0x07, additional: 0x2700))
            expectEqual(try client.read(lba: 0, blockCount: 128), content)
            let modeSense = Command(cdb: [0x1A, 0x08, 0x3F, 0, 4, 0], receiving: 4)
            #expect(try client.demand(modeSense)[2] & 0x80 == 0x80, "the WP bit of MODE SENSE")
            try server.stop()
            expectEqual(try folder.read("disk.img"), content)
        }

        @Test("A unit of 4096-byte blocks counts in them")
        func largeBlocks() throws {
            let server = try MartletServer("ram/16M,block-size=4096")
            let client = try Initiator(server.url)
            let capacity = try client.capacity()
            #expect(capacity.lastBlock == 4095)
            #expect(capacity.blockByteCount == 4096)
            let content = [UInt8](repeating: 0x5A, count: 8192)
            _ = try client.demand(Command(cdb: CDB.block16(0x8A, lba: 4094, blockCount: 2), sending: content))
            let back = try client.demand(Command(cdb: CDB.block16(0x88, lba: 4094, blockCount: 2), receiving: 8192))
            expectEqual(back, content)
            try server.stop()
        }
    }
}
