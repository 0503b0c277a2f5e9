// SPDX-License-Identifier: Apache-2.0
import Testing

extension Interoperability {
    @Suite("Durability")
    struct DurabilityTests {
        static let unitBlockCount: UInt64 = 32768
        static let sweepBlockCount = 128

        /// What a test knows of the medium: the generation that was flushed, and the newest that was sent.
        struct Ledger {
            var flushed: [UInt64: UInt64] = [:]
            var sent: [UInt64: UInt64] = [:]

            /// Every block holds its flushed generation, or one that was sent after it; which one it is, counts from now on.
            mutating func check(_ client: any SCSIClient) throws {
                for lba in sent.keys.sorted() {
                    let bytes = try client.read(lba: lba, blockCount: 1)
                    guard let found = Block.generation(of: bytes[...], lba: lba) else {
                        throw HarnessError("block \(lba) is torn")
                    }
                    let range = flushed[lba, default: 0]...sent[lba, default: 0]
                    guard range.contains(found) else {
                        throw HarnessError("block \(lba) has generation \(found), outside \(range)")
                    }
                    sent[lba] = found
                }
            }
        }

        @Test(
            "kill -9 during writes loses nothing that was flushed",
            arguments: ["file/PATH,size=16M", "ram/PATH,size=16M"])
        func killDuringWrites(unit: String) throws {
            let folder = try TemporaryFolder()
            let unit = unit.replacing("PATH", with: folder.file("disk.img"))
            var random = SplitMix64(seed: seed)
            print("seed \(seed)")
            var ledger = Ledger()
            var generation: UInt64 = 0
            for round in 0..<4 {
                let server = try MartletServer(unit)
                let session = try WireSession(server.url)
                try ledger.check(session)
                for _ in 0...round * 3 {
                    generation += 1
                    try writeSweep(session, generation, &ledger, &random, waits: true)
                    try session.flush()
                    ledger.flushed = ledger.sent
                }
                generation += 1
                try writeSweep(session, generation, &ledger, &random, waits: false)
                try server.kill()
            }
            let server = try MartletServer(unit)
            try ledger.check(try Initiator(server.url))
            try server.stop()
        }

        /// Writes random blocks, all at once within the command window; `waits` for their ends or leaves them under way.
        private func writeSweep(
            _ session: WireSession, _ generation: UInt64, _ ledger: inout Ledger, _ random: inout SplitMix64,
            waits: Bool
        ) throws {
            let count = waits ? Self.sweepBlockCount : Int.random(in: 1...16, using: &random)
            let blocks = Set((0..<count).map { _ in UInt64.random(in: 0..<Self.unitBlockCount, using: &random) })
            for lba in blocks { ledger.sent[lba] = generation }
            let tags = try blocks.sorted().map {
                try session.submit(.write16(lba: $0, Block.content(lba: $0, generation: generation)))
            }
            guard waits else { return }
            for outcome in try session.collect(tags) where outcome.status != Outcome.good {
                throw HarnessError("a write ended with \(outcome)")
            }
        }

        @Test("A write with FUA, and any write to a unit without a write cache, survives kill -9 by itself")
        func forcedUnitAccess() throws {
            let folder = try TemporaryFolder()
            let unit = "file/\(folder.file("disk.img")),size=1M"
            for (options, fua) in [("", UInt8(0x08)), (",write-cache=off", 0)] {
                let server = try MartletServer(unit + options)
                let session = try WireSession(server.url)
                let content = Block.content(lba: 5, generation: UInt64(fua) + 1)
                var write = Command.write16(lba: 5, content)
                write.cdb[1] |= fua
                _ = try session.demand(write)
                try server.kill()
                expectEqual(try [UInt8](folder.read("disk.img")[5 * 512..<6 * 512]), content)
            }
        }

        @Test("A unit without a write cache says so in its caching mode page", arguments: ["on", "off"])
        func writeCacheEnable(state: String) throws {
            let folder = try TemporaryFolder()
            let server = try MartletServer("file/\(folder.file("disk.img")),size=1M,write-cache=\(state)")
            let modeSense = Command(cdb: [0x1A, 0x08, 0x08, 0, 255, 0], receiving: 255)
            let data = try Initiator(server.url).demand(modeSense)
            #expect(data[4] & 0x3F == 0x08)
            #expect(data[6] & 0x04 == (state == "on" ? 0x04 : 0), "the WCE bit")
            try server.stop()
        }

        @Test("What was written and never flushed is on the medium after SIGTERM")
        func cleanEnd() throws {
            let folder = try TemporaryFolder()
            let server = try MartletServer("file/\(folder.file("disk.img")),size=1M")
            let content = Block.contents(lba: 64, blockCount: 64, generation: 9)
            try Initiator(server.url).write(lba: 64, content)
            try server.stop()
            expectEqual(try [UInt8](folder.read("disk.img")[64 * 512..<128 * 512]), content)
        }
    }
}
