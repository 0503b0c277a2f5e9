// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// What the section `limits` says of sessions: what is offered, how long silence may last, how a stop goes.
    @Suite("Sessions: limits of the configuration")
    struct SessionLimitTests {
        private func server(limits: String) throws -> MartletServer {
            try MartletServer(
                configuration: """
                    portals: [{listen: "127.0.0.1:0"}]
                    devices: {disk0: {backstore: ram/1M}}
                    targets: {"iqn.2026-11.org.martlet:limits": {luns: {0: disk0}}}
                    limits: {\(limits)}
                    """)
        }

        @Test(
            "The initiator gets what it asks for, up to what the configuration offers",
            arguments: [
                ("connections-per-session: 8", 8, 2), ("connections-per-session: 1", 1, 2),
                ("connections-per-session: 2, error-recovery-level: 1", 2, 1), ("error-recovery-level: 0", 8, 0),
            ])
        func offers(limits: String, connectionCount: Int, level: Int) throws {
            let server = try server(limits: limits)
            let session = try server.url.session {
                $0.maxConnections = 9
                $0.errorRecoveryLevel = 2
            }
            #expect(session.negotiated.maxConnections == connectionCount)
            #expect(session.negotiated.errorRecoveryLevel == level)
            for number in 1..<connectionCount { try session.addConnection(cid: UInt16(number)) }
            let refusal = #expect(throws: LoginRefusal.self) {
                try session.addConnection(cid: UInt16(connectionCount))
            }
            #expect(refusal?.status == 0x0206, "Too many connections")
            // What an initiator asks below the limits stays as it is.
            let modest = try server.url.session { $0.isid = 0x8000_0000_0B0B }
            #expect(modest.negotiated.maxConnections == 1 && modest.negotiated.errorRecoveryLevel == 0)
            try modest.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test("A silent initiator is asked, and dropped when it does not answer; one that answers stays")
        func silence() throws {
            let server = try server(limits: "keepalive-interval: 1, keepalive-timeout: 2")
            let alive = try server.url.session()
            try alive.drain(milliseconds: 4500)
            #expect(alive.liveCIDs == [0])
            try alive.expectData(lba: 0, blockCount: 8)
            let silent = try server.url.session {
                $0.isid = 0x8000_0000_0B0B
                $0.answersPings = false
            }
            let start = Date()
            try silent.pump(awaiting: "a NOP-In", alive: nil) { !silent.pings.isEmpty }
            #expect(silent.pings[0].initiatorTaskTag == WirePDU.noTag)
            #expect(silent.pings[0].targetTransferTag != WirePDU.noTag)
            #expect(Date().timeIntervalSince(start) > 0.9)
            try silent.drain(milliseconds: 10_000)
            #expect(silent.liveCIDs.isEmpty && silent.pings.count == 1)
            // The time of the loop's turn is the time of all that happens in it.
            #expect(Date().timeIntervalSince(start) > 2.9)
            #expect(server.standardError.contains("it did not answer a NOP-In"))
            try server.stop()
        }

        @Test("Whatever an initiator sends after a NOP-In is a sign of life")
        func signOfLife() throws {
            let server = try server(limits: "keepalive-interval: 1, keepalive-timeout: 1s")
            let session = try server.url.session { $0.answersPings = false }
            for count in 1...3 {
                try session.pump(awaiting: "a NOP-In", alive: nil) { session.pings.count == count }
                try session.expectData(lba: UInt64(count), blockCount: 1)
            }
            #expect(Set(session.pings.map(\.targetTransferTag)).count == 3)
            try session.logout()
            try server.stop()
        }

        @Test("At a stop initiators have the configured time to log out", .needsOrderlyEnd, arguments: [true, false])
        func logoutWait(logsOut: Bool) throws {
            let server = try server(limits: "logout-wait: 4")
            let session = try server.url.session()
            let start = Date()
            server.send(SIGTERM)
            try session.pump(awaiting: "an Asynchronous Message", alive: nil) { !session.asyncMessages.isEmpty }
            let message = session.asyncMessages[0]
            #expect(message[36] >> 24 == 1 && message[40] & 0xFFFF == 4)
            if logsOut { #expect(try session.logout().response == 0) }
            #expect(try server.waitForEnd(limitSeconds: 15) == .exit(0))
            #expect((Date().timeIntervalSince(start) > 3.9) != logsOut)
        }

        @Test("With no time to log out nobody is asked")
        func noLogoutWait() throws {
            let server = try server(limits: "logout-wait: 0")
            let session = try server.url.session()
            server.send(SIGTERM)
            try session.drain(milliseconds: 10_000)
            #expect(session.liveCIDs.isEmpty && session.asyncMessages.isEmpty)
            #expect(try server.waitForEnd(limitSeconds: 10) == .exit(0))
        }

        @Test("A value that cannot be stops the start with one sentence, its file and line")
        func mistake() throws {
            let folder = try TemporaryFolder()
            let file = try folder.write(
                "devices: {}\nlimits:\n  keepalive-timeout: 0\n".utf8, to: "martlet.yaml")
            let result = try Program.run(MartletServer.path, ["serve", "--config", file])
            #expect(result.ending == .exit(2))
            #expect(
                result.error.contains(
                    "martlet.yaml:3: keepalive-timeout cannot be \"0\": write seconds from 1 to 3600"),
                "\(result.error)")
        }
    }
}
