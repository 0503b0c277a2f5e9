// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// The end of a server whose sessions keep answers that were never acknowledged (error recovery levels 1 and 2).
    @Suite("Sessions: the server's end", .needsRecovery, .needsOrderlyEnd)
    struct StopTests {
        /// What the server says when it gives commands up that are under way.
        private static let givesUp = "although commands"
        /// The time to log out is 1 second, that for commands under way 5: with the latter it would be more.
        private static let limitSeconds = 4.5

        /// A session whose initiator acknowledges nothing from here on: many answers wait in the server for that.
        private func session(
            _ server: MartletServer, level: Int, connectionCount: Int
        ) throws -> InitiatorSession {
            let session = try server.url.session {
                $0.errorRecoveryLevel = level
                $0.maxConnections = connectionCount
                $0.time2WaitSeconds = 0
                $0.time2RetainSeconds = 20
            }
            try #require(session.negotiated.errorRecoveryLevel == level)
            session.asksAgain = false
            for cid in 1..<UInt16(connectionCount) { try session.addConnection(cid: cid) }
            for cid in session.liveCIDs { _ = Withheld(session, cid) }
            var tasks: [InitiatorTask] = []
            for index in 0..<UInt64(8 * connectionCount) {
                let bytes = InitiatorSession.pattern(lba: index * 8, blockCount: 8)
                let cid = UInt16(Int(index) % connectionCount)
                tasks.append(try session.submit(.write(lba: index * 8, bytes), on: cid))
                tasks.append(try session.submit(.read(lba: index * 8, blockCount: 8), on: cid))
            }
            #expect(try session.wait(for: tasks).allSatisfy(\.isGood))
            return session
        }

        /// AsyncEvent of an Asynchronous Message (RFC 7143 11.9.1).
        private func event(_ message: WirePDU) -> UInt32 { message[36] >> 24 }

        private func expectEnd(
            _ server: MartletServer, within seconds: Double = limitSeconds,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let begin = ContinuousClock.now
            #expect(try server.waitForEnd(limitSeconds: 20) == .exit(0), sourceLocation: sourceLocation)
            let time = ContinuousClock.now - begin
            #expect(time < .seconds(seconds), sourceLocation: sourceLocation)
            let log = server.standardError
            #expect(!log.contains(Self.givesUp) && !log.contains(" error "), "\(log)", sourceLocation: sourceLocation)
        }

        @Test(
            "Answers that nobody acknowledged keep no server: it asks for a logout, and ends in time without one",
            arguments: [1, 2], [1, 4])
        func unacknowledged(level: Int, connectionCount: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level: level, connectionCount: connectionCount)
            server.send(SIGTERM)
            try session.pump(awaiting: "requests to log out", alive: nil) {
                session.asyncMessages.count >= connectionCount
            }
            // Event 1 on each connection: all of them are to be logged out, within Parameter3 seconds.
            #expect(session.asyncMessages.count == connectionCount)
            #expect(session.asyncMessages.allSatisfy { event($0) == 1 && $0[40] & 0xFFFF > 0 })
            try expectEnd(server)
        }

        @Test(
            "Nor do answers of a connection that was lost, kept for a reassignment that does not come",
            arguments: [1, 2])
        func lostConnection(lostCount: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level: 2, connectionCount: 2)
            for cid in [1, 0].prefix(lostCount) as ArraySlice<UInt16> { session.cut(cid) }
            try server.waitForLog(" closed: ", count: lostCount)
            server.send(SIGTERM)
            try expectEnd(server)
        }

        @Test("Nor do those of an initiator that goes, without a logout, when it is asked for one", arguments: [1, 2])
        func goes(level: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level: level, connectionCount: 2)
            server.send(SIGTERM)
            try session.pump(awaiting: "requests to log out", alive: nil) { session.asyncMessages.count >= 2 }
            for cid: UInt16 in [1, 0] { session.cut(cid) }
            try expectEnd(server)
        }

        @Test(
            "An initiator that does log out is answered, whatever it has not acknowledged", arguments: [1, 2], [1, 4])
        func logsOut(level: Int, connectionCount: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level: level, connectionCount: connectionCount)
            server.send(SIGTERM)
            try session.pump(awaiting: "requests to log out", alive: nil) { !session.asyncMessages.isEmpty }
            #expect(try session.logout().response == 0)
            try expectEnd(server)
        }
    }
}
