// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// `martlet bench` from outside, against our server and against tgt.
    @Suite("Load generator")
    struct BenchTests {
        static let modes = ["read", "write", "rw", "randread", "randwrite", "randrw"]
        static let seed: UInt64 = 4711
        /// A run that cannot go on ends long before this.
        static let limitSeconds = 60.0
        static let brief = ["--seconds", "0.3", "--warm-up", "0.1"]

        struct Report: Decodable {
            struct Latency: Decodable { let mean, p50, p90, p99, p999, max: Double }
            struct Cost: Decodable {
                let cpuUsPerCommand, cpus: Double
                let contextSwitchesPerCommand: Double?
            }
            let rw: String
            let blockSize, queueDepth, connections, threads: Int
            let seconds, iops, mibPerS: Double
            let commands, reads, writes: Int
            let verified, interrupted: Bool
            let latencyUs: Latency
            let client: Cost
            let server: Cost?
        }

        private func run(_ url: some CustomStringConvertible, _ arguments: [String]) throws -> Program.Result {
            try Program.run(
                MartletServer.path, ["bench", "\(url)", "--seed", "\(Self.seed)"] + arguments,
                limitSeconds: Self.limitSeconds)
        }

        /// The report of a run that must succeed.
        private func report(_ url: LogicalUnitURL, _ arguments: [String]) throws -> Report {
            let result = try run(url, Self.brief + ["--json"] + arguments)
            #expect(result.ending == .exit(0), "\(result.summary)")
            #expect(result.error.isEmpty, "\(result.error)")
            return try decode(result.output)
        }

        private func decode(_ text: String) throws -> Report {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(Report.self, from: Data(text.utf8))
        }

        /// The sentence of a run that must fail.
        private func sentence(
            _ result: Program.Result, status: Int32, sourceLocation: SourceLocation = #_sourceLocation
        ) -> String {
            #expect(result.ending == .exit(status), "\(result.summary)", sourceLocation: sourceLocation)
            #expect(result.output.isEmpty, "\(result.output)", sourceLocation: sourceLocation)
            let lines = result.error.split(separator: "\n")
            #expect(lines.count == 1, "\(result.error)", sourceLocation: sourceLocation)
            #expect(result.error.hasPrefix("martlet: "), sourceLocation: sourceLocation)
            return result.error
        }

        /// Waits until the run has written the block: its third word is the seed then.
        private func waitUntilWritten(lba: UInt64, at url: LogicalUnitURL) throws {
            let initiator = try Initiator(url)
            let deadline = Date(timeIntervalSinceNow: Self.limitSeconds)
            while littleEndian(try initiator.read(lba: lba, blockCount: 1), at: 16) != Self.seed {
                guard deadline.timeIntervalSinceNow > 0 else { throw HarnessError("block \(lba) is never written") }
            }
        }

        private func littleEndian(_ bytes: [UInt8], at offset: Int) -> UInt64 {
            bytes[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }

        // MARK: Runs that succeed

        @Test("Every access does what it says, and its report agrees with itself", arguments: modes)
        func access(mode: String) throws {
            let server = try MartletServer("ram/64M")
            let writes = mode != "read" && mode != "randread"
            let report = try report(
                server.url,
                ["--rw", mode, "--server-pid", "\(server.identifier)"] + (writes ? ["--destructive"] : []))
            #expect(report.rw == mode && report.blockSize == 4096 && report.queueDepth == 32)
            #expect(report.commands > 0 && report.commands == report.reads + report.writes)
            #expect((report.reads > 0) == !["write", "randwrite"].contains(mode))
            #expect((report.writes > 0) == writes)
            #expect(report.seconds >= 0.3)
            #expect(abs(report.iops - Double(report.commands) / report.seconds) < 1)
            #expect(abs(report.mibPerS - report.iops / 256) < 1)
            let latency = report.latencyUs
            let rising = [latency.p50, latency.p90, latency.p99, latency.p999, latency.max]
            #expect(rising == rising.sorted() && latency.p50 > 0 && latency.mean > 0 && latency.mean <= latency.max)
            #expect(!report.verified && !report.interrupted)
            #expect(report.client.cpuUsPerCommand > 0)
            let cost = try #require(report.server)
            #expect(cost.cpuUsPerCommand > 0 && (cost.contextSwitchesPerCommand ?? -1) >= 0)
            try server.stop()
        }

        static let verifications: [[String]] = [
            ["--block-size", "512", "--queue-depth", "1", "--area", "1M"],
            ["--block-size", "4K", "--queue-depth", "128", "--digests", "both"],
            ["--block-size", "4K", "--connections", "5", "--threads", "2", "--rw", "rw", "--mix", "30"],
            ["--block-size", "64K", "--digests", "data", "--poll", "--rw", "randwrite"],
            ["--block-size", "64K", "--digests", "header", "--rw", "write", "--connections", "2"],
            ["--block-size", "1M", "--queue-depth", "8", "--digests", "both"],
            ["--block-size", "3M", "--queue-depth", "2", "--offset", "12800"],
            ["--block-size", "1536", "--rw", "randread", "--area", "999936"],
            ["--block-size", "4M", "--queue-depth", "4"],
        ]

        @Test("What a verified run wrote is there, also for others", arguments: verifications)
        func verified(options: [String]) throws {
            let server = try MartletServer("ram/64M")
            let report = try report(server.url, ["--rw", "randrw", "--verify", "--destructive"] + options)
            #expect(report.verified && report.commands > 0)
            // The first block of the area, as another initiator sees it.
            let first = UInt64(options.contains("--offset") ? 12800 / Block.byteCount : 0)
            let block = try Initiator(server.url).read(lba: first, blockCount: 1)
            #expect(littleEndian(block, at: 0) == first && littleEndian(block, at: 8) >= 1)
            #expect(littleEndian(block, at: 16) == Self.seed)
            try server.stop()
        }

        @Test("A run keeps to its area")
        func area() throws {
            let server = try MartletServer("ram/1M")
            _ = try report(
                server.url,
                ["--rw", "randwrite", "--destructive", "--offset", "64K", "--area", "130K", "--block-size", "4K"])
            let blocks = try Initiator(server.url).read(lba: 0, blockCount: 2048)
            let written = (0..<2048).filter { littleEndian(blocks, at: $0 * Block.byteCount + 16) == Self.seed }
            // 130 KiB hold 32 commands of 4 KiB, and all were hit.
            #expect(written == Array(128..<128 + 256))
        }

        @Test("Large blocks, and addresses beyond 32 bits", arguments: ["block-size=4096", "block-size=512"])
        func largeLUN(attribute: String) throws {
            let folder = try TemporaryFolder()
            let disk = try folder.write([], to: "disk.img")
            let server = try MartletServer("file/\(disk),size=3T,\(attribute)")
            let report = try report(
                server.url,
                [
                    "--rw", "randrw", "--verify", "--destructive", "--offset", "2560G", "--area", "4M", "--digests",
                    "both",
                ])
            #expect(report.verified)
            try server.stop()
        }

        @Test("A portal may have an IPv6 address, and people may read the report")
        func text() throws {
            let server = try MartletServer(["ram/16M"], portal: "[::1]:0")
            let result = try run(server.url, Self.brief + ["--block-size", "512"])
            #expect(result.ending == .exit(0) && result.error.isEmpty, "\(result.summary)")
            for word in ["randread of 512 bytes", "IOPS", "MiB/s", "p99.9", "client CPU"] {
                #expect(result.output.contains(word), "\(result.output)")
            }
        }

        @Test("SIGINT ends a run with what was measured until then")
        func interrupted() throws {
            let server = try MartletServer("ram/256M")
            let folder = try TemporaryFolder()
            let child = try ChildProcess(
                MartletServer.path,
                [
                    "bench", "\(server.url)", "--rw", "write", "--destructive", "--seconds", "3600", "--warm-up", "0",
                    "--seed", "\(Self.seed)", "--json",
                ], errorPath: folder.file("standard-error"))
            // Sixty thousand commands later it has been measuring for long. Without a check of contents all writes
            // carry the first unit's blocks.
            try waitUntilWritten(lba: (256 << 20) / 512 - 1, at: server.url)
            child.send(SIGINT)
            #expect(try child.wait(limitSeconds: Self.limitSeconds) == .exit(0))
            let report = try decode(child.standardOutput)
            #expect(report.interrupted && report.commands > 0 && report.seconds < 3600)
            try server.stop()
        }

        // MARK: Runs that fail

        @Test("A block that somebody else has overwritten is told by its address")
        func mismatch() throws {
            let server = try MartletServer("ram/1M")
            let folder = try TemporaryFolder()
            let child = try ChildProcess(
                MartletServer.path,
                [
                    "bench", "\(server.url)", "--rw", "randread", "--verify", "--destructive", "--seconds", "3600",
                    "--seed", "\(Self.seed)",
                ], errorPath: folder.file("standard-error"))
            // Every block has been written when the last one has: nobody but us writes after that.
            try waitUntilWritten(lba: 2047, at: server.url)
            try Initiator(server.url).write(lba: 300, [UInt8](repeating: 0, count: 512))
            #expect(try child.wait(limitSeconds: Self.limitSeconds) == .exit(1))
            #expect(child.standardError.contains("block 300 is wrong from its byte 0 on"), "\(child.standardError)")
            #expect(child.standardError.contains("zeroes") && child.standardOutput.isEmpty)
            try server.stop()
        }

        @Test(
            "A server that is killed ends the run with a sentence",
            arguments: [["--poll"], [], ["--connections", "3"]])
        func killed(options: [String]) throws {
            let server = try MartletServer("ram/16M")
            let folder = try TemporaryFolder()
            let child = try ChildProcess(
                MartletServer.path,
                [
                    "bench", "\(server.url)", "--rw", "write", "--destructive", "--seconds", "3600", "--warm-up", "0",
                    "--seed", "\(Self.seed)",
                ] + options, errorPath: folder.file("standard-error"))
            try waitUntilWritten(lba: 32767, at: server.url)
            try server.kill()
            #expect(try child.wait(limitSeconds: Self.limitSeconds) == .exit(1))
            #expect(child.standardError == "martlet: the target closed the connection\n")
            #expect(child.standardOutput.isEmpty)
        }

        @Test("What the target cannot give is told in a sentence")
        func refused() throws {
            let server = try MartletServer(["ram/1M", "ram/1M,readonly"])
            let unit = "iscsi://\(server.url.portal)/\(server.url.target)"
            let cases: [(String, [String], Int32, String)] = [
                ("\(unit)/7", [], 1, "there is no LUN 7"),
                ("\(unit)x/0", [], 1, "there is no target \(server.url.target)x"),
                ("\(unit)/1", ["--rw", "write", "--destructive"], 1, "DATA PROTECT"),
                ("\(unit)/1", ["--verify", "--destructive"], 1, "write protected"),
                ("\(unit)/0", ["--area", "2M"], 2, "--area"),
                ("\(unit)/0", ["--offset", "1M"], 2, "--offset"),
                ("\(unit)/0", ["--block-size", "2M"], 2, "does not fit"),
                ("\(unit)/0", ["--server-pid", "2147483647"], 1, "2147483647"),
                ("iscsi://127.0.0.1:\(try FakePortal.freePort())/\(server.url.target)/0", [], 1, "refused"),
                ("iscsi://no-such-host.invalid/\(server.url.target)/0", [], 1, "no-such-host.invalid"),
            ]
            for (url, options, status, words) in cases {
                let sentence = sentence(try run(url, Self.brief + options), status: status)
                #expect(sentence.contains(words), "\(sentence)")
            }
            try server.stop()
        }

        @Test("A LUN that can be read but not written can be read")
        func readOnly() throws {
            let server = try MartletServer("ram/1M,readonly")
            #expect(try report(server.url, []).commands > 0)
        }

        @Test(
            "A port where nobody speaks iSCSI ends the run",
            arguments: [
                ("HTTP/1.1 400 Bad Request\r\nServer: something else\r\nContent-Length: 0\r\n\r\n", "not iSCSI"),
                ("", "does not answer"),
            ])
        func noTarget(answer: String, words: String) throws {
            let portal = try FakePortal(answering: Array(answer.utf8))
            portal.serveOne()
            let result = try run("iscsi://127.0.0.1:\(portal.port)/iqn.2026-11.org.martlet:default/0", Self.brief)
            #expect(sentence(result, status: 1).contains(words))
        }

        static let mistakes: [([String], String)] = [
            (["--rw", "sideways"], "sideways"), (["--rw", "write"], "--destructive"), (["--verify"], "--destructive"),
            (["--mix", "50"], "--mix"), (["--rw", "randrw", "--destructive", "--mix", "101"], "101"),
            (["--block-size", "1000"], "--block-size"), (["--block-size", "4KB"], "4KB"),
            (["--block-size", "0"], "--block-size"), (["--block-size", "64M"], "--block-size"),
            (["--queue-depth", "0"], "--queue-depth"), (["--queue-depth", "many"], "queue-depth"),
            (["--connections", "0"], "--connections"), (["--connections", "5000"], "5000"),
            (["--threads", "2"], "--threads"), (["--seconds", "0"], "--seconds"), (["--seconds", "nan"], "--seconds"),
            (["--warm-up", "-1"], "warm-up"), (["--area", "1K"], "--area"), (["--area", "all"], "all"),
            (["--offset", "100"], "--offset"), (["--seed", "-1"], "seed"), (["--digests", "md5"], "md5"),
            (["--server-pid", "0"], "--server-pid"), (["--initiator-name", "me"], "me"), (["--colour"], "--colour"),
            (["--verify", "--destructive", "--area", "2G"], "--area"),
        ]

        @Test("A mistake is named in a sentence, before anything is connected", arguments: mistakes)
        func mistake(options: [String], words: String) throws {
            // Nobody listens there: only options are looked at.
            let result = try Program.run(
                MartletServer.path, ["bench", "iscsi://127.0.0.1:1/iqn.2026-11.org.martlet:default/0"] + options)
            #expect(sentence(result, status: 2).contains(words), "\(result.error)")
        }

        @Test("A URL that is none is a mistake", arguments: ["disk", "iscsi://127.0.0.1", "iscsi://[::1/iqn.a/0"])
        func noURL(url: String) throws {
            #expect(sentence(try Program.run(MartletServer.path, ["bench", url]), status: 2).contains(url))
        }

        // MARK: Another target

        @Test(
            "Debian's tgt is a target like ours",
            .enabled(if: TgtServer.isUsable, "tgtd is not installed, or this is not root"))
        func tgt() throws {
            let server = try TgtServer(byteCount: 64 << 20)
            for options in [
                ["--block-size", "4K"], ["--block-size", "1M", "--queue-depth", "4", "--connections", "2"],
            ] {
                let report = try report(server.url, ["--rw", "randrw", "--verify", "--destructive"] + options)
                #expect(report.verified && report.commands > 0)
            }
            for (mode, operation, options) in [
                ("account", "new", ["--user", "alice", "--password", "twelve-or-more"]),
                ("account", "bind", ["--tid", "1", "--user", "alice"]),
            ] {
                let result = try server.control(mode, operation, options)
                #expect(result.succeeded, "\(result.summary)")
            }
            #expect(sentence(try run(server.url, Self.brief), status: 1).contains("CHAP"))
        }
    }
}
