// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// What an operator gets wrong: one sentence that names it, on standard error, and the exit status of the contract.
    @Suite("Command line")
    struct CommandLineTests {
        struct Mistake: CustomTestStringConvertible {
            let testDescription: String
            let arguments: [String]
            /// What the sentence must name.
            let names: String
            var statuses: [Int32] = [usage]
            /// A usage error of the command line itself may be followed by the usage.
            var lineLimit = 1
        }

        static let usage: Int32 = 2
        static let runTime: Int32 = 1
        /// A mistake is told at once, not after retries.
        static let limitSeconds = 20.0

        static let mistakes = [
            Mistake(testDescription: "no slash in the LUN-SPEC", arguments: ["ram"], names: "ram"),
            Mistake(testDescription: "no size", arguments: ["ram/"], names: "ram/"),
            Mistake(testDescription: "a size of no number", arguments: ["ram/lots"], names: "lots"),
            Mistake(testDescription: "a size of zero", arguments: ["ram/0"], names: "ram/0"),
            Mistake(testDescription: "a negative size", arguments: ["ram/-1G"], names: "-1G"),
            Mistake(testDescription: "a size beyond 64 bits", arguments: ["ram/99999999999T"], names: "99999999999T"),
            Mistake(testDescription: "an unknown attribute", arguments: ["ram/1M,colour=red"], names: "colour"),
            Mistake(testDescription: "an attribute twice", arguments: ["ram/1M,serial=1,serial=2"], names: "serial"),
            Mistake(testDescription: "a strange block size", arguments: ["ram/1M,block-size=513"], names: "513"),
            Mistake(testDescription: "a strange cache", arguments: ["ram/1M,write-cache=maybe"], names: "maybe"),
            Mistake(testDescription: "a long vendor", arguments: ["ram/1M,vendor=ACMECOMPANY"], names: "ACMECOMPANY"),
            Mistake(
                testDescription: "a size that is no whole number of blocks",
                arguments: ["ram/1000,block-size=512"], names: "1000", statuses: [usage, runTime]),
            Mistake(
                testDescription: "a subtype without a handler", arguments: ["floppy/a"], names: "floppy",
                statuses: [usage, runTime]),
            Mistake(
                testDescription: "a file that is not there", arguments: ["file//nowhere/disk.img"],
                names: "/nowhere/disk.img", statuses: [usage, runTime]),
            Mistake(
                testDescription: "a folder instead of a file", arguments: ["file//tmp"], names: "/tmp",
                statuses: [usage, runTime]),
            Mistake(
                testDescription: "a portal that is no address", arguments: ["--portal", "nowhere", "ram/1M"],
                names: "nowhere", lineLimit: 4),
            Mistake(
                testDescription: "a port that is no number", arguments: ["--portal", "127.0.0.1:http", "ram/1M"],
                names: "127.0.0.1:http", lineLimit: 4),
            Mistake(
                testDescription: "an address of another machine",
                arguments: ["--portal", "192.0.2.1:3260", "ram/1M"], names: "192.0.2.1", statuses: [runTime]),
            Mistake(
                testDescription: "an unknown option", arguments: ["--colour", "red", "ram/1M"], names: "--colour",
                lineLimit: 6),
            Mistake(
                testDescription: "no loops", arguments: ["--loops", "0", "ram/1M"], names: "loops", lineLimit: 4),
            Mistake(
                testDescription: "an unknown poller", arguments: ["--poller", "select", "ram/1M"], names: "select",
                lineLimit: 4),
            Mistake(
                testDescription: "an unknown log level", arguments: ["--log-level", "loud", "ram/1M"], names: "loud",
                lineLimit: 4),
            Mistake(
                testDescription: "a target name in no form of RFC 7143", arguments: ["--target", "My Disk", "ram/1M"],
                names: "My Disk", lineLimit: 4),
            Mistake(
                testDescription: "a configuration that is not there",
                arguments: ["--config", "/nowhere/martlet.yaml"], names: "/nowhere/martlet.yaml", lineLimit: 4),
        ]

        @Test("A mistake is named in a sentence", arguments: mistakes)
        func mistake(_ mistake: Mistake) throws {
            let portal = mistake.arguments.contains("--portal") ? [] : ["--portal", "127.0.0.1:0"]
            let result = try Program.run(
                MartletServer.path, ["serve"] + portal + mistake.arguments, limitSeconds: Self.limitSeconds)
            expectRefusal(result, names: mistake.names, statuses: mistake.statuses, lineLimit: mistake.lineLimit)
        }

        @Test("A size that does not fit the file names both", arguments: ["2M", "512K"])
        func sizeMisfit(size: String) throws {
            let folder = try TemporaryFolder()
            let path = try folder.write([UInt8](repeating: 7, count: 1 << 20), to: "disk.img")
            let result = try serve(["file/\(path),size=\(size)"])
            expectRefusal(result, names: path, statuses: [Self.usage, Self.runTime])
            expectEqual(try folder.read("disk.img"), [UInt8](repeating: 7, count: 1 << 20))
        }

        @Test("A busy port is named")
        func busyPort() throws {
            let server = try MartletServer("ram/1M")
            let result = try Program.run(
                MartletServer.path, ["serve", "--portal", server.url.portal, "ram/1M"],
                limitSeconds: Self.limitSeconds)
            expectRefusal(result, names: server.url.portal, statuses: [Self.runTime])
            try expectServes(server.url)
            try server.stop()
        }

        @Test("A handler that cannot be loaded is named, with the reason", arguments: ["text", "empty", "library"])
        func handler(kind: String) throws {
            let folder = try TemporaryFolder()
            let content =
                switch kind {
                case "text": [UInt8]("not a library".utf8)
                case "library": try [UInt8](Data(contentsOf: URL(fileURLWithPath: MartletServer.path)).prefix(4096))
                default: [UInt8]()
                }
            let path = try folder.write(content, to: "handler_broken.so")
            let result = try serve(["--handler-path", folder.path, "broken/x"])
            #expect(result.error.contains(path), "\(result.summary)")
            expectRefusal(result, names: "broken", statuses: [Self.usage, Self.runTime], lineLimit: 3)

            let list = try Program.run(MartletServer.path, ["handlers", "--handler-path", folder.path])
            #expect(list.succeeded, "\(list.summary)")
            #expect(list.output.contains(path), "refused, but listed: \(list.summary)")
            for subtype in ["ram", "file"] { #expect(list.output.contains(subtype)) }
        }

        @Test("A broken handler in the search path does not keep good ones from serving")
        func goodBesideBroken() throws {
            let folder = try TemporaryFolder()
            try folder.write([UInt8]("not a library".utf8), to: "handler_broken.so")
            let server = try MartletServer("ram/1M", options: ["--handler-path", folder.path])
            try expectServes(server.url)
            try server.stop()
        }

        private func serve(_ arguments: [String]) throws -> Program.Result {
            try Program.run(
                MartletServer.path, ["serve", "--portal", "127.0.0.1:0"] + arguments, limitSeconds: Self.limitSeconds)
        }

        private func expectRefusal(
            _ result: Program.Result, names: String, statuses: [Int32], lineLimit: Int = 1,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let isExpected = statuses.contains { result.ending == .exit($0) }
            #expect(isExpected, "wanted one of \(statuses): \(result.summary)", sourceLocation: sourceLocation)
            #expect(result.output.isEmpty, "\(result.summary)", sourceLocation: sourceLocation)
            #expect(result.error.contains(names), "\(result.summary)", sourceLocation: sourceLocation)
            let lines = result.error.split(separator: "\n")
            #expect((1...lineLimit).contains(lines.count), "\(result.summary)", sourceLocation: sourceLocation)
        }
    }
}
