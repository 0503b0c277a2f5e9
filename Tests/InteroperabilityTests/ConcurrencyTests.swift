// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    @Suite("Concurrency", .onEachPoller)
    struct ConcurrencyTests {
        static let sessionCount = 8
        static let regionBlockCount = 8192

        @Test(
            "Eight sessions on two loops write and verify regions of their own",
            arguments: [Dialect.libiscsi, .libiscsiHeaderDigest, .wire, .wireBothDigests])
        func sessions(dialect: Dialect) throws {
            let server = try MartletServer("ram/64M", options: ["--loops", "2"])
            let url = server.url
            let seconds = isSoak ? 30.0 : 2.0
            print("seed \(seed)")
            try onThreads(Self.sessionCount) { number in
                let client = try dialect.connect(url, number: number + 1)
                let first = UInt64(number * Self.regionBlockCount)
                var workload = Workload(
                    client, first: first, blockCount: Self.regionBlockCount, seed: seed &+ UInt64(number))
                let deadline = Date(timeIntervalSinceNow: seconds)
                while deadline.timeIntervalSinceNow > 0 { try workload.step() }
                try workload.verifyAll()
            }
            try server.stop()
        }

        @Test("A session logs in, works and logs out a hundred times beside one that stays")
        func comingAndGoing() throws {
            let server = try MartletServer("ram/16M", options: ["--loops", "2"])
            var workload = Workload(try Initiator(server.url), first: 0, blockCount: 8192, seed: seed)
            for round in 0..<100 {
                let session = try WireSession(server.url)
                let content = Block.contents(lba: 10000, blockCount: 3, generation: UInt64(round + 1))
                try session.write(lba: 10000, content)
                expectEqual(try session.read(lba: 10000, blockCount: 3), content)
                if round.isMultiple(of: 2) { try session.logout() }
                session.connection.close()
            }
            try workload.step()
            try workload.verifyAll()
            try server.stop()
        }

        @Test("A second login of the same initiator port takes the place of the first session (RFC 7143 6.3.5)")
        func reinstatement() throws {
            let server = try MartletServer("ram/1M")
            let old = try WireSession(server.url)
            let new = try WireSession(server.url)
            #expect(try old.connection.isClosedByPeer())
            try new.write(lba: 0, Block.content(lba: 0, generation: 1))
            expectEqual(try new.read(lba: 0, blockCount: 1), Block.content(lba: 0, generation: 1))
            try server.stop()
        }
    }
}
