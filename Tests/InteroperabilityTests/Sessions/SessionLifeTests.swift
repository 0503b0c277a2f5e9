// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// The life of sessions: texts in pieces, discovery, retention, an orderly end.
    @Suite("Sessions: life")
    struct SessionLifeTests {
        @Test("A login in pieces of any size, through both stages, is a login", arguments: [1, 7, 64, 8192])
        func pieces(byteCount: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try server.url.session {
                // A login takes so many requests and no more.
                $0.textPieceByteCount = max(byteCount, 8)
                $0.beginsWithSecurity = byteCount % 2 == 1
                $0.omittedKeys = ["DefaultTime2Wait", "DefaultTime2Retain", "DataPDUInOrder", "DataSequenceInOrder"]
            }
            try session.expectData(lba: 0, blockCount: 8)
            try session.logout()
            try server.stop()
        }

        @Test("Keys that nobody knows are answered with NotUnderstood, and more of them than one PDU holds in pieces")
        func unknownKeys() throws {
            let server = try MartletServer("ram/1M")
            let keys = (0..<200).map { ("X-org.example.key-with-a-long-name-\($0)", "1") }
            let session = try server.url.session { $0.furtherKeys = keys.map { (key: $0.0, value: $0.1) } }
            let answers = session.loginKeys.filter { $0.key.hasPrefix("X-") }
            #expect(answers.count == 200 && answers.allSatisfy { $0.value == "NotUnderstood" })
            try server.stop()
        }

        @Test(
            "A discovery session hears of every target and address, asked in one piece or in many",
            arguments: [8192, 5])
        func discovery(pieceByteCount: Int) throws {
            let server = try MartletServer("ram/1M")
            var options = SessionOptions(targetName: nil)
            options.textPieceByteCount = 8192
            let session = try InitiatorSession.login(server.url.address, options)
            session.options.textPieceByteCount = pieceByteCount
            let targets = try session.sendTargets()
            #expect(targets.map(\.name) == [server.url.target])
            let address = try #require(targets.first?.addresses.first)
            #expect(Portal(targetAddress: address) == server.url.address)
            #expect(try session.ping([1]) == [1])
            #expect(try session.logout().response == 0)
            try server.stop()
        }

        @Test(
            "A session that failed is there for its time of retention, and no longer", .needsRecovery,
            arguments: [1, 2])
        func retention(failureCount: Int) throws {
            let server = try MartletServer("ram/1M")
            let bystander = try server.url.session { $0.isid = 0x8000_0000_0B0B }
            let session = try server.url.session {
                $0.errorRecoveryLevel = 2
                $0.time2WaitSeconds = 0
                $0.time2RetainSeconds = 1
            }
            try #require(session.negotiated.time2RetainSeconds == 1)
            for _ in 1..<failureCount {
                session.cut(0)
                try session.addConnection(cid: 0)
                try session.expectData(lba: 0, blockCount: 8)
            }
            session.cut(0)
            let negotiated = session.negotiated
            try bystander.drain(
                milliseconds: (negotiated.time2WaitSeconds + negotiated.time2RetainSeconds + 1) * 1000)
            let refusal = #expect(throws: LoginRefusal.self) { try session.addConnection(cid: 0) }
            #expect(refusal?.status == 0x020A, "Session does not exist")
            try server.stop()
        }

        @Test("CmdSN, StatSN and task tags wrap around", arguments: [UInt32.max - 5, 0x7FFF_FFFC])
        func wrap(first: UInt32) throws {
            let server = try MartletServer("ram/1M")
            let session = try server.url.session { $0.firstCmdSN = first }
            for round in 0..<8 { try session.expectData(lba: UInt64(round), blockCount: 4, generation: UInt64(round)) }
            #expect(session.cmdSN &- first > 16)
            try session.logout()
            try server.stop()
        }

        @Test("Commands of every task attribute are done", arguments: InitiatorCommand.Attribute.allCases)
        func attributes(attribute: InitiatorCommand.Attribute) throws {
            let server = try MartletServer("ram/1M")
            let session = try server.url.session()
            let outcome = try session.perform(InitiatorCommand.testUnitReady.with(attribute))
            // ACA needs an auto contingent allegiance, of which there is none.
            #expect(outcome.isGood || attribute == .aca)
            var immediate = InitiatorCommand.read(lba: 0, blockCount: 4)
            immediate.isImmediate = true
            #expect(try session.perform(immediate).isGood)
            try session.expectData(lba: 0, blockCount: 4)
            try server.stop()
        }

        @Test("A server that is to end asks its initiators to log out", .needsOrderlyEnd)
        func orderlyEnd() throws {
            let server = try MartletServer("ram/1M")
            let session = try server.url.session()
            server.send(SIGTERM)
            try session.pump(awaiting: "an Asynchronous Message", alive: nil) { !session.asyncMessages.isEmpty }
            let message = try #require(session.asyncMessages.first)
            // AsyncEvent 1: logout is asked for, within Parameter3 seconds (RFC 7143 11.9.1).
            #expect(message[36] >> 24 == 1 && message[40] & 0xFFFF > 0)
            #expect(message.initiatorTaskTag == WirePDU.noTag)
            #expect(try session.logout().response == 0)
            #expect(try server.waitForEnd(limitSeconds: 10) == .exit(0))
        }
    }
}
