// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability {
    /// COMPARE AND WRITE (SBC-4 5.3) and WRITE ATOMIC(16) (SBC-4 5.48), between sessions on several loops.
    @Suite("Atomic commands", .onEachPoller)
    struct AtomicityTests {
        /// The first compares and writes by itself; for the others the core does.
        static let stores = ["ram/16M", "file/FILE,size=16M", "uring/FILE,size=16M"]
        /// Where the delay parts the reading from the writing, whoever may come between does.
        static let slowStore = "fault:delay=1ms+file/FILE,size=16M"
        private static let twoLoops = ["--loops", "2"]

        // MARK: - COMPARE AND WRITE

        private static let counterSessionCount = 8
        /// In the midst of a page of memory and of a file.
        private static let counterLBA: UInt64 = 100

        @Test(
            "A counter that eight sessions increment by COMPARE AND WRITE comes out exact, and its neighbours are left alone",
            arguments: stores + [slowStore])
        func counter(store: String) throws {
            let folder = try TemporaryFolder()
            let server = try MartletServer(Self.unit(store, in: folder), options: Self.twoLoops)
            let url = server.url
            let lba = Self.counterLBA
            try Initiator(url).write(lba: lba, Block.content(lba: lba, generation: 1))
            let total = Tally()
            try Self.untilDeadline(threadCount: Self.counterSessionCount + 2) { number, isOver in
                let client = try Initiator(url, .init(name: "iqn.2026-11.org.martlet:test-\(number)"))
                guard number < Self.counterSessionCount else {
                    return try Self.writeNeighbour(client, isBefore: number.isMultiple(of: 2), until: isOver)
                }
                while !isOver() { if try Self.increment(client, lba: lba) { total.add(1) } }
            }
            print("\(store): \(total.value) increments")
            #expect(total.value > Self.counterSessionCount)
            let bytes = try Initiator(url).read(lba: lba, blockCount: 1)
            #expect(Block.generation(of: bytes[...], lba: lba) == UInt64(1 + total.value))
            try server.stop()
        }

        /// True when it was this session that incremented.
        private static func increment(_ client: Initiator, lba: UInt64) throws -> Bool {
            let old = try client.read(lba: lba, blockCount: 1)
            guard let count = Block.generation(of: old[...], lba: lba), count > 0 else {
                throw HarnessError("a read shows parts of two COMPARE AND WRITEs")
            }
            let outcome = try client.perform(
                .compareAndWrite(lba: lba, old, Block.content(lba: lba, generation: count + 1)))
            if outcome.status == Outcome.good { return true }
            guard outcome.sense == Outcome.Sense(key: 0x0E, additional: 0x1D00) else {
                throw HarnessError("COMPARE AND WRITE ended with \(outcome)")
            }
            return false
        }

        /// Writes four blocks that end before the counter, or begin behind it, and finds them again.
        private static func writeNeighbour(
            _ client: Initiator, isBefore: Bool, until isOver: () -> Bool
        ) throws {
            let lba = isBefore ? counterLBA - 4 : counterLBA + 1
            var generation: UInt64 = 0
            while !isOver() {
                generation += 1
                let content = Block.contents(lba: lba, blockCount: 4, generation: generation)
                try client.write(lba: lba, content)
                guard try client.read(lba: lba, blockCount: 4) == content else {
                    throw HarnessError("an ordinary write beside the counter is lost, generation \(generation)")
                }
            }
        }

        // MARK: - WRITE ATOMIC

        @Test(
            "No reader sees parts of two WRITE ATOMIC(16)", arguments: stores, [64 << 10, 256 << 10])
        func neverTorn(store: String, byteCount: Int) throws {
            let folder = try TemporaryFolder()
            let server = try MartletServer(Self.unit(store, in: folder), options: Self.twoLoops)
            let url = server.url
            let blockCount = byteCount / Block.byteCount
            let writerCount = 2
            let writes = Tally()
            let reads = Tally()
            try Self.untilDeadline(threadCount: writerCount + 4) { number, isOver in
                let client = try Initiator(url, .init(name: "iqn.2026-11.org.martlet:test-\(number)"))
                if number < writerCount {
                    while !isOver() {
                        let byte = UInt8(writes.add(1) % 251)
                        _ = try client.demand(.writeAtomic16([UInt8](repeating: byte, count: byteCount)))
                    }
                } else {
                    // Several at once, so that data wait in the server for their turn to be sent.
                    let commands = [Command](
                        repeating: number.isMultiple(of: 2)
                            ? .read10(blockCount: blockCount) : .read16(lba: 0, blockCount: blockCount), count: 8)
                    while !isOver() { reads.add(try Self.readWhole(client, commands)) }
                }
            }
            print("\(store): \(writes.value) atomic writes of \(byteCount) bytes, \(reads.value) reads")
            #expect(writes.value > 8 && reads.value > 64)
            try server.stop()
        }

        private static func readWhole(_ client: Initiator, _ commands: [Command]) throws -> Int {
            for outcome in try client.perform(commands) {
                guard outcome.status == Outcome.good else { throw HarnessError("a read ended with \(outcome.status)") }
                guard isUniform(outcome.data) else { throw HarnessError("a read shows parts of two atomic writes") }
            }
            return commands.count
        }

        @Test(
            "Reads whose data nobody fetches hold no WRITE ATOMIC(16) up, and show nothing of it", arguments: stores,
            [1, 2])
        func unfetchedReads(store: String, loopCount: Int) throws {
            let folder = try TemporaryFolder()
            let server = try MartletServer(Self.unit(store, in: folder), options: ["--loops", "\(loopCount)"])
            let byteCount = 256 << 10
            let blockCount = byteCount / Block.byteCount
            let writer = try Initiator(server.url)
            let peer = try Peer(server.url, .init(qualifier: 7))
            for round in 0..<4 {
                let old = UInt8(2 * round + 1)
                _ = try writer.demand(.writeAtomic16([UInt8](repeating: old, count: byteCount)))
                // More than the sockets between the two take.
                let reads = (0..<64).map { _ in peer.read(lba: 0, blockCount: blockCount) }
                try peer.connection.send(reads.flatMap { $0.encoded() })
                // What was answered before the write may be the old, the rest must be the new.
                _ = try writer.demand(.writeAtomic16([UInt8](repeating: old + 1, count: byteCount)))
                var data: [UInt32: [UInt8]] = [:]
                var missing = reads.count * byteCount
                while missing > 0 {
                    let pdu = try peer.receive { $0.opcode == WirePDU.Opcode.dataIn }
                    data[pdu.initiatorTaskTag, default: []] += pdu.data
                    missing -= pdu.data.count
                }
                for read in reads {
                    let bytes = data[read.initiatorTaskTag] ?? []
                    #expect(bytes.count == byteCount && Self.isUniform(bytes), "round \(round)")
                }
            }
            try server.stop()
        }

        // MARK: - What both need

        private static func unit(_ store: String, in folder: TemporaryFolder) -> String {
            store.replacingOccurrences(of: "FILE", with: folder.file("disk.img"))
        }

        private static func isUniform(_ bytes: [UInt8]) -> Bool {
            bytes.withUnsafeBytes { bytes in
                guard let first = bytes.baseAddress, bytes.count > 1 else { return true }
                return memcmp(first, first + 1, bytes.count - 1) == 0
            }
        }

        /// Runs `body` on threads of their own, with a number and whether the time is over.
        private static func untilDeadline(
            threadCount: Int, _ body: @escaping @Sendable (Int, () -> Bool) throws -> Void
        ) throws {
            let deadline = Date(timeIntervalSinceNow: isSoak ? 20 : 1.5)
            try onThreads(threadCount) { number in try body(number) { deadline.timeIntervalSinceNow < 0 } }
        }

        /// A sum that several threads add to.
        private final class Tally: @unchecked Sendable {  // every access is under the lock
            private let lock = NSLock()
            private var sum = 0

            var value: Int { lock.withLock { sum } }

            @discardableResult
            func add(_ count: Int) -> Int {
                lock.withLock {
                    sum += count
                    return sum
                }
            }
        }
    }
}

extension Command {
    /// COMPARE AND WRITE of one block: NUMBER OF LOGICAL BLOCKS is byte 13.
    static func compareAndWrite(lba: UInt64, _ old: [UInt8], _ new: [UInt8]) -> Command {
        var cdb = [UInt8](repeating: 0, count: 16)
        cdb[0] = 0x89
        cdb.replaceSubrange(2..<10, with: bigEndian(lba, count: 8))
        cdb[13] = 1
        return Command(cdb: cdb, sending: old + new)
    }

    /// WRITE ATOMIC(16) to LBA 0: ATOMIC BOUNDARY, zero, is bytes 10 and 11, TRANSFER LENGTH 12 and 13.
    static func writeAtomic16(_ bytes: [UInt8]) -> Command {
        let blockCount = UInt64(bytes.count / Block.byteCount)
        var cdb = [UInt8](repeating: 0, count: 16)
        cdb[0] = 0x9C
        cdb.replaceSubrange(12..<14, with: bigEndian(blockCount, count: 2))
        return Command(cdb: cdb, sending: bytes)
    }

    /// READ(10) from LBA 0.
    static func read10(blockCount: Int) -> Command {
        var cdb = [UInt8](repeating: 0, count: 10)
        cdb[0] = 0x28
        cdb.replaceSubrange(7..<9, with: bigEndian(UInt64(blockCount), count: 2))
        return Command(cdb: cdb, receiving: blockCount * Block.byteCount)
    }
}
