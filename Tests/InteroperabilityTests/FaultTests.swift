// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// The filter `fault`, and by it the server in the large: what it does while stores are slow, fail, or hang.
    @Suite("Faults")
    struct FaultTests {
        /// Everything at once that an initiator survives by trying again.
        static let trouble =
            "fault:delay=0us..3ms,delay-rate=30%,late=1%,late-by=20ms,reorder=6,reorder-hold=2ms"
            + "+fault:error=1%,short=1%+fault:error=1%,error-status=busy"
        static let sessionCount = 2
        static let regionBlockCount = 8192

        @Test(
            "Two sessions write and verify through delays, other orders and errors: nothing is lost, doubled or mixed up",
            arguments: ["ram/64M", "file/FILE,size=64M", "uring/FILE,size=64M"])
        func trouble(store: String) throws {
            let folder = try TemporaryFolder()
            let store = store.replacing("FILE", with: folder.file("disk.img"))
            let server = try MartletServer("\(Self.trouble)+\(store)", options: ["--loops", "2"])
            let url = server.url
            let seconds = isSoak ? 60.0 : 2.0
            print("seed \(seed), the server says: \(server.standardError)")
            try onThreads(Self.sessionCount) { number in
                let dialect: Dialect = number == 0 ? .libiscsi : .wireBothDigests
                let client = RetryingClient(try dialect.connect(url, number: number + 1))
                var workload = Workload(
                    client, first: UInt64(number * Self.regionBlockCount), blockCount: Self.regionBlockCount,
                    seed: seed &+ UInt64(number))
                let deadline = Date(timeIntervalSinceNow: seconds)
                while deadline.timeIntervalSinceNow > 0 || client.retryCount == 0 { try workload.step() }
                try workload.verifyAll()
            }
            try server.stop()
        }

        @Test("A seed repeats the same errors, and a rate is kept")
        func seeds() throws {
            func failures() throws -> [Int] {
                let server = try MartletServer("fault:error=5%,on=read,seed=12+ram/1M")
                let client = try Initiator(server.url)
                let reads = (0..<100).map { Command.read16(lba: $0, blockCount: 1) }
                let outcomes = try (0..<20).flatMap { _ in try client.perform(reads) }
                try server.stop()
                let failed = outcomes.indices.filter { outcomes[$0].status != Outcome.good }
                for index in failed {
                    #expect(outcomes[index].sense == Outcome.Sense(key: 3, additional: 0x1100))
                }
                return failed
            }
            let first = try failures()
            #expect((40...170).contains(first.count), "\(first.count) of 2000 at 5%")
            #expect(try failures() == first)
        }

        @Test("Reads take at least their delay, and many at once hardly longer", arguments: ["start", "end"])
        func delays(point: String) throws {
            let server = try MartletServer("fault:delay=100ms,delay-at=\(point),on=read+ram/1M")
            let client = try Initiator(server.url)
            let clock = ContinuousClock()
            let time = try clock.measure {
                for outcome in try client.perform((0..<50).map { .read16(lba: $0, blockCount: 1) }) {
                    #expect(outcome.status == Outcome.good)
                }
            }
            #expect(time >= .milliseconds(100) && time < .seconds(4), "\(time)")
            try server.stop()
        }

        @Test("A LUN without filters beside one that hangs and fails is unharmed, and the server stops at once")
        func neighbours() throws {
            let server = try MartletServer(
                ["fault:hang=100%,on=read+fault:error=100%+ram/1M", "ram/64M"], options: ["--loops", "1"])
            let faulty = try WireSession(server.urls[0])
            for lba in 0..<20 as Range<UInt64> { try faulty.submit(.read16(lba: lba, blockCount: 1)) }
            #expect(throws: HarnessError.self) {
                try Initiator(server.urls[0]).write(lba: 0, Block.content(lba: 0, generation: 1))
            }
            var workload = Workload(try Initiator(server.urls[1]), first: 0, blockCount: 8192, seed: seed)
            for _ in 0..<20 { try workload.step() }
            try workload.verifyAll()
            let begin = ContinuousClock.now
            try server.stop()
            #expect(ContinuousClock.now - begin < .seconds(5))
        }

        @Test("The chain is in martlet luns, what it did in martlet stats and metrics, and a warning in the log")
        func reports() throws {
            let folder = try TemporaryFolder()
            let control = folder.file("control")
            let chain = "fault:error=100%,error-status=hardware,max=3,seed=5+fault:delay=1us"
            let server = try MartletServer(["\(chain)+ram/1M", "ram/2M"], options: ["--control", control])
            let client = try Initiator(server.url)
            for number in 0..<5 {
                let outcome = try client.perform(.read16(lba: 0, blockCount: 1))
                #expect((outcome.status == Outcome.good) == (number >= 3))
                if number < 3 { #expect(outcome.sense == Outcome.Sense(key: 4, additional: 0x4400)) }
            }
            let luns = try Program.run(MartletServer.path, ["luns", "--control", control, "--json"])
            struct Unit: Decodable {
                let backstore: String
                let filters: [String]
            }
            let units = try JSONDecoder().decode([Unit].self, from: Data(luns.output.utf8))
            #expect(units.map(\.backstore) == ["ram/1M", "ram/2M"])
            #expect(units[0].filters == chain.split(separator: "+").map(String.init) && units[1].filters.isEmpty)
            let table = try Program.run(MartletServer.path, ["luns", "--control", control])
            #expect(table.output.contains("\(chain)+ram/1M"), "\(table.output)")
            struct Report: Decodable {
                struct Device: Decodable {
                    let backstore: String
                    let counters: [String: Int]
                }
                let devices: [Device]
            }
            let stats = try Program.run(MartletServer.path, ["stats", "--control", control, "--json"])
            let devices = try JSONDecoder().decode(Report.self, from: Data(stats.output.utf8)).devices
            let faulty = try #require(devices.first { $0.backstore == "ram/1M" })
            #expect(faulty.counters["faultErrors"] == 3 && faulty.counters["faultDelays"] == 2)
            #expect(devices.first { $0.backstore == "ram/2M" }?.counters["faultErrors"] == nil)
            try server.stop()
            let warnings = server.standardError.split(separator: "\n").filter {
                $0.contains("warning") && $0.contains("injects faults on purpose")
            }
            #expect(warnings.count == 2, "\(server.standardError)")
            #expect(warnings.first?.contains("(seed 5)") == true && warnings.first?.contains("LUN 0 (ram/1M)") == true)
        }

        @Test("A filter that cannot be on this store is refused when the store is open, with exit status 2")
        func refused() throws {
            let result = try Program.run(
                MartletServer.path, ["serve", "--portal", "127.0.0.1:0", "fault:error=1%,range=4096..5000+ram/1M"])
            #expect(result.ending == .exit(2))
            #expect(result.error.contains("LUN 0: ") && result.error.contains("only 2048 blocks"), "\(result.error)")
        }

        @Test("Blocks are unmapped, and reported as such, through filters")
        func unmap() throws {
            let server = try MartletServer("fault:delay=1us+fault:reorder=2,reorder-hold=1us+ram/16M")
            let client = try Initiator(server.url)
            try client.write(lba: 0, Block.contents(lba: 0, blockCount: 4096, generation: 1))
            #expect(try isMapped(client, lba: 1024))
            let descriptor = bigEndian(1024, count: 8) + bigEndian(2048, count: 4) + [0, 0, 0, 0]
            let list = bigEndian(22, count: 2) + bigEndian(16, count: 2) + [0, 0, 0, 0] + descriptor
            _ = try client.demand(Command(cdb: [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], sending: list))
            #expect(try !isMapped(client, lba: 1024))
            #expect(try client.read(lba: 1024, blockCount: 2048).allSatisfy { $0 == 0 })
            expectEqual(
                try client.read(lba: 0, blockCount: 1024), Block.contents(lba: 0, blockCount: 1024, generation: 1))
            try server.stop()
        }

        /// PROVISIONING STATUS of the first extent that GET LBA STATUS tells (SBC-4 5.6).
        private func isMapped(_ client: any SCSIClient, lba: UInt64) throws -> Bool {
            let cdb = [0x9E, 0x12] + bigEndian(lba, count: 8) + bigEndian(24, count: 4) + [0, 0]
            let data = try client.demand(Command(cdb: cdb, receiving: 24))
            try #require(data.count == 24)
            return data[20] & 0x0F == 0
        }

        @Test(
            "Debian's zoned handler is a zoned device behind filters, and only what was named fails",
            .enabled(if: tcmuHandlers != nil, "MARTLET_TCMU_HANDLERS names no folder"))
        func zoned() throws {
            let folder = try TemporaryFolder()
            let store = "zbc/model-HM/lba-512/zsize-1/conv-2@\(folder.file("zoned")),size=64M"
            let server = try MartletServer(
                "fault:delay=1ms+fault:error=100%,on=write,range=8..15+\(store)",
                options: ["--handler-path", try #require(tcmuHandlers)])
            let client = try Initiator(server.url)
            #expect(try client.demand(.inquiry(allocation: 36))[0] == 0x14)
            let content = Block.contents(lba: 0, blockCount: 4, generation: 1)
            try client.write(lba: 0, content)
            expectEqual(try client.read(lba: 0, blockCount: 4), content)
            let outcome = try client.perform(.write16(lba: 7, Block.contents(lba: 7, blockCount: 2, generation: 1)))
            #expect(outcome.sense == Outcome.Sense(key: 3, additional: 0x0C00))
            let zones = Command(
                cdb: [0x95, 0] + bigEndian(0, count: 8) + bigEndian(4096, count: 4) + [0, 0], receiving: 4096)
            #expect(try client.demand(zones).bigEndian(at: 0, count: 4) > 0)
            try server.stop()
        }
    }
}

/// An initiator's session that tries a command again when the target failed it, as operating systems do.
private final class RetryingClient: SCSIClient {
    private static let attemptCount = 100
    private let client: any SCSIClient
    private(set) var retryCount = 0

    init(_ client: any SCSIClient) { self.client = client }

    func perform(_ commands: [Command]) throws -> [Outcome] {
        var outcomes = try client.perform(commands)
        for _ in 0..<Self.attemptCount {
            let failed = outcomes.indices.filter { outcomes[$0].status != Outcome.good }
            if failed.isEmpty { return outcomes }
            retryCount += failed.count
            let again = try client.perform(failed.map { commands[$0] })
            for (index, outcome) in zip(failed, again) { outcomes[index] = outcome }
        }
        return outcomes
    }
}
