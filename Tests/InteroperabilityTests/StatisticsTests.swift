// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// `martlet stats`, as whoever runs a server sees it.
    @Suite("Statistics")
    struct StatisticsTests {
        /// The JSON of the documents, written down apart from the server's sources.
        private struct Report: Decodable {
            struct Stage: Decodable {
                let stage: String
                let meanNanoseconds: Double
                let p99Nanoseconds: Double
                let share: Double
            }
            struct Latency: Decodable {
                let samples: Int
                let meanNanoseconds, p50Nanoseconds, p90Nanoseconds, p99Nanoseconds, p999Nanoseconds: Double
                let maxNanoseconds: Double
                let stages: [Stage]

                func stage(_ name: String) -> Double { stages.first { $0.stage == name }?.meanNanoseconds ?? -1 }
            }
            struct Activity: Decodable {
                let commands, failedCommands, readBytes, writtenBytes: Int
                let commandsPerSecond: Double
            }
            struct Unit: Decodable {
                let target: String
                let lun: Int
                let activity: Activity
                let latency: Latency
            }
            struct Session: Decodable {
                let initiator: String
                let tsih: Int
                let activity: Activity
                let latency: Latency
            }
            struct Loop: Decodable { let loop, connections, turns, sleeps, spuriousTurns, wakeUps: Int }
            struct DataPath: Decodable { let receivesPerCommand, sendsPerCommand, responsesPerSend: Double }

            let sampleInterval: Int
            let seconds, rateSeconds: Double
            let lostSamples: Int
            let all: Latency
            let luns: [Unit]
            let sessions: [Session]
            let loops: [Loop]
            let dataPath: DataPath
            let counters: [String: Int]
        }

        private let folder: TemporaryFolder
        private var control: String { folder.file("control") }

        init() throws { folder = try TemporaryFolder() }

        private func server(_ units: [String], interval: Int = 1, loops: Int = 1) throws -> MartletServer {
            try MartletServer(
                units, options: ["--control", control, "--loops", "\(loops)", "--stats-sample", "\(interval)"])
        }

        private func stats(_ arguments: String...) throws -> Program.Result {
            try Program.run(MartletServer.path, ["stats", "--control", control] + arguments)
        }

        private func report(_ arguments: String...) throws -> Report {
            let result = try Program.run(
                MartletServer.path, ["stats", "--control", control, "--json"] + arguments)
            #expect(result.succeeded, "\(result.summary)")
            return try JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
        }

        @Test("Every command is counted and timed, by LUN and by session, and the stages add up", arguments: [1, 2])
        func everything(loops: Int) throws {
            let server = try server(["ram/16M", "ram/1M"], loops: loops)
            let began = Date()
            let clients = try (0..<4).map { number in
                var options = Initiator.Options()
                options.name = "iqn.2026-11.org.martlet:test-\(number)"
                return try Initiator(server.urls[0], options)
            }
            let before = try report("--reset")
            #expect(before.luns.map(\.lun) == [0, 1])
            for (number, client) in clients.enumerated() {
                for round in 0..<50 as Range<UInt64> {
                    try client.write(lba: round * 8, Block.contents(lba: 0, blockCount: 8, generation: 1))
                    let reads = (0..<8).map { Command.read16(lba: UInt64($0 * number), blockCount: 16) }
                    _ = try client.perform(reads)
                }
            }
            let report: Report = try withExtendedLifetime(clients) { try self.report() }
            let elapsed = Date().timeIntervalSince(began)
            let unit = report.luns[0]
            #expect(unit.activity.commands == 4 * 50 * 9)
            #expect(unit.activity.failedCommands == 0)
            #expect(unit.activity.readBytes == 4 * 50 * 8 * 16 * 512)
            #expect(unit.activity.writtenBytes == 4 * 50 * 8 * 512)
            #expect(unit.latency.samples == unit.activity.commands)
            #expect(report.luns[1].activity.commands == 0)
            #expect(report.luns[1].latency.samples == 0)
            #expect(report.lostSamples == 0)
            #expect(report.rateSeconds > 0 && report.rateSeconds <= elapsed)
            let commands = unit.activity.commandsPerSecond * report.rateSeconds
            #expect(abs(commands - 1800) < 1, "\(commands)")

            #expect(report.sessions.map(\.initiator) == (0..<4).map { "iqn.2026-11.org.martlet:test-\($0)" })
            #expect(report.sessions.map(\.activity.commands) == [450, 450, 450, 450])
            #expect(report.sessions.map(\.latency.samples) == [450, 450, 450, 450])

            for latency in [unit.latency, report.all] + report.sessions.map(\.latency) {
                expectPlausible(latency, longestSeconds: elapsed)
            }
            #expect(unit.latency.stage("handler") > 0)
            #expect(report.loops.count == loops)
            #expect(report.loops.map(\.connections).reduce(0, +) == 4)
            #expect(report.counters["turns"] ?? 0 >= report.loops.map(\.sleeps).reduce(0, +))
            #expect((report.counters["receiveCalls"] ?? 0) > 0)
            #expect(report.dataPath.receivesPerCommand > 0 && report.dataPath.receivesPerCommand <= 2)
            #expect(report.dataPath.responsesPerSend >= 1)
            try server.stop()
        }

        private func expectPlausible(_ latency: Report.Latency, longestSeconds: Double) {
            let names = ["batch", "data", "core", "handler", "handBack", "coalescing", "sending"]
            #expect(latency.stages.map(\.stage) == names)
            let sum = latency.stages.map(\.meanNanoseconds).reduce(0, +)
            #expect(abs(sum - latency.meanNanoseconds) < 0.001 * latency.meanNanoseconds)
            #expect(abs(latency.stages.map(\.share).reduce(0, +) - 1) < 0.001)
            let quantiles = [
                1, latency.p50Nanoseconds, latency.p90Nanoseconds, latency.p99Nanoseconds, latency.p999Nanoseconds,
                latency.maxNanoseconds, longestSeconds * 1e9,
            ]
            #expect(quantiles == quantiles.sorted(), "\(quantiles)")
            #expect(latency.meanNanoseconds <= latency.maxNanoseconds)
        }

        @Test("A wait for data counts as one, and so does the time in a device with threads of its own")
        func stages() throws {
            let backing = try folder.write([UInt8](repeating: 0, count: 16 << 20), to: "disk.img")
            try server(["ram/16M", "file/\(backing)"]).run { server in
                for url in server.urls {
                    var options = Initiator.Options()
                    options.immediateData = false
                    options.initialR2T = true
                    let client = try Initiator(url, options)
                    _ = try report("--reset")
                    // Every write asks for its data, and the initiator takes a turn to answer.
                    for round in 0..<50 as Range<UInt64> {
                        try client.write(lba: round, Block.contents(lba: 0, blockCount: 16, generation: 1))
                    }
                    let latency = try #require(report().luns.first { $0.lun == url.lun }?.latency)
                    #expect(latency.samples == 50)
                    #expect(latency.stage("data") > 1000)
                    #expect(latency.stage("handler") > 0)
                    #expect((latency.stage("handBack") > 0) == (url.lun == 1))
                }
            }
        }

        @Test("One of N commands is sampled, and all are counted")
        func sampled() throws {
            try server(["ram/1M"], interval: 4).run { server in
                let client = try Initiator(server.url)
                _ = try report("--reset")
                let reads = (0..<16).map { Command.read16(lba: UInt64($0), blockCount: 1) }
                for _ in 0..<100 { _ = try client.perform(reads) }
                let unit = try report().luns[0]
                #expect(unit.activity.commands == 1600)
                #expect((300...500).contains(unit.latency.samples), "\(unit.latency.samples)")
            }
        }

        @Test("Without sampling there are no times, and the counts go on")
        func off() throws {
            try server(["ram/1M"], interval: 0).run { server in
                try expectServes(server.url)
                let report = try report()
                #expect(report.sampleInterval == 0)
                #expect(report.all.samples == 0)
                #expect(report.all.stages.isEmpty)
                #expect(report.luns[0].activity.writtenBytes == 4096)
                #expect(try stats().output.contains("No command is timed"))
            }
        }

        @Test("After a reset everything begins anew")
        func reset() throws {
            try server(["ram/1M"]).run { server in
                try expectServes(server.url)
                #expect(try report("--reset").luns[0].activity.writtenBytes == 4096)
                let report = try report()
                #expect(report.luns[0].activity.commands == 0)
                #expect(report.luns[0].latency.samples == 0)
                #expect(report.all.samples == 0)
                #expect(report.counters["receivedPDUs"] == 0)
                #expect(report.seconds < 10)
            }
        }

        @Test("The table names what was asked for, and a LUN or a session can be asked for alone")
        func table() throws {
            try server(["ram/1M", "ram/1M"]).run { server in
                let client = try Initiator(server.urls[1])
                _ = try client.read(lba: 0, blockCount: 8)
                let all = try stats()
                #expect(all.succeeded, "\(all.summary)")
                for word in ["Every command is timed", server.urls[1].target, "handler", "wake-ups per command", "µs"] {
                    #expect(all.output.contains(word), "\(all.output)")
                }
                let unit = try report("--lun", "\(server.urls[1].target)/1")
                #expect(unit.luns.map(\.lun) == [1])
                #expect(unit.sessions.isEmpty)
                let session = try report("--session", "iqn.2026-11.org.martlet:test")
                #expect(session.sessions.count == 1)
                #expect(session.luns.isEmpty)
                let same = try report("--session", "\(session.sessions[0].tsih)")
                #expect(same.sessions.map(\.initiator) == ["iqn.2026-11.org.martlet:test"])
                try client.logout()
            }
        }

        @Test("What is wrong is named in one sentence")
        func mistakes() throws {
            let nobody = try stats()
            #expect(nobody.ending == .exit(1))
            #expect(nobody.error.contains(control), "\(nobody.summary)")
            try server(["ram/1M"]).run { _ in
                let cases: [(arguments: [String], status: Int32, names: String)] = [
                    (["--lun", "zero"], 2, "zero"), (["--lun", "iqn.2026-11.a.b/-1"], 2, "/-1"),
                    (["--lun", "iqn.2026-11.a.b/9"], 1, "iqn.2026-11.a.b/9"), (["--session", "77"], 1, "77"),
                    (["--session", ""], 2, "--session"), (["--colour"], 2, "--colour"),
                ]
                for mistake in cases {
                    let result = try Program.run(
                        MartletServer.path, ["stats", "--control", control] + mistake.arguments)
                    #expect(result.ending == .exit(mistake.status), "\(result.summary)")
                    #expect(result.error.contains(mistake.names), "\(result.summary)")
                    #expect(result.error.split(separator: "\n").count == 1, "\(result.summary)")
                    #expect(result.output.isEmpty, "\(result.summary)")
                }
            }
            for interval in ["3", "-1", "many", "2097152"] {
                let result = try Program.run(
                    MartletServer.path,
                    ["serve", "--portal", "127.0.0.1:0", "--stats-sample=\(interval)", "ram/1M"], limitSeconds: 20)
                #expect(result.ending == .exit(2), "\(result.summary)")
                #expect(result.error.contains(interval), "\(result.summary)")
            }
        }
    }
}

extension MartletServer {
    /// Works with the server, then stops it.
    fileprivate func run(_ body: (MartletServer) throws -> Void) throws {
        try body(self)
        try stop()
    }
}
