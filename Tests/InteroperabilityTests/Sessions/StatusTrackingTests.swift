// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Nothing counts as acknowledged before the initiator says so: a Response Fence (RFC 7143 4.2.2.3.3) waits for it,
    /// and a status can be asked for again until then.
    @Suite("Sessions: what the initiator has acknowledged", .needsSeveralConnections)
    struct StatusTrackingTests {
        /// What came, as the filters of two connections saw it.
        private final class Seen {
            var pingsOfFirst = 0
            var managementResponses = 0
        }

        private func watch(_ session: InitiatorSession) -> Seen {
            let seen = Seen()
            session.connection(0)?.receiveFilter = { pdu in
                if pdu.opcode == WirePDU.Opcode.nopIn, pdu.initiatorTaskTag == WirePDU.noTag { seen.pingsOfFirst += 1 }
                return .take
            }
            session.connection(1)?.receiveFilter = { pdu in
                if pdu.opcode == WirePDU.Opcode.taskManagementResponse { seen.managementResponses += 1 }
                return .take
            }
            return seen
        }

        private func session(_ server: MartletServer, _ level: Int) throws -> InitiatorSession {
            let session = try server.url.session {
                $0.maxConnections = 2
                $0.errorRecoveryLevel = level
                $0.time2WaitSeconds = 0
            }
            try #require(session.negotiated.errorRecoveryLevel == level)
            session.asksAgain = false
            return session
        }

        @Test(
            "A response that was sent before a second connection came is waited for by a fence as any other",
            arguments: [0, 1, 2])
        func fence(level: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level)
            for _ in 0..<3 { #expect(try session.perform(.testUnitReady).isGood) }
            try session.addConnection(cid: 1)
            session.options.answersPings = false
            let seen = watch(session)
            // The last of the three was received, and no PDU since then has told the target.
            let tag = try session.start(session.managementRequest(.abortTaskSet), on: 1)
            try session.pump(awaiting: "the target's question", alive: nil) {
                seen.pingsOfFirst > 0 || seen.managementResponses > 0
            }
            #expect(seen.pingsOfFirst == 1 && seen.managementResponses == 0)
            #expect(try session.ping([1], on: 1) == [1], "other answers do not wait")
            #expect(seen.managementResponses == 0)
            try session.acknowledge(on: 0)
            #expect(try session.answer(to: tag, awaiting: "the response").header[2] == 0)
            try session.ping(on: 1)
            session.options.answersPings = true
            try session.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test("A connection with nothing to acknowledge is not asked", arguments: [0, 1, 2])
        func nothingSent(level: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level)
            try session.addConnection(cid: 1)
            try session.acknowledge(on: 0)
            try session.ping(on: 1)
            let seen = watch(session)
            #expect(try session.manage(.abortTaskSet, on: 1) == 0)
            try session.ping(on: 0)
            #expect(seen.pingsOfFirst == 0 && seen.managementResponses == 1)
            try server.stop()
        }

        @Test(
            "The first status after a login can be asked for again, on the first connection and on one that joined",
            .needsRecovery, arguments: [(1, 0), (1, 1), (2, 0), (2, 1)])
        func firstStatus(level: Int, cid: UInt16) throws {
            let server = try MartletServer("ram/1M")
            // The very first response of a session: not even its unit attention is taken before.
            let session = try InitiatorSession.login(
                server.url.address,
                server.url.options {
                    $0.maxConnections = 2
                    $0.errorRecoveryLevel = level
                    $0.time2WaitSeconds = 0
                })
            session.asksAgain = false
            if cid == 1 { try session.addConnection(cid: 1) }
            let connection = try #require(session.connection(cid))
            let first = connection.expStatSN
            var lost: [UInt32] = []
            connection.receiveFilter = { pdu in
                guard pdu.opcode == WirePDU.Opcode.scsiResponse, lost.isEmpty else { return .take }
                lost.append(pdu.statSN)
                return .lose
            }
            let task = try session.submit(.testUnitReady, on: cid)
            try session.pump(awaiting: "a response", alive: nil) { !lost.isEmpty }
            #expect(lost == [first])
            // A connection that comes meanwhile changes nothing of that.
            if cid == 0 { try session.addConnection(cid: 1) }
            #expect(try session.ping([2], on: cid) == [2])
            #expect(!task.isEnded && connection.expStatSN == first)
            try session.snack(.status, begRun: first, runLength: 1, on: cid)
            _ = try session.wait(for: task)
            #expect(connection.expStatSN == first &+ 2)
            #expect(session.rejects.isEmpty)
            try session.becomeReady()
            try session.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }
    }
}
