// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// A device that grows while sessions use it: `martlet lun resize`.
    @Suite("Sessions: resize")
    struct ResizeTests {
        static let target = "iqn.2026-11.org.martlet:growing"
        static let capacityChanged = 0x6_2A09
        static let outOfRange = 0x5_2100
        static let before = 8192
        static let after = 16384

        /// A server with the handler of in_tree.c, which keeps blocks in a file and takes any size.
        private final class Server {
            let folder: TemporaryFolder
            let martlet: MartletServer
            let configurationPath: String
            let controlPath: String

            init() throws {
                folder = try TemporaryFolder()
                let compiled = try HandlerSource.compile(
                    ["-shared", "-fPIC"] + HandlerSource.flags() + [HandlerSource.own("in_tree.c")],
                    to: folder.file("handler_tree.so"))
                guard compiled.succeeded else { throw HarnessError("cc: \(compiled.summary)") }
                configurationPath = folder.file("martlet.yaml")
                controlPath = folder.file("control")
                try folder.write(Self.configuration(folder, "4M").utf8, to: "martlet.yaml")
                martlet = try MartletServer(
                    configurationPath: configurationPath,
                    options: ["--control", controlPath, "--handler-path", folder.path], unitCount: 3)
            }

            static func configuration(_ folder: TemporaryFolder, _ size: String) -> String {
                """
                portals: [{listen: "127.0.0.1:0"}]
                devices:
                  disk: {backstore: "tree/\(folder.file("disk.img"))", size: \(size)}
                  other: {backstore: ram/1M}
                targets:
                  \(ResizeTests.target): {luns: {0: disk, 1: other}}
                  \(ResizeTests.target)-too: {luns: {7: disk}}

                """
            }

            func run(_ verb: [String]) throws -> Program.Result {
                try Program.run(MartletServer.path, verb + ["--control", controlPath])
            }
        }

        @Test("A device that grows tells all who use it, and its new blocks are there at once")
        func grows() throws {
            let server = try Server()
            let urls = server.martlet.urls
            let sessions = try [(urls[0], 1), (urls[0], 2), (urls[2], 3)].map { url, number in
                try url.session { $0.isid = 0x8012_3456_0000 + UInt64(number) }
            }
            let bystander = try urls[1].session { $0.isid = 0x8000_0000_0B0B }
            let beyond = InitiatorCommand.write(
                lba: UInt64(Self.before), InitiatorSession.pattern(lba: UInt64(Self.before), blockCount: 8))
            for session in sessions {
                #expect(try session.lastBlock() == UInt64(Self.before - 1))
                #expect(try session.perform(beyond).senseCode == Self.outOfRange)
            }
            // Commands that are under way when the device grows end as they would have.
            let busy = try (0..<16).map { index in
                let lba = UInt64(index) * 8
                return try sessions[0].submit(.write(lba: lba, InitiatorSession.pattern(lba: lba, blockCount: 8)))
            }
            let resized = try server.run(["lun", "resize", Self.target, "0", "8M"])
            #expect(resized.succeeded, "\(resized.summary)")
            #expect(resized.output.contains("~ device disk: 8388608 bytes instead of 4194304"), "\(resized.output)")
            #expect(try sessions[0].wait(for: busy).allSatisfy { $0.isGood || $0.senseCode == Self.capacityChanged })

            for (number, session) in sessions.enumerated() {
                let told = number == 0 && busy.contains { $0.outcome?.senseCode == Self.capacityChanged }
                if !told { #expect(try session.perform(.testUnitReady).senseCode == Self.capacityChanged) }
                #expect(try session.perform(.testUnitReady).isGood, "it is told once")
                #expect(try session.lastBlock() == UInt64(Self.after - 1))
                let lba = UInt64(Self.before - 4 + number * 64)
                try session.expectData(lba: lba, blockCount: 8, generation: UInt64(number))
                try session.expectData(lba: UInt64(Self.after - 1 - number), blockCount: 1)
                let outside = InitiatorCommand.read(lba: UInt64(Self.after), blockCount: 1)
                #expect(try session.perform(outside).senseCode == Self.outOfRange)
            }
            #expect(try bystander.perform(.testUnitReady).isGood)
            #expect(try bystander.lastBlock() == 2047)
            #expect(
                try FileManager.default.attributesOfItem(atPath: server.folder.file("disk.img"))[.size] as? Int == 8
                    << 20)
            try server.martlet.stop()
        }

        @Test("What is told of a device that has grown is its new size, and no smaller one is set")
        func told() throws {
            let server = try Server()
            #expect(try server.run(["lun", "resize", "\(Self.target)-too", "7", "8M"]).succeeded)
            let luns = try server.run(["luns"])
            #expect(luns.output.split(separator: "\n").count { $0.contains("8 MiB") } == 2, "\(luns.summary)")
            for size in ["4M", "8388609"] {
                let refused = try server.run(["lun", "resize", Self.target, "0", size])
                #expect(refused.ending != .exit(0) && !refused.error.isEmpty, "\(refused.summary)")
            }
            let session = try server.martlet.url.session()
            #expect(try session.lastBlock() == UInt64(Self.after - 1))
            // The file says the size of before: it is put right, and nothing else changes.
            let stale = try server.run(["apply", server.configurationPath])
            #expect(!stale.succeeded && stale.error.contains("martlet lun resize changes a size"), "\(stale.summary)")
            try server.folder.write(Server.configuration(server.folder, "8M").utf8, to: "martlet.yaml")
            #expect(try server.run(["apply", server.configurationPath]).output == "Nothing changes.\n")
            #expect(try session.perform(.testUnitReady).isGood)
            try server.martlet.stop()
        }
    }
}
