// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    @Suite("Ceph: COMPARE AND WRITE, connections, mistakes", .needsCeph)
    struct CephCommandTests {
        /// First block and count. An object has 8192 blocks.
        @Test(
            "COMPARE AND WRITE writes when all is as expected, and says which byte is not",
            arguments: [(0, 1), (7, 1), (8193, 1), (100, 8), (8190, 4), (8192, 255)])
        func compareAndWrite(first: Int, count: Int) throws {
            let image = try CephImage()
            let server = try MartletServer(try image.unit())
            let session = try WireSession(server.url)
            let lba = UInt64(first)
            let old = Block.contents(lba: lba, blockCount: count, generation: 1)
            let new = Block.contents(lba: lba, blockCount: count, generation: 2)
            try session.write(lba: lba, old)
            _ = try session.demand(Self.compareAndWrite(lba, old, new))
            expectEqual(try session.read(lba: lba, blockCount: count), new)
            for byte in [0, 300, new.count - 1] {
                var wrong = new
                wrong[byte] ^= 0x40
                let outcome = try session.perform(Self.compareAndWrite(lba, wrong, old))
                #expect(outcome.sense == Outcome.Sense(key: 0x0E, additional: 0x1D00))
                #expect(outcome.sense?.information == UInt32(byte))
            }
            expectEqual(try session.read(lba: lba, blockCount: count), new)
            try server.stop()
        }

        @Test("Counters that many sessions raise by COMPARE AND WRITE lose nothing", arguments: [1, 4])
        func atomicity(blockCount: Int) throws {
            let image = try CephImage()
            let server = try MartletServer(try image.unit())
            let url = server.url
            // Over the edge of two objects.
            let lba: UInt64 = 8192 - UInt64(blockCount) / 2
            try WireSession(url).write(lba: lba, Self.counter(0, blockCount))
            try onThreads(4) { number in
                var options = WireSession.Options()
                options.qualifier = UInt16(number + 1)
                let session = try WireSession(url, options)
                var raised = 0
                while raised < 25 {
                    let found = try session.read(lba: lba, blockCount: blockCount)
                    let value = found.bigEndian(at: 0, count: 8)
                    guard found == Self.counter(value, blockCount) else { throw HarnessError("the counter is torn") }
                    let command = Self.compareAndWrite(lba, found, Self.counter(value + 1, blockCount))
                    let outcome = try session.perform(command)
                    if outcome.status == Outcome.good { raised += 1 } else { try Self.expectMiscompare(outcome) }
                }
            }
            let last = try WireSession(url).read(lba: lba, blockCount: blockCount)
            expectEqual(last, Self.counter(100, blockCount))
            try server.stop()
        }

        private static func expectMiscompare(_ outcome: Outcome) throws {
            guard outcome.sense?.key == 0x0E else { throw HarnessError("COMPARE AND WRITE ended with \(outcome)") }
        }

        /// Every block says the number.
        private static func counter(_ value: UInt64, _ blockCount: Int) -> [UInt8] {
            let block = bigEndian(value, count: 8) + [UInt8](repeating: UInt8(truncatingIfNeeded: value), count: 504)
            return (0..<blockCount).flatMap { _ in block }
        }

        private static func compareAndWrite(_ lba: UInt64, _ expected: [UInt8], _ new: [UInt8]) -> Command {
            var cdb = CDB.block16(0x89, lba: lba, blockCount: 0)
            cdb[13] = UInt8(expected.count / Block.byteCount)
            return Command(cdb: cdb, sending: expected + new)
        }

        @Test("The images of one cluster and user share a connection")
        func sharedConnection() throws {
            let images = try (0..<4).map { _ in try CephImage(megabytes: 16) }
            let one = try MartletServer(try images[0].unit())
            let four = try MartletServer(try images.map { try $0.unit() })
            // Of other users and time-outs they do not.
            let apart = try MartletServer([try images[0].unit(), try images[1].unit(";osd_op_timeout=30")])
            let counts = try [one, four, apart].map { try Self.messengerThreadCount($0.identifier) }
            #expect(counts[0] > 0 && counts[1] == counts[0] && counts[2] == 2 * counts[0], "\(counts)")
            for server in [one, four, apart] { try server.stop() }
        }

        /// Each connection has as many.
        private static func messengerThreadCount(_ pid: pid_t) throws -> Int {
            let folder = "/proc/\(pid)/task"
            return try FileManager.default.contentsOfDirectory(atPath: folder).count {
                (try? String(contentsOfFile: "\(folder)/\($0)/comm", encoding: .utf8))?.hasPrefix("msgr-worker") == true
            }
        }

        @Test(
            "What is not there is refused in a sentence, with exit status 2",
            arguments: [
                ("rbd/nopool/image;CONF", "there is no pool \"nopool\""),
                ("rbd/rbd/noimage;CONF", "there is no image \"noimage\""),
                ("rbd/rbd/nospace/image;CONF", "there is no namespace \"nospace\""),
                ("rbd/IMAGE@nosnap;CONF", "there is no snapshot \"nosnap\""),
                ("rbd/IMAGE;conf=/nowhere/ceph.conf", "cannot read /nowhere/ceph.conf: No such file"),
                ("rbd/IMAGE;CONF;id=nobody", "as client.nobody: "),
                ("rbd/IMAGE;CONF;id=client.admin", "without \"client.\""),
                ("rbd/IMAGE;CONF;", "there is no option \"\""),
                ("rbd/IMAGE;CONF,size=1M", "67108864"),
            ])
        func mistakes(unit: String, words: String) throws {
            let image = try CephImage()
            let text = unit.replacing("CONF", with: "conf=\(try #require(Ceph.conf))")
                .replacing("IMAGE", with: image.path)
            let result = try Program.run(MartletServer.path, ["serve", "--portal", "127.0.0.1:0", text])
            #expect(result.ending == .exit(2) && result.error.contains(words), "\(result.summary)")
        }

        @Test("An image without its lock is not served with lock=exclusive")
        func withoutLock() throws {
            let image = try CephImage(features: "layering")
            let unit = try image.unit(";lock=exclusive")
            let result = try Program.run(MartletServer.path, ["serve", "--portal", "127.0.0.1:0", unit])
            #expect(result.ending == .exit(1) && result.error.contains("rbd feature enable"), "\(result.summary)")
        }

        @Test("martlet check finds the contract kept")
        func conformance() throws {
            struct Report: Decodable { let cases: [Case] }
            struct Case: Decodable { let name, result: String }
            let images = try (0..<2).map { _ in try CephImage(megabytes: 16) }
            let handler = MartletServer.path.replacing("bin/martlet", with: "lib/martlet/handlers/handler_rbd.so")
            let result = try Program.run(
                MartletServer.path,
                [
                    "check", handler, "--config", try images[0].unit(), "--second-config", try images[1].unit(),
                    "--quick", "--json",
                ], limitSeconds: 240)
            let cases = try JSONDecoder().decode(Report.self, from: Data(result.output.utf8)).cases
            #expect(result.ending == .exit(0), "\(result.summary)")
            #expect(cases.count { $0.result == "passed" } >= 30, "\(result.summary)")
        }
    }
}
