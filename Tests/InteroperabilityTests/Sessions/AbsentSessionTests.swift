// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Changes of the configuration while a session of error recovery level 2 has no connection: its tasks wait, and so
    /// does the session, but not with what it may not have any more.
    @Suite("Sessions: live changes without a connection", .needsRecovery)
    struct AbsentSessionTests {
        private static let target = Interoperability.AccessTests.target
        private static let alice = Interoperability.AccessTests.alice
        private static let bob = Interoperability.AccessTests.bob
        /// UNIT ATTENTION, REPORTED LUNS DATA HAS CHANGED
        private static let lunsChanged = 0x63F0E
        /// UNIT ATTENTION, MODE PARAMETERS CHANGED
        private static let modeChanged = 0x62A01
        /// The time that the session waits for a connection is far longer.
        private static let soonSeconds = 8.0

        private static func configuration(alice rule: String = "luns: {0: d0, 1: d1}", devices: String = "") -> String {
            """
            portals: [{listen: "127.0.0.1:0"}]
            devices: {d0: {backstore: ram/4M}, d2: {backstore: ram/2M}\(devices)}
            targets:
              \(target):
                luns: {0: d0}
                initiators:
                  - {name: "\(alice)", \(rule)}
                  - {name: "\(bob)", luns: {0: d2}}

            """
        }

        private static let whole = configuration(devices: ", d1: {backstore: ram/8M}")

        private func options(_ server: AccessServer, _ name: String) -> SessionOptions {
            server.url(Self.target, 0).options {
                $0.initiatorName = name
                $0.errorRecoveryLevel = 2
                $0.maxConnections = 2
                $0.time2WaitSeconds = 0
                $0.time2RetainSeconds = 20
            }
        }

        private func logIn(_ server: AccessServer, _ name: String) throws -> InitiatorSession {
            let session = try InitiatorSession.login(server.url.address, options(server, name))
            try session.becomeReady()
            try #require(session.negotiated.errorRecoveryLevel == 2)
            return session
        }

        /// Alice, whose connections have gone, one answer unacknowledged, and the server knows it.
        private func absentAlice(_ server: AccessServer) throws -> InitiatorSession {
            let session = try logIn(server, Self.alice)
            try session.addConnection(cid: 1)
            var second = InitiatorCommand.testUnitReady
            second.lun = 1
            for _ in 0..<8 where try session.perform(second, on: 0).isGood { break }
            #expect(try session.perform(.read(lba: 0, blockCount: 8), on: 1).isGood)
            for cid: UInt16 in [1, 0] { session.cut(cid) }
            try server.martlet.waitForLog(" closed: ", count: 2)
            return session
        }

        /// LUNs below 256 that REPORT LUNS tells of.
        private func reportedLUNs(_ session: InitiatorSession) throws -> [UInt8] {
            let outcome = try session.perform(
                InitiatorCommand([0xA0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0], readingByteCount: 512))
            #expect(outcome.isGood)
            return stride(from: 9, to: outcome.data.count, by: 8).map { outcome.data[$0] }.sorted()
        }

        struct Change {
            let verb: String
            let words: [String]
            /// What REPORT LUNS tells then.
            let luns: [UInt8]
            /// Sense of the unit attention, and the LUN that has it.
            let attention: Int
            let lun: Int
        }

        private static let changes = [
            Change(verb: "add", words: ["5", "d2"], luns: [0, 1, 5], attention: lunsChanged, lun: 0),
            Change(verb: "remove", words: ["1"], luns: [0], attention: lunsChanged, lun: 0),
            Change(verb: "set", words: ["1", "--readonly"], luns: [0, 1], attention: modeChanged, lun: 1),
        ]

        @Test(
            "A session that is back after its LUNs changed finds them as they are, with the unit attention",
            arguments: changes.indices)
        func changed(index: Int) throws {
            let change = Self.changes[index]
            let server = try AccessServer(Self.whole, unitCount: 2)
            let bystander = try logIn(server, Self.bob)
            let session = try absentAlice(server)
            let told = try server.demand(
                ["lun", change.verb, Self.target] + change.words + ["--initiator", Self.alice])
            #expect(told.contains("applied: 1 session(s) see other LUNs, 0 session(s) ended"), "\(told)")
            try session.addConnection(cid: 0)
            var command = InitiatorCommand.testUnitReady
            command.lun = change.lun
            #expect(try session.perform(command, on: 0).senseCode == change.attention)
            #expect(try session.perform(command, on: 0).isGood)
            #expect(try reportedLUNs(session) == change.luns)
            try session.expectData(lba: 0, blockCount: 8)
            #expect(try bystander.perform(.testUnitReady).isGood)
            try server.martlet.stop()
        }

        @Test("A device that only such a session used is closed, whether it comes back or not")
        func deviceGoes() throws {
            let server = try AccessServer(Self.whole, unitCount: 2)
            let session = try absentAlice(server)
            let result = try server.apply(Self.configuration(alice: "luns: {0: d0}"))
            #expect(result.output.contains("1 session(s) see other LUNs, 0 session(s) ended"), "\(result.summary)")
            try server.martlet.waitForLog("the device d1 (ram/8M) is closed", seconds: Self.soonSeconds)
            try session.addConnection(cid: 0)
            #expect(try session.perform(.testUnitReady, on: 0).senseCode == Self.lunsChanged)
            #expect(try reportedLUNs(session) == [0])
            try server.martlet.stop()
        }

        @Test("A session whose initiator may not log in any more is ended, and is not there when it may again")
        func withdrawn() throws {
            let server = try AccessServer(Self.whole, unitCount: 2)
            let bystander = try logIn(server, Self.bob)
            let session = try absentAlice(server)
            let denied = try server.apply(Self.configuration(alice: "deny: yes"))
            #expect(denied.output.contains("0 session(s) see other LUNs, 1 session(s) ended"), "\(denied.summary)")
            let outside = #expect(throws: LoginRefusal.self) { try session.addConnection(cid: 0) }
            #expect(outside?.status == Interoperability.AccessTests.authorizationFailure)
            let granted = try server.apply(Self.whole)
            #expect(granted.output.contains("0 session(s) see other LUNs, 0 session(s) ended"), "\(granted.summary)")
            let stale = #expect(throws: LoginRefusal.self) { try session.addConnection(cid: 0) }
            #expect(stale?.status == 0x020A, "Session does not exist")
            let next = try logIn(server, Self.alice)
            #expect(try reportedLUNs(next) == [0, 1])
            #expect(try bystander.perform(.testUnitReady).isGood)
            try server.martlet.stop()
        }
    }
}
