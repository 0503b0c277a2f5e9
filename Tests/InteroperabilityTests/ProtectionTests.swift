// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    @Suite("Protection information")
    struct ProtectionTests {
        static let blockByteCount = 512

        /// The CRC of the guard, bit by bit, apart from the server's sources.
        static func guardTag(_ block: [UInt8]) -> UInt16 {
            var crc: UInt16 = 0
            for byte in block {
                crc ^= UInt16(byte) << 8
                for _ in 0..<8 { crc = crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x8BB7 }
            }
            return crc
        }

        /// A block that follows from its address and a generation, with its tuple.
        static func transferred(_ lba: UInt64, _ generation: UInt64, reference: UInt32) -> [UInt8] {
            let block = Block.content(lba: lba, generation: generation)
            return block + bigEndian(UInt64(guardTag(block)), count: 2) + [0, 7]
                + bigEndian(UInt64(reference), count: 4)
        }

        static func write16(_ lba: UInt64, _ data: [UInt8], flags: UInt8 = 0x20) -> Command {
            var cdb = CDB.block16(0x8A, lba: lba, blockCount: data.count / (blockByteCount + 8))
            cdb[1] = flags
            return Command(cdb: cdb, sending: data)
        }

        static func read16(_ lba: UInt64, _ count: Int, flags: UInt8 = 0x20) -> Command {
            var cdb = CDB.block16(0x88, lba: lba, blockCount: count)
            cdb[1] = flags
            return Command(cdb: cdb, receiving: count * (blockByteCount + (flags & 0xE0 == 0 ? 0 : 8)))
        }

        static func long(
            _ serviceAction: UInt8, _ lba: UInt64, _ count: Int, reference: UInt32, flags: UInt8 = 0x20
        ) -> [UInt8] {
            [0x7F, 0, 0, 0, 0, 0, 0, 24, 0, serviceAction, flags, 0] + bigEndian(lba, count: 8)
                + bigEndian(UInt64(reference), count: 4) + [0, 0, 0, 0] + bigEndian(UInt64(count), count: 4)
        }

        static func flip(_ path: String, at offset: UInt64) throws {
            let file = try #require(FileHandle(forUpdatingAtPath: path))
            try file.seek(toOffset: offset)
            let byte = try #require(try file.read(upToCount: 1)?.first)
            try file.seek(toOffset: offset)
            try file.write(contentsOf: [byte ^ 0x10])
            try file.close()
        }

        static func failed(_ qualifier: UInt16) -> Outcome.Sense {
            Outcome.Sense(key: 0x0B, additional: 0x1000 | qualifier)
        }

        @Test("A byte that changes in the store's file is found by the next read, whoever made the tags")
        func flippedByte() throws {
            let folder = try TemporaryFolder()
            let path = folder.file("disk.img")
            let unit = "file/\(path),size=64M,protection=1"
            let server = try MartletServer(unit)
            let session = try WireSession(server.url)
            let data = (100..<164).flatMap { Self.transferred($0, 1, reference: UInt32($0)) }
            _ = try session.demand(Self.write16(100, data))
            try session.write(lba: 200, Block.content(lba: 200, generation: 1))
            try session.flush()
            #expect(try session.demand(Self.read16(100, 64)) == data)
            try Self.flip(path, at: 130 * 512 + 77)
            try Self.flip(path, at: 200 * 512)
            let outcome = try session.perform(Self.read16(100, 64))
            #expect(outcome.sense == Self.failed(1) && outcome.sense?.information == 130)
            let without = try session.perform(Self.read16(100, 64, flags: 0))
            #expect(without.sense == Self.failed(1))
            #expect(try session.perform(.read16(lba: 200, blockCount: 1)).sense == Self.failed(1))
            // Nothing is checked with RDPROTECT 011b.
            #expect(try session.demand(Self.read16(100, 64, flags: 0x60)).count == data.count)
            _ = try session.demand(Self.write16(130, Self.transferred(130, 2, reference: 130)))
            #expect(try session.perform(Self.read16(100, 64)).status == Outcome.good)
            try server.stop()
        }

        @Test("32-byte commands come whole through an additional header segment, and expect their own tags")
        func longCommands() throws {
            let server = try MartletServer("ram/16M,protection=2")
            let session = try WireSession(server.url)
            let data = (0..<300).flatMap { Self.transferred(40 + $0, 1, reference: 0xABCD_0000 + UInt32($0)) }
            let write = Self.long(0x0B, 40, 300, reference: 0xABCD_0000)
            _ = try session.demand(Command(cdb: write, sending: data))
            let read = Command(cdb: Self.long(0x09, 40, 300, reference: 0xABCD_0000), receiving: data.count)
            #expect(try session.demand(read) == data)
            let verify = Self.long(0x0A, 40, 300, reference: 0xABCD_0000, flags: 0x22)
            #expect(try session.perform(Command(cdb: verify, sending: data)).status == Outcome.good)
            let other = Command(cdb: Self.long(0x09, 41, 1, reference: 0xABCD_0000), receiving: 520)
            let outcome = try session.perform(other)
            #expect(outcome.sense == Self.failed(3) && outcome.sense?.information == 41)
            let refused = try session.perform(Self.read16(40, 1))
            #expect(refused.sense == Outcome.Sense(key: 0x05, additional: 0x2000))
            try server.stop()
        }

        @Test("kill -9 during writes leaves no block that fails its checks, and loses nothing that was flushed")
        func kill() throws {
            let folder = try TemporaryFolder()
            let unit = "file/\(folder.file("disk.img")),size=4M,protection=1"
            var random = SplitMix64(seed: seed)
            print("seed \(seed)")
            var flushed: [UInt64: UInt64] = [:]
            var newest: [UInt64: UInt64] = [:]
            for generation in 1...8 as ClosedRange<UInt64> {
                let server = try MartletServer(unit)
                let session = try WireSession(server.url)
                try Self.examine(session, flushed: &flushed, &newest)
                for isWaitedFor in [true, false] {
                    var tags: [UInt32] = []
                    for _ in 0..<(isWaitedFor ? 60 : 30) {
                        let lba = UInt64.random(in: 0..<2040, using: &random)
                        let count = UInt64.random(in: 1...8, using: &random)
                        let data = (lba..<lba + count).flatMap {
                            Self.transferred($0, generation, reference: UInt32($0))
                        }
                        for each in lba..<lba + count { newest[each] = generation }
                        tags.append(try session.submit(Self.write16(lba, data)))
                    }
                    guard isWaitedFor else { break }
                    for outcome in try session.collect(tags) { #expect(outcome.status == Outcome.good) }
                    try session.flush()
                    flushed = newest
                }
                try server.kill()
            }
            let server = try MartletServer(unit)
            try Self.examine(try WireSession(server.url), flushed: &flushed, &newest)
            try server.stop()
        }

        /// Every block passes its checks, and holds its flushed generation or a newer one; which, counts from now on.
        private static func examine(
            _ session: WireSession, flushed: inout [UInt64: UInt64], _ newest: inout [UInt64: UInt64]
        ) throws {
            let width = blockByteCount + 8
            let data = try session.demand(read16(0, 2048))
            for lba in newest.keys.sorted() {
                let start = Int(lba) * width
                let block = data[start..<start + blockByteCount]
                guard let found = Block.generation(of: block, lba: lba) else { throw HarnessError("\(lba) is torn") }
                #expect((flushed[lba, default: 0]...newest[lba, default: 0]).contains(found))
                let tuple = Array(data[start + blockByteCount..<start + width])
                let escape = [UInt8](repeating: 0xFF, count: 8)
                let whole = transferred(lba, found, reference: UInt32(lba)).suffix(8)
                #expect(tuple == Array(whole) || tuple == escape || found == 0)
                newest[lba] = found
                flushed[lba] = found
            }
        }

        @Test("A file of tags of another size is refused, with what it should be")
        func wrongSize() throws {
            let folder = try TemporaryFolder()
            let path = folder.file("disk.img")
            try Data(count: 4096).write(to: URL(fileURLWithPath: path + ".pi"))
            let result = try Program.run(
                MartletServer.path,
                ["serve", "--portal", "127.0.0.1:0", "file/\(path),size=1M,protection=1"])
            #expect(!result.succeeded)
            #expect(result.summary.contains("must have 16384 bytes, 8 for each block of the store"))
        }

        @Test(
            "libiscsi's suite passes on a unit with protection information", .needs(.iscsiTest),
            arguments: [
                "Read6", "Read10", "Read12", "Read16", "ReadCapacity16", "Write10", "Write12", "Write16", "WriteSame10",
                "WriteSame16", "WriteVerify10", "WriteVerify12", "WriteVerify16", "Verify10", "Verify12", "Verify16",
                "OrWrite", "CompareAndWrite", "Unmap", "Inquiry", "ModeSense6", "iSCSIResiduals",
            ])
        func suite(family: String) throws {
            let folder = try TemporaryFolder()
            let server = try MartletServer("file/\(folder.file("disk.img")),size=64M,protection=1")
            let result = try Program.iscsiTest.run(
                ["--dataloss", "--normal", "--test", "ALL.\(family)", "\(server.url)"], limitSeconds: 120)
            #expect(result.succeeded, "\(result.summary)")
            try server.stop()
        }
    }
}
