// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// A device that comes and goes leaves nothing behind.
    @Suite("Devices that come and go", .onEachPoller)
    struct ReopeningTests {
        private static let target = "iqn.2026-11.org.martlet.test:reopening"
        private static let roundCount = 50
        /// Requests at the control socket that are not quite over.
        private static let descriptorSlack = 3
        /// Bytes for each round: twice what a device that was used leaves behind, with two requests at the control socket.
        private static let memorySlack = 12 << 10

        private struct Usage {
            var descriptorCount: Int
            var threadCount: Int
            /// VmRSS.
            var byteCount: Int

            init(of process: pid_t) throws {
                descriptorCount = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
                threadCount = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").count
                let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
                let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
                byteCount = try #require(Int(line.split(whereSeparator: \.isWhitespace)[1])) << 10
            }
        }

        @Test(
            "Descriptors, threads and memory stay what they are while a device is taken out and put in again",
            arguments: ["aio", "uring"], [false, true])
        func reopening(subtype: String, isUsed: Bool) throws {
            let folder = try TemporaryFolder()
            let server = try AccessServer(
                """
                portals: [{listen: "127.0.0.1:0"}]
                devices: {d0: {backstore: ram/1M}, d1: {backstore: "\(subtype)/\(folder.file("image"))", size: 1M}}
                targets:
                  \(Self.target): {luns: {0: d0, 1: d1}}
                """, unitCount: 2)
            var closedCount = 0
            func round() throws {
                if isUsed { try expectServes(server.url(Self.target, 1)) }
                try server.demand(["lun", "remove", Self.target, "1"])
                closedCount += 1
                try server.demand(["lun", "add", Self.target, "1", "d1"])
            }
            for _ in 0..<10 { try round() }
            let before = try Usage(of: server.martlet.identifier)
            for _ in 0..<Self.roundCount { try round() }
            let after = try Usage(of: server.martlet.identifier)
            print("\(subtype), used \(isUsed): \(before) \(after)")
            #expect(after.descriptorCount <= before.descriptorCount + Self.descriptorSlack, "\(before) \(after)")
            #expect(after.threadCount <= before.threadCount + Self.descriptorSlack, "\(before) \(after)")
            #expect(after.byteCount <= before.byteCount + Self.roundCount * Self.memorySlack, "\(before) \(after)")
            try expectServes(server.url(Self.target, 1))
            try server.martlet.stop()
            let log = server.martlet.standardError
            #expect(log.split(separator: "\n").count { $0.contains("is closed: no target has it") } == closedCount)
        }
    }
}
