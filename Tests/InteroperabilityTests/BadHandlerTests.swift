// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability {
    /// Handlers that break their contract, each beside a logical unit that must not notice (docs/safety.md).
    @Suite("Bad handlers")
    struct BadHandlerTests {
        static let endSeconds = 20.0

        private func serve(
            _ handler: BadHandler, _ word: String, stopLimit: Int = 60
        ) throws -> MartletServer {
            try MartletServer(
                ["bad/\(word),size=1M", "ram/1M"], options: handler.options + ["--stop-limit", "\(stopLimit)"])
        }

        @Test(
            "A handler that exits, crashes or hangs while it starts is left out in one line, and the rest is served",
            arguments: [
                (1, "ended the process of its trial with exit status 7"), (2, "(SIGABRT)"), (3, "(SIGSEGV)"),
                (4, "did not return within 1 s"), (5, "did not return within 1 s"), (7, "(SIGABRT)"),
                (8, "handler_init returned -5"),
            ])
        func start(fault: Int, words: String) throws {
            let handler = try BadHandler("START=\(fault)")
            let server = try MartletServer("ram/1M", options: handler.options + ["--handler-trial", "1"])
            try expectServes(server.url)
            try server.stop()
            let lines = handler.lines(in: server.standardError)
            #expect(lines.count == 1 && lines[0].contains(words) && lines[0].contains("warning"), "\(lines)")
            if fault == 8 { #expect(server.standardError.contains("cannot find its store (in its trial)")) }
        }

        @Test("What asks for such a handler is told that it was refused; martlet handlers says why")
        func asked() throws {
            let handler = try BadHandler("START=1")
            #expect(try refusal(["bad/x,size=1M"] + handler.options).contains("no handler for \"bad\""))
            let listing = try Program.run(MartletServer.path, ["handlers"] + handler.options)
            #expect(listing.succeeded && listing.output.contains("refused: \(handler.path)"), "\(listing.summary)")
            #expect(listing.output.contains("file") && listing.output.contains("ram"))
        }

        @Test("A handler that does not tell its generation is served when the command line or the file vouches for it")
        func trusted() throws {
            let handler = try BadHandler("FAULT=12", source: "broken.c")
            let refused = try refusal(["broken/x,size=1M"] + handler.options)
            #expect(refused.contains("--trust-handler \(handler.path)"))
            let server = try MartletServer(
                "broken/x,size=1M", options: handler.options + ["--trust-handler", handler.path])
            try server.stop()
            let file = try handler.folder.write(
                """
                devices: {one: {backstore: broken/x, size: 1M}}
                targets: {"iqn.2026-11.org.martlet:trust": {luns: {0: one}}}
                trusted-handlers: [\(handler.path)]
                """.utf8, to: "martlet.yaml")
            let configured = try MartletServer(
                ["ram/1M"], options: handler.options + ["--config", file], fileLUNCount: 1)
            try configured.stop()
            try handler.folder.write("trusted-handlers: [/nowhere/handler_x.so]\n".utf8, to: "martlet.yaml")
            #expect(
                try refusal(["--config", file]).contains("martlet.yaml:1: there is no handler /nowhere/handler_x.so"))
            #expect(try refusal(["ram/1M", "--trust-handler", "/nowhere"]).contains("--trust-handler /nowhere"))
        }

        @Test("Without a trial a handler runs in the server at once; one that is shipped has none")
        func noTrial() throws {
            let handler = try BadHandler("START=1")
            let result = try Program.run(
                MartletServer.path, ["handlers", "--handler-trial", "0"] + handler.options)
            #expect(result.ending == .exit(7))
        }

        @Test("A handler that changes signals while it starts changes nothing: SIGTERM stops the server cleanly")
        func signals() throws {
            let handler = try BadHandler("START=6")
            let server = try serve(handler, "well")
            try expectServes(server.urls[0])
            server.send(SIGHUP)
            try server.stop()
        }

        @Test(
            "Statuses of no meaning end with HARDWARE ERROR and one line, and are not GOOD",
            arguments: ["THREADS=1", "THREADS=0"])
        func nonsense(threads: String) throws {
            let handler = try BadHandler(threads)
            let server = try serve(handler, "nonsense")
            let client = try WireSession(server.url)
            for lba in [UInt64(0), 8, 0] {
                let outcome = try client.perform(.read16(lba: lba, blockCount: 8))
                #expect(outcome.sense == .init(key: 0x04, additional: 0x4400))
            }
            try expectServes(server.urls[1])
            try server.stop()
            #expect(count("the handler bad ended a command with the status 12345", in: server.standardError) == 1)
        }

        @Test("Completing twice, and after close, changes nothing and is told once", arguments: ["twice", "late"])
        func completions(word: String) throws {
            let handler = try BadHandler("THREADS=0")
            let server = try serve(handler, word)
            let client = try WireSession(server.url)
            let content = Block.contents(lba: 0, blockCount: 16, generation: 1)
            try client.write(lba: 0, content)
            for _ in 0..<20 { expectEqual(try client.read(lba: 0, blockCount: 16), content) }
            try expectServes(server.urls[1])
            try server.stop()
            #expect(count("the handler bad completed a command twice", in: server.standardError) == 1)
        }

        @Test("A handler that scribbles over its command and its vector harms neither data nor others")
        func scribbles() throws {
            let handler = try BadHandler("THREADS=1")
            let server = try serve(handler, "scribbles")
            let client = try WireSession(server.url)
            for lba in stride(from: UInt64(0), to: 64, by: 16) {
                let content = Block.contents(lba: lba, blockCount: 16, generation: lba + 1)
                try client.write(lba: lba, content)
                expectEqual(try client.read(lba: lba, blockCount: 16), content)
            }
            try expectServes(server.urls[1])
            try server.stop()
        }

        @Test(
            "A command that never ends holds up its unit alone, and the stop only until its limit: then exit 1 and a name",
            arguments: [("never", 0), ("never", 1), ("spins", 1)])
        func never(word: String, threads: Int) throws {
            let handler = try BadHandler("THREADS=\(threads)")
            let server = try serve(handler, word, stopLimit: 2)
            let client = try WireSession(server.url)
            try client.submit(.read16(lba: 0, blockCount: 8))
            for _ in 0..<3 { try expectServes(server.urls[1]) }
            server.send(SIGTERM)
            #expect(try server.waitForEnd(limitSeconds: Self.endSeconds) == .exit(1), "\(server.standardError)")
            let sentence = "LUN 0: the handler bad has not ended 1 command(s)"
            #expect(server.standardError.contains(sentence), "\(server.standardError)")
            #expect(!server.standardError.contains("LUN 1:"), "the other was closed")
        }

        @Test(
            "An abort or a reset of a command that never ends is answered with Function rejected, not with a lie",
            arguments: [UInt8(0x81), 0x82, 0x84, 0x85, 0x86])
        func abort(function: UInt8) throws {
            let handler = try BadHandler("THREADS=0")
            let server = try MartletServer(
                ["bad/never,size=1M", "ram/1M"],
                options: handler.options + ["--stop-limit", "2", "--abort-limit", "1"])
            let client = try WireSession(server.url)
            let command = try client.submit(.read16(lba: 0, blockCount: 8))
            // Before that it could be cancelled.
            try server.waitForLog("keeps a command")
            var request = WirePDU(opcode: WirePDU.Opcode.taskManagementRequest | WirePDU.immediate, flags: function)
            if function == 0x81 {
                request.targetTransferTag = command
                request.header.replaceSubrange(32..<36, with: bigEndian(1, count: 4))
            }
            let answer = try client.ask(request)
            #expect(answer.opcode == 0x22 && answer.header[2] == 255, "\(answer.header)")
            // The session goes on, and so does its neighbour.
            _ = try client.ping([1, 2, 3])
            try expectServes(server.urls[1])
            #expect(server.standardError.contains("is rejected: commands that it concerns have not ended"))
            try server.kill()
        }

        @Test(
            "A last flush or a close that hangs ends with exit 1 at the limit, and the other store is closed",
            arguments: [
                ("flush-hangs", 1, "its last flush"), ("flush-hangs", 0, "its last flush"),
                ("close-hangs", 1, "has not returned from close"),
            ])
        func end(word: String, threads: Int, words: String) throws {
            let handler = try BadHandler("THREADS=\(threads)")
            let server = try serve(handler, word, stopLimit: 2)
            try expectServes(server.urls[0])
            server.send(SIGTERM)
            #expect(try server.waitForEnd(limitSeconds: Self.endSeconds) == .exit(1), "\(server.standardError)")
            #expect(server.standardError.contains("LUN 0: the handler bad") && server.standardError.contains(words))
            #expect(!server.standardError.contains("LUN 1:"))
        }

        @Test(
            "SIGTERM ends a server whose handler hangs in check_config or open",
            arguments: ["check-hangs", "open-hangs"])
        func opening(word: String) throws {
            let handler = try BadHandler("THREADS=1")
            let fifo = handler.folder.file("fifo")
            try #require(mkfifo(fifo, 0o600) == 0)
            let server = try ChildProcess(
                MartletServer.path,
                ["serve", "--portal", "127.0.0.1:0", "--stop-limit", "1", "ram/1M", "bad/\(word) \(fifo),size=1M"]
                    + handler.options, errorPath: handler.folder.file("standard-error"))
            // Opens once the handler is there.
            let inside = try #require(FileHandle(forReadingAtPath: fifo))
            server.send(SIGTERM)
            #expect(try server.wait(limitSeconds: Self.endSeconds) == .exit(1))
            #expect(server.standardError.contains("LUN 1: the handler bad has not returned from open"))
            try inside.close()
        }

        @Test("An open that fails is exit 1, and the handler's private pointer is not touched")
        func openFails() throws {
            let handler = try BadHandler("THREADS=1")
            let result = try Program.run(
                MartletServer.path,
                ["serve", "--portal", "127.0.0.1:0", "ram/1M", "bad/open-fails,size=1M"] + handler.options)
            #expect(result.ending == .exit(1), "\(result.summary)")
            #expect(result.error.contains("LUN 1: the handler could not open \"bad/open-fails\" (it returned -5)"))
        }

        private func count(_ words: String, in log: String) -> Int {
            log.split(separator: "\n").count { $0.contains(words) }
        }

        @Test("A command that its handler keeps beyond the time-out is cancelled, where the handler can do that")
        func overdue() throws {
            let handler = try BadHandler("CANCEL=1", source: "canceller.c")
            let store = "canceller/log=\(handler.folder.file("log"));tcmur_cmd_time_out=1,size=1M"
            let server = try MartletServer(store, options: handler.options)
            let session = try server.url.session()
            let outcome = try session.perform(.read(lba: 0, blockCount: 1))
            // BUSY: the handler ends it with TCMU_STS_TIMEOUT.
            #expect(outcome.status == 0x08, "\(outcome)")
            #expect(server.standardError.contains("1 read command(s) under way for more than 1 s"))
            #expect(String(decoding: try handler.folder.read("log"), as: UTF8.self).contains("read\ncancel\n"))
            try server.stop()
        }
    }
}
