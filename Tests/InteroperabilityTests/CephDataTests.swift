// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    @Suite("Images of a real Ceph", .needsCeph)
    struct CephDataTests {
        @Test("Random writes are there, while the server lives and for the next one")
        func integrity() throws {
            print("seed \(seed)")
            let image = try CephImage()
            let server = try MartletServer(try image.unit())
            let session = try WireSession(server.url)
            var workload = Workload(session, first: 0, blockCount: 16384, seed: seed)
            for _ in 0..<20 { try workload.step() }
            try session.flush()
            try workload.verifyAll()
            try server.stop()
            let next = try MartletServer(try image.unit())
            try workload.verifyAll(with: try Initiator(next.url))
            try next.stop()
        }

        @Test("A disk image survives the way to an image and back", .needs(.qemuImg))
        func convert() throws {
            print("seed \(seed)")
            let folder = try TemporaryFolder()
            var random = SplitMix64(seed: seed)
            var content = [UInt8](repeating: 0, count: 24 << 20)
            for start in stride(from: 0, to: content.count - 65536, by: 1 << 20) {
                for index in start..<start + Int.random(in: 1...65536, using: &random) {
                    content[index] = UInt8(truncatingIfNeeded: random.next())
                }
            }
            let source = try folder.write(content, to: "image.raw")
            let image = try CephImage(megabytes: 24)
            let server = try MartletServer(try image.unit())
            for arguments in [
                ["convert", "-n", "-f", "raw", "-O", "raw", source, "\(server.url)"],
                ["compare", "-f", "raw", "-F", "raw", source, "\(server.url)"],
            ] {
                let result = try Program.qemuImg.run(arguments)
                #expect(result.succeeded, "qemu-img \(arguments[0]): \(result.summary)")
            }
            try server.stop()
            // Ceph's own program sees the same.
            try Ceph.rbd("export", "--no-progress", image.path, folder.file("exported.raw"))
            expectEqual(try folder.read("exported.raw"), content)
        }

        @Test("The unit has no write cache, and unmapped blocks read as zeroes")
        func attributes() throws {
            let image = try CephImage()
            let server = try MartletServer(try image.unit())
            let session = try WireSession(server.url)
            let caching = try session.demand(Command(cdb: [0x1A, 0x08, 0x08, 0, 255, 0], receiving: 255))
            #expect(caching[6] & 0x04 == 0, "WCE")
            let capacity = try session.demand(Command(cdb: CDB.readCapacity16(allocation: 32), receiving: 32))
            #expect(capacity[14] & 0xC0 == 0xC0, "LBPME and LBPRZ")
            let limits = try session.demand(.inquiry(page: 0xB0))
            #expect(limits.bigEndian(at: 28, count: 4) == 128, "OPTIMAL UNMAP GRANULARITY")
            try server.stop()
        }

        /// First block and count, in a pattern that covers three objects of 4 MiB.
        @Test(
            "UNMAP zeroes all that it is told to, and nothing else",
            arguments: [(1, 1), (8, 8), (127, 2), (128, 128), (100, 1000), (8191, 2), (5000, 9000), (8192, 8192)])
        func unmap(first: Int, count: Int) throws {
            let image = try CephImage()
            let server = try MartletServer(try image.unit())
            let session = try WireSession(server.url)
            let total = 3 * 8192
            try fill(session, blockCount: total)
            let list =
                bigEndian(22, count: 2) + bigEndian(16, count: 2) + [0, 0, 0, 0] + bigEndian(UInt64(first), count: 8)
                + bigEndian(UInt64(count), count: 4) + [0, 0, 0, 0]
            _ = try session.demand(Command(cdb: [0x42, 0, 0, 0, 0, 0, 0, 0, UInt8(list.count), 0], sending: list))
            for (start, length, isZero) in [
                (0, first, false), (first, count, true), (first + count, total - first - count, false),
            ] {
                try check(session, start..<start + length, isZero: isZero)
            }
            if first == 8192 { #expect(try image.usedByteCount() <= 2 * 8192 * Block.byteCount, "the object is gone") }
            try server.stop()
        }

        private func fill(_ session: WireSession, blockCount: Int) throws {
            for start in stride(from: 0, to: blockCount, by: 2048) {
                try session.write(
                    lba: UInt64(start), Block.contents(lba: UInt64(start), blockCount: 2048, generation: 1))
            }
        }

        private func check(_ session: WireSession, _ blocks: Range<Int>, isZero: Bool) throws {
            for start in stride(from: blocks.lowerBound, to: blocks.upperBound, by: 2048) {
                let count = min(2048, blocks.upperBound - start)
                let found = try session.read(lba: UInt64(start), blockCount: count)
                let wanted =
                    isZero
                    ? [UInt8](repeating: 0, count: count * Block.byteCount)
                    : Block.contents(lba: UInt64(start), blockCount: count, generation: 1)
                expectEqual(found, wanted)
            }
        }

        @Test("WRITE SAME fills exactly its range, across objects", arguments: [false, true])
        func writeSame(unmaps: Bool) throws {
            let image = try CephImage()
            let server = try MartletServer(try image.unit())
            let session = try WireSession(server.url)
            let block = [UInt8](repeating: unmaps ? 0 : 0xC3, count: Block.byteCount)
            let edge = [UInt8](repeating: 0x11, count: Block.byteCount)
            let (first, count) = (8100, 20000)
            for lba in [first - 1, first + count] { try session.write(lba: UInt64(lba), edge) }
            try session.write(lba: UInt64(first + 100), edge)
            var same = Command(cdb: CDB.block16(0x93, lba: UInt64(first), blockCount: count), sending: block)
            same.cdb[1] = unmaps ? 0x08 : 0
            _ = try session.demand(same)
            for lba in [first - 1, first + count] {
                expectEqual(try session.read(lba: UInt64(lba), blockCount: 1), edge)
            }
            for start in stride(from: first, to: first + count, by: 2000) {
                let found = try session.read(lba: UInt64(start), blockCount: 2000)
                #expect(found.allSatisfy { $0 == block[0] }, "from block \(start) on")
            }
            try server.stop()
        }

        @Test("A snapshot is served as it was taken, and cannot be written")
        func snapshot() throws {
            let image = try CephImage()
            let server = try MartletServer(try image.unit())
            let session = try WireSession(server.url)
            try session.write(lba: 9, Block.content(lba: 9, generation: 1))
            try Ceph.rbd("snap", "create", "--no-progress", "\(image.path)@s")
            try session.write(lba: 9, Block.content(lba: 9, generation: 2))
            let old = try MartletServer(try image.unit(snapshot: "@s"))
            let reader = try WireSession(old.url)
            expectEqual(try reader.read(lba: 9, blockCount: 1), Block.content(lba: 9, generation: 1))
            let outcome = try reader.perform(.write16(lba: 9, Block.content(lba: 9, generation: 3)))
            #expect(outcome.sense == Outcome.Sense(key: 0x07, additional: 0x2700))
            expectEqual(try session.read(lba: 9, blockCount: 1), Block.content(lba: 9, generation: 2))
            try old.stop()
            try server.stop()
        }

        @Test("An image in a namespace, without the lock feature, in blocks of 4096 bytes")
        func namespace() throws {
            _ = try? Ceph.rbd("namespace", "create", "rbd/space")
            let image = try CephImage(namespace: "space", features: "layering")
            let server = try MartletServer(try image.unit(attributes: ",block-size=4096"))
            try server.waitForLog("the image has no lock")
            let session = try WireSession(server.url)
            #expect(try session.capacity() == (16383, 4096))
            let block = [UInt8](repeating: 0x77, count: 4096)
            _ = try session.demand(Command(cdb: CDB.block16(0x8A, lba: 16383, blockCount: 1), sending: block))
            let read = Command(cdb: CDB.block16(0x88, lba: 16383, blockCount: 1), receiving: 4096)
            expectEqual(try session.demand(read), block)
            // librbd would clip it.
            var beyond = read
            beyond.cdb[13] = 2
            beyond.receiving = 8192
            #expect(try session.perform(beyond).sense == Outcome.Sense(key: 0x05, additional: 0x2100))
            try server.stop()
        }

        @Test("A new size of the image is told to initiators, and can be used")
        func resize() throws {
            let image = try CephImage()
            let server = try MartletServer(try image.unit())
            let session = try WireSession(server.url)
            // The lock is the server's meanwhile: the resize is done by it.
            try session.write(lba: 0, Block.content(lba: 0, generation: 1))
            try Ceph.rbd("resize", "--no-progress", image.path, "--size", "96M")
            try server.waitForLog("now has 196608 blocks")
            let attention = try session.perform(Command(cdb: CDB.testUnitReady))
            #expect(attention.sense == Outcome.Sense(key: 0x06, additional: 0x2A09), "CAPACITY DATA HAS CHANGED")
            #expect(try session.capacity().lastBlock == 196_607)
            try session.write(lba: 196_607, Block.content(lba: 196_607, generation: 1))
            try server.stop()
        }

        @Test("Debian's own rbd handler does the same work on the same image", .enabled(if: tcmuHandlers != nil))
        func debian() throws {
            print("seed \(seed)")
            let image = try CephImage()
            let theirs = try MartletServer(
                try image.unit(";id=admin;osd_op_timeout=40", attributes: ",size=64M"),
                options: ["--handler-path", try #require(tcmuHandlers)])
            let session = try WireSession(theirs.url)
            var workload = Workload(session, first: 0, blockCount: 16384, seed: seed)
            for _ in 0..<10 { try workload.step() }
            try session.flush()
            try theirs.stop()
            let ours = try MartletServer(try image.unit(";id=admin;osd_op_timeout=40"))
            try workload.verifyAll(with: try WireSession(ours.url))
            try ours.stop()
        }
    }
}
