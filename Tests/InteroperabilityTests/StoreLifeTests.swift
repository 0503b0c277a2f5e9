// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability {
    /// What becomes of stores while the configuration of a server changes: each is open once at a time, and closed
    /// before the server ends.
    @Suite("Lives of stores")
    struct StoreLifeTests {
        private static let target = "iqn.2026-11.org.martlet.test:life"

        private static func configuration(
            luns: String = "{0: d0, 1: d1, 2: d2}", devices: String = "d1: {backstore: life/a, size: 1M}"
        ) -> String {
            """
            portals: [{listen: "127.0.0.1:0"}]
            devices:
              d0: {backstore: ram/1M}
              d2: {backstore: life/b, size: 1M}
              \(devices)
            targets:
              \(target): {luns: \(luns)}
            """
        }

        private static let remove = ["lun", "remove", target, "1"]
        private static let add = ["lun", "add", target, "1", "d1"]

        /// A verb that is not waited for.
        private func start(_ verb: [String], _ server: AccessServer, _ folder: TemporaryFolder) throws -> ChildProcess {
            try ChildProcess(
                MartletServer.path, verb + ["--control", server.controlPath], errorPath: folder.file("verb-error"))
        }

        /// It is still at work after a second.
        private func expectGoesOn(_ child: ChildProcess, sourceLocation: SourceLocation = #_sourceLocation) {
            #expect(throws: HarnessError.self, sourceLocation: sourceLocation) { try child.wait(limitSeconds: 1) }
        }

        @Test("A store whose device was taken out is flushed and closed before a clean stop ends")
        func stopWhileLeaving() throws {
            let handler = try LifeHandler()
            let server = try AccessServer(Self.configuration(), unitCount: 3, options: handler.options)
            let release = try handler.hold("flush", of: "a")
            try server.demand(Self.remove)
            try handler.waitForLog("flushes a")
            server.martlet.send(SIGTERM)
            // The stop has come to the devices, and waits for the one that is being flushed.
            try handler.waitForLog("closed b")
            #expect(throws: HarnessError.self) { try server.martlet.waitForEnd(limitSeconds: 1) }
            release()
            #expect(try server.martlet.waitForEnd(limitSeconds: 20) == .exit(0), "\(server.martlet.standardError)")
            #expect(handler.log(of: "a") == ["opens", "open", "flushes", "flushed", "closed"])
            let log = server.martlet.standardError
            #expect(log.contains("the device d1 (life/a) is closed: no target has it any more"), "\(log)")
        }

        @Test("A store that never closes after its device was taken out ends the stop at its limit, and is named")
        func stopAtLimit() throws {
            let handler = try LifeHandler()
            let server = try AccessServer(
                Self.configuration(), unitCount: 3, options: handler.options + ["--stop-limit", "2"])
            _ = try handler.hold("close", of: "a")
            try server.demand(Self.remove)
            try handler.waitForLog("flushed a")
            server.martlet.send(SIGTERM)
            #expect(try server.martlet.waitForEnd(limitSeconds: 20) == .exit(1))
            let log = server.martlet.standardError
            #expect(log.contains("the handler life has not returned from close"), "\(log)")
            #expect(handler.log(of: "b").last == "closed")
        }

        @Test("A device that is taken out and put in again at once is opened when its store is closed")
        func removeAndAdd() throws {
            let handler = try LifeHandler()
            let server = try AccessServer(Self.configuration(), unitCount: 3, options: handler.options)
            let release = try handler.hold("flush", of: "a")
            try server.demand(Self.remove)
            try handler.waitForLog("flushes a")
            let adding = try start(Self.add, server, handler.folder)
            expectGoesOn(adding)
            #expect(handler.log(of: "a") == ["opens", "open", "flushes"])
            release()
            #expect(try adding.wait(limitSeconds: 20) == .exit(0), "\(adding.standardError)")
            try expectServes(server.url(Self.target, 1))
            // And so on, with nothing that holds it up.
            for _ in 0..<10 {
                try server.demand(Self.remove)
                try server.demand(Self.add)
            }
            try server.martlet.stop()
            #expect(!handler.opensTwice && handler.log(of: "a").count { $0 == "closed" } == 12, "\(handler.log)")
        }

        @Test("A store that is not closed in time is not opened again: a sentence says so, and nothing changes")
        func neverClosed() throws {
            let handler = try LifeHandler()
            let devices = "d1: {backstore: life/a, size: 1M}\n  d3: {backstore: life/a, size: 1M}"
            let server = try AccessServer(
                Self.configuration(devices: devices), unitCount: 3, options: handler.options)
            let release = try handler.hold("close", of: "a")
            try server.demand(Self.remove)
            try handler.waitForLog("flushed a")
            // Under its own name, and under another one.
            for device in ["d1", "d3"] {
                let refused = try server.run(["lun", "add", Self.target, "1", device])
                let sentence =
                    "the device \(device) (life/a) cannot be opened: the device d1 (life/a), which was taken out, is not "
                    + "closed after 10 s: its handler life has not returned from close"
                #expect(!refused.succeeded && refused.error.contains(sentence), "\(refused.summary)")
                #expect(refused.error.contains("martlet.yaml:"), "\(refused.summary)")
            }
            #expect(handler.log(of: "a").count { $0 == "opens" } == 1)
            release()
            try handler.waitForLog("closed a")
            try server.demand(["lun", "add", Self.target, "1", "d3"])
            try server.martlet.stop()
            #expect(!handler.opensTwice, "\(handler.log)")
        }

        @Test("A store is not opened under a second name while it is open under the first")
        func renamed() throws {
            let handler = try LifeHandler()
            let server = try AccessServer(Self.configuration(), unitCount: 3, options: handler.options)
            let renamed = Self.configuration(
                luns: "{0: d0, 1: dNew, 2: d2}",
                devices: "dNew: {backstore: \"fault:error=1%,on=write+life/a\", size: 1M}")
            let sentence =
                "martlet.yaml:5: the store life/a of the device dNew is open as the device d1, and is not opened twice: "
                + "keep that name, or take d1 out of all targets by a change of its own before this one"
            for plan in [true, false] {
                let refused = try server.apply(renamed, plan: plan)
                #expect(refused.ending == .exit(2) && refused.error.contains(sentence), "\(refused.summary)")
            }
            #expect(handler.log(of: "a") == ["opens", "open"])
            // By two changes, the second of which waits for the end of the first.
            _ = try server.apply(Self.configuration(luns: "{0: d0, 2: d2}"))
            let applied = try server.apply(renamed)
            #expect(applied.succeeded, "\(applied.summary)")
            // Memory without a name is another store each time.
            let more = try server.apply(
                Self.configuration(luns: "{0: d0, 1: d9, 2: d2}", devices: "d9: {backstore: ram/1M}"))
            #expect(more.succeeded, "\(more.summary)")
            try server.martlet.stop()
            #expect(!handler.opensTwice && handler.log(of: "a").last == "closed", "\(handler.log)")
        }

        @Test(
            "A stop waits for no change that still opens a store: others are flushed, sessions are asked to log out",
            arguments: ["SIGHUP", "apply"], [0, 60])
        func stopWhileOpening(way: String, stopLimit: Int) throws {
            let handler = try LifeHandler()
            let server = try AccessServer(
                Self.configuration(luns: "{0: d0, 1: d1}"),
                unitCount: 2, options: handler.options + ["--stop-limit", "\(stopLimit)"])
            let session = try server.url(Self.target, 1).session()
            _ = try handler.hold("open", of: "b")
            try server.write(Self.configuration())
            var applying: ChildProcess?
            if way == "SIGHUP" {
                server.martlet.send(SIGHUP)
            } else {
                applying = try start(["apply", server.configurationPath], server, handler.folder)
            }
            try handler.waitForLog("opens b")
            // Those that come meanwhile are one more change.
            for _ in 0..<3 { server.martlet.send(SIGHUP) }
            try session.expectData(lba: 0, blockCount: 8)
            server.martlet.send(SIGTERM)
            try session.pump(awaiting: "an Asynchronous Message", alive: nil) { !session.asyncMessages.isEmpty }
            #expect(try session.logout().response == 0)
            let log = server.martlet
            #expect(try log.waitForEnd(limitSeconds: 10) == .exit(0), "\(log.standardError)")
            #expect(handler.log(of: "a") == ["opens", "open", "flushes", "flushed", "closed"])
            #expect(handler.log(of: "b") == ["opens"])
            #expect(log.standardError.contains("the handler life has not returned from open"), "\(log.standardError)")
            if let applying {
                #expect(try applying.wait(limitSeconds: 20) == .exit(1))
                let error = String(decoding: try handler.folder.read("verb-error"), as: UTF8.self)
                #expect(error.contains("the server stops, and gives up a change"), "\(error)")
            }
        }

        @Test("A handler that completes commands of a device that was taken out and closed harms nobody")
        func lateCompletions() throws {
            let handler = try BadHandler("THREADS=0")
            let server = try AccessServer(
                Self.configuration(luns: "{0: d0, 1: d1}", devices: "d1: {backstore: bad/late, size: 1M}"),
                unitCount: 2, options: handler.options)
            for _ in 0..<5 {
                try expectServes(server.url(Self.target, 1))
                try server.demand(Self.remove)
                try server.demand(Self.add)
            }
            try expectServes(server.url(Self.target, 0))
            try server.martlet.stop()
            let log = server.martlet.standardError
            #expect(log.split(separator: "\n").count { $0.contains("completed a command twice") } == 5, "\(log)")
        }

        @Test("What a filter holds back for ever is let go when its device is taken out, and the store is closed")
        func hungInFilter() throws {
            let handler = try LifeHandler()
            let server = try AccessServer(
                Self.configuration(devices: "d1: {backstore: \"fault:hang=100%,on=read+life/a\", size: 1M}"),
                unitCount: 3, options: handler.options)
            let session = try WireSession(server.url(Self.target, 1))
            for lba in 0..<4 as Range<UInt64> { try session.submit(.read16(lba: lba, blockCount: 1)) }
            _ = try session.perform(Command(cdb: CDB.testUnitReady))
            try server.demand(Self.remove)
            try handler.waitForLog("closed a")
            let begin = ContinuousClock.now
            try server.martlet.stop()
            #expect(ContinuousClock.now - begin < .seconds(4))
            #expect(!server.martlet.standardError.contains("although commands"), "\(server.martlet.standardError)")
        }
    }
}
