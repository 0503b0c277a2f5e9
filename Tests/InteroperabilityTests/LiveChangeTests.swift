// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// Changes of a configuration while sessions are at work.
    @Suite("Live changes")
    struct LiveChangeTests {
        private static let target = AccessTests.target
        private static let alice = AccessTests.alice
        private static let bob = AccessTests.bob
        /// REPORTED LUNS DATA HAS CHANGED
        static let lunsChanged = Outcome.Sense(key: 6, additional: 0x3F0E)

        private static func configuration(
            aliceLUNs: String = "{0: d0, 1: d1}", bobLUNs: String = "{0: d2}", more: String = "",
            devices: String = "", portal: String = "127.0.0.1:0"
        ) -> String {
            """
            portals: [{listen: "\(portal)"}]
            devices: {d0: {backstore: ram/4M}, d1: {backstore: ram/8M}, d2: {backstore: ram/4M}\(devices)}
            targets:
              \(target):
                luns: {0: d0}
                initiators:
                  - {name: "\(alice)", luns: \(aliceLUNs)}
                  - {name: "\(bob)", luns: \(bobLUNs)}
            \(more)
            """
        }

        /// Tries commands again that ended with the unit attention for other LUNs, and counts those.
        private final class Attentive: SCSIClient {
            private let initiator: Initiator
            private(set) var attentionCount = 0

            init(_ initiator: Initiator) { self.initiator = initiator }

            func perform(_ commands: [Command]) throws -> [Outcome] {
                try initiator.perform(commands).enumerated().map { index, outcome in
                    var outcome = outcome
                    while outcome.sense == lunsChanged {
                        attentionCount += 1
                        outcome = try initiator.perform(commands[index])
                    }
                    return outcome
                }
            }
        }

        private final class Progress: @unchecked Sendable {  // every access is under the lock
            private let lock = NSLock()
            private var ended = false
            private var steps: [Int: Int] = [:]
            private var attentions = 0

            var isEnded: Bool { lock.withLock { ended } }
            func end() { lock.withLock { ended = true } }
            func step(_ thread: Int) { lock.withLock { steps[thread, default: 0] += 1 } }
            func steps(of thread: Int) -> Int { lock.withLock { steps[thread] ?? 0 } }
            func note(attentions count: Int) { lock.withLock { attentions = count } }
            var attentionCount: Int { lock.withLock { attentions } }
        }

        @Test("Two sessions work on while the LUNs of one change again and again, and the other never hears of it")
        func underLoad() throws {
            let server = try AccessServer(Self.configuration(), unitCount: 2)
            let progress = Progress()
            let rounds = Interoperability.isSoak ? 200 : 15
            nonisolated(unsafe) let asked = server
            try onThreads(3) { thread in
                defer { progress.end() }
                switch thread {
                case 0:
                    let client = Attentive(
                        try Initiator(asked.url(Self.target, 0), .named(Self.alice)))
                    var work = Workload(client, first: 0, blockCount: 4096, seed: Interoperability.seed)
                    while !progress.isEnded {
                        try work.step()
                        progress.step(0)
                    }
                    try work.verifyAll()
                    progress.note(attentions: client.attentionCount)
                case 1:
                    // Any unit attention ends it: `Workload` takes GOOD alone.
                    let client = try Initiator(asked.url(Self.target, 0), .named(Self.bob))
                    var work = Workload(client, first: 0, blockCount: 4096, seed: Interoperability.seed &+ 1)
                    while !progress.isEnded {
                        try work.step()
                        progress.step(1)
                    }
                    try work.verifyAll()
                default:
                    for round in 0..<rounds {
                        let before = (progress.steps(of: 0), progress.steps(of: 1))
                        let place = [Self.target, "\(3 + round % 5)"]
                        let rule = ["--initiator", Self.alice]
                        try asked.demand(["lun", "add"] + place + ["d2", "--readonly"] + rule)
                        try asked.demand(["lun", "set"] + place + ["--no-readonly"] + rule)
                        try asked.demand(["lun", "remove"] + place + rule)
                        // Both have gone on since.
                        let deadline = Date(timeIntervalSinceNow: 20)
                        while !progress.isEnded, progress.steps(of: 0) <= before.0 || progress.steps(of: 1) <= before.1,
                            Date() < deadline
                        { sched_yield() }
                    }
                }
            }
            #expect(progress.attentionCount >= rounds, "\(progress.attentionCount) unit attentions")
            #expect(progress.steps(of: 0) >= rounds && progress.steps(of: 1) >= rounds)
            try server.martlet.stop()
        }

        @Test("apply plans, applies all or nothing, opens and closes devices, and ends sessions that may not stay")
        func apply() throws {
            let server = try AccessServer(Self.configuration(), unitCount: 2)
            let bob = try Initiator(server.url(Self.target, 0), .named(Self.bob))
            let alice = try Initiator(server.url(Self.target, 0), .named(Self.alice))
            let changed = Self.configuration(
                aliceLUNs: "{0: d0, 1: {device: d1, readonly: yes}, 2: d3}", bobLUNs: "{0: d2, 1: d0}",
                more: "  \(Self.target)-new: {luns: {0: d3}}", devices: ", d3: {backstore: ram/2M}")
            let plan = try server.apply(changed, plan: true)
            for words in [
                "+ device d3 (ram/2M) is opened", "+ target \(Self.target)-new",
                "~ target \(Self.target), \(Self.alice): LUN 1 (d1) can only be read",
                "~ target \(Self.target), \(Self.alice): LUN 2 (d3) is added",
                "session of \(Self.alice) to \(Self.target) sees other LUNs", "planned: nothing is changed",
            ] { #expect(plan.output.contains(words), "\(words) is not in \(plan.summary)") }
            #expect(try alice.peripheralByte(ofUnit: 2) == 0x7F)

            let applied = try server.apply(changed)
            #expect(
                applied.output.contains("applied: 2 session(s) see other LUNs, 0 session(s) ended"),
                "\(applied.summary)")
            #expect(try alice.perform(Command(cdb: CDB.testUnitReady)).sense == Self.lunsChanged)
            #expect(try alice.peripheralByte(ofUnit: 2) == 0)
            try Initiator(server.url("\(Self.target)-new", 0)).logout()
            #expect(try server.apply(changed).output == "Nothing changes.\n")

            // Bob goes, d3 and its target go, and Alice hears of her LUN alone.
            let narrowed = Self.configuration(aliceLUNs: "{0: d0}").replacing(
                "- {name: \"\(Self.bob)\", luns: {0: d2}}", with: "- {name: \"\(Self.bob)\", deny: yes}")
            let last = try server.apply(narrowed)
            #expect(
                last.output.contains("- device d3 (ram/2M) is closed when its commands have ended"), "\(last.summary)")
            #expect(last.output.contains("session of \(Self.bob) to \(Self.target) ends: denied by"), "\(last.summary)")
            #expect(last.output.contains("1 session(s) see other LUNs, 1 session(s) ended"), "\(last.summary)")
            #expect(throws: HarnessError.self) { try bob.read(lba: 0, blockCount: 1) }
            #expect(try alice.perform(Command(cdb: CDB.testUnitReady)).sense == Self.lunsChanged)
            _ = try alice.read(lba: 0, blockCount: 8)
            #expect(try AccessTests.login(server.url, as: Self.bob).status == AccessTests.authorizationFailure)
            let gone = server.url("\(Self.target)-new", 0)
            #expect(try AccessTests.login(gone, as: Self.alice).status == AccessTests.notFound)
            try server.martlet.stop()
            #expect(server.martlet.standardError.contains("the device d3 (ram/2M) is closed"))
        }

        @Test("What cannot change while the server runs is refused, and nothing of the rest is done")
        func refusals() throws {
            let server = try AccessServer(Self.configuration(), unitCount: 2)
            let more = "  \(Self.target)-new: {luns: {0: d0}}"
            for (configuration, sentence) in [
                (
                    Self.configuration(more: more, portal: "127.0.0.2:0"),
                    "portals (listen, advertise, tag) cannot change while the server runs"
                ),
                (
                    Self.configuration(more: more).replacing(
                        "d1: {backstore: ram/8M}", with: "d1: {backstore: ram/9M}"),
                    "martlet.yaml:2: the device d1 is open with other attributes"
                ),
                (
                    Self.configuration(more: "  \(Self.target)-new: {luns: {0: d9}}"),
                    "martlet.yaml:9: LUN 0 names the device \"d9\""
                ),
                (
                    Self.configuration(more: more, devices: ", d3: {backstore: \"file//nowhere/x\"}")
                        .replacing("luns: {0: d0}}", with: "luns: {0: d3}}"),
                    "martlet.yaml:2: /nowhere/x does not exist"
                ),
            ] {
                let result = try server.apply(configuration)
                #expect(!result.succeeded && result.error.contains(sentence), "\(sentence): \(result.summary)")
                let url = server.url("\(Self.target)-new", 0)
                #expect(try AccessTests.login(url, as: Self.alice).status == AccessTests.notFound)
            }
            try server.martlet.stop()
        }

        @Test("SIGHUP applies the file again, and a wrong file changes nothing")
        func hangUp() throws {
            let server = try AccessServer(Self.configuration(), unitCount: 2)
            let alice = try Initiator(server.url(Self.target, 0), .named(Self.alice))
            func waitForLog(_ words: String) throws {
                let deadline = Date(timeIntervalSinceNow: 20)
                while !server.martlet.standardError.contains(words) {
                    guard Date() < deadline else { throw HarnessError("no \(words): \(server.martlet.standardError)") }
                    sched_yield()
                }
            }
            try server.write("targets: [")
            server.martlet.send(SIGHUP)
            try waitForLog("SIGHUP: nothing is changed:")
            _ = try alice.read(lba: 0, blockCount: 8)
            try server.write(Self.configuration(aliceLUNs: "{0: d0}"))
            server.martlet.send(SIGHUP)
            try waitForLog("is applied: 2 change(s), 1 session(s) see other LUNs, 0 ended")
            #expect(try alice.perform(Command(cdb: CDB.testUnitReady)).sense == Self.lunsChanged)
            try server.martlet.stop()
        }

        @Test("lun says what cannot be done, and does nothing then")
        func wrongLUNs() throws {
            let server = try AccessServer(Self.configuration(), unitCount: 2)
            for (verb, sentence) in [
                (["resize", Self.target, "0", "8M"], "the handler ram cannot change a store's size"),
                (["resize", Self.target, "0", "2M"], "would cut off data: only larger sizes are set"),
                (["resize", Self.target, "9", "8M"], "there is no LUN 9 there: there are 0"),
                // LUN 0 of Bob is another device than LUN 0 of the target, and LUN 1 is Alice's alone.
                (["resize", Self.target, "0", "1M", "--initiator", Self.bob], "the device d2 has 4194304 bytes"),
                (["resize", Self.target, "1", "1M", "--initiator", Self.alice], "the device d1 has 8388608 bytes"),
                (["resize", Self.target, "0", "1M"], "the device d0 has 4194304 bytes"),
                (["resize", Self.target, "1", "9M", "--initiator", Self.bob], "there is no LUN 1 there: there are 0"),
                (["resize", Self.target, "0", "9M", "--initiator", "x"], "has no rule for \"x\""),
                (["add", Self.target, "0", "d1"], "LUN 0 is d0 already"),
                (["add", "\(Self.target)x", "5", "d1"], "did you mean \(Self.target)?"),
                (["remove", Self.target, "0"], "LUN 0 is the only one"),
                (["set", Self.target, "0"], "Say --device, --readonly or --no-readonly."),
                (["set", Self.target, "16384", "--readonly"], "there is no LUN 16384"),
            ] {
                let result = try server.run(["lun"] + verb)
                #expect(!result.succeeded && result.error.contains(sentence), "\(sentence): \(result.summary)")
            }
            #expect(try server.run(["apply", server.configurationPath]).output == "Nothing changes.\n")
            try server.martlet.stop()
        }

        @Test("A file whose tags do not fit the portals of the command line is refused at the start and by apply")
        func portalsOfTheCommandLine() throws {
            func configuration(_ more: String) -> String {
                """
                portals: [{listen: "127.0.0.1:1", tag: 2}]
                devices: {d0: {backstore: ram/4M}}
                targets:
                  \(Self.target): {luns: {0: d0}}
                  \(Self.target)-new: {luns: {0: d0}\(more)}
                """
            }
            let options = ["--portal", "127.0.0.1:0"]
            let server = try AccessServer(configuration(""), unitCount: 2, options: options)
            for more in [", portals: [2]", ", initiators: [{portals: [2], deny: yes}, {name: \"*\"}]"] {
                let sentence = "martlet.yaml:5: \"2\" is the tag of no portal: those of --portal"
                for isPlan in [true, false] {
                    let result = try server.apply(configuration(more), plan: isPlan)
                    #expect(!result.succeeded && result.error.contains(sentence), "\(result.summary)")
                }
                let started = try Program.run(
                    MartletServer.path, ["serve", "--config", server.configurationPath] + options)
                #expect(started.ending == .exit(2) && started.error.contains(sentence), "\(started.summary)")
            }
            let alice = try Initiator(server.url(Self.target, 0), .named(Self.alice))
            _ = try alice.read(lba: 0, blockCount: 8)
            try server.martlet.stop()
        }
    }
}
