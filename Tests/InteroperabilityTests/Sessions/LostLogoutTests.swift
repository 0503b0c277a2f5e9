// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// A logout of the whole session that nobody can be told the end of.
    @Suite("Sessions: lost logouts", .needsSeveralConnections)
    struct LostLogoutTests {
        /// The first read hangs, and goes after a time in which all the rest is done.
        private static let unit = "fault:hang=100%,on=read,max=1,release=3s+ram/1M"

        @Test(
            "A logout that closes the session closes all its connections, though its own is lost before the answer",
            arguments: [0, 2])
        func closesAll(level: Int) throws {
            let server = try MartletServer(Self.unit)
            let session = try server.url.session {
                $0.maxConnections = 4
                $0.errorRecoveryLevel = level
                $0.time2WaitSeconds = 0
                $0.time2RetainSeconds = 20
            }
            session.asksAgain = false
            for cid: UInt16 in [1, 2, 3] { try session.addConnection(cid: cid) }
            // The logout must wait for this command.
            let hung = try session.submit(.read(lba: 0, blockCount: 8), on: 1)
            try session.ping(on: 1)
            let logout = WirePDU(opcode: WirePDU.Opcode.logoutRequest | WirePDU.immediate, flags: WirePDU.final)
            _ = try session.start(logout, on: 0)
            try expectNoAnswer(session, on: 2)
            session.cut(0)
            #expect(try session.take(seconds: 10) { session.liveCIDs.isEmpty }, "\(session.liveCIDs) are open still")
            #expect(!hung.isEnded)
            let refusal = #expect(throws: LoginRefusal.self) { try session.addConnection(cid: 0) }
            #expect(refusal?.status == 0x020A, "Session does not exist")
            let next = try server.url.session()
            try next.expectData(lba: 0, blockCount: 8)
            try server.stop()
            #expect(!server.standardError.contains("although commands"), "\(server.standardError)")
        }

        /// Requests of a session that is being logged out are not taken: from then on the logout is under way.
        private func expectNoAnswer(_ session: InitiatorSession, on cid: UInt16) throws {
            var answerCount = 0
            session.connection(cid)?.receiveFilter = { pdu in
                if pdu.opcode == WirePDU.Opcode.nopIn { answerCount += 1 }
                return .take
            }
            for round in 1...20 {
                var ping = WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate)
                ping.targetTransferTag = WirePDU.noTag
                _ = try session.start(ping, on: cid)
                if try !session.take(seconds: 0.3, until: { answerCount == round }) { return }
            }
            Issue.record("requests are taken although the session is being logged out")
        }
    }
}
