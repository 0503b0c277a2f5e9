// SPDX-License-Identifier: Apache-2.0

import TestInitiator
import Testing

@Suite("Test initiator: login")
struct LoginTests {
    @Test("A login offers its keys, takes the answers, and keeps ISID, CID and CmdSN")
    func plain() throws {
        let target = FakeTarget()
        target.answers = ["MaxConnections": "2", "FirstBurstLength": "4096", "ErrorRecoveryLevel": "1"]
        let session = try target.session {
            $0.cid = 9
            $0.isid = 0x8000_0000_0042
            $0.firstCmdSN = 0xFFFF_FFFF
            $0.errorRecoveryLevel = 2
            $0.headerDigest = "CRC32C,None"
        }
        let request = target.logins[0]
        #expect(request[20] >> 16 == 9 && request.cmdSN == 0xFFFF_FFFF)
        #expect(request.header[8..<14].elementsEqual([0x80, 0, 0, 0, 0, 0x42]))
        #expect(session.tsih == FakeTarget.tsih && session.leading == 9)
        #expect(session.negotiated.maxConnections == 2 && session.negotiated.firstBurstLength == 4096)
        #expect(session.negotiated.errorRecoveryLevel == 1 && session.negotiated.headerDigest)
        #expect(session.negotiated.targetMaxRecvDataSegmentLength == 1024)
    }

    @Test("A long text goes out in pieces with the C bit, none of which asks for the next stage")
    func pieces() throws {
        let target = FakeTarget()
        _ = try target.session { $0.textPieceByteCount = 40 }
        #expect(target.logins.count > 5)
        for request in target.logins.dropLast() { #expect(request.flags & 0xC0 == 0x40 && request.data.count == 40) }
        #expect(target.logins.last?.flags == 0x87)
    }

    @Test("A text of the target's in pieces is asked for by empty requests")
    func piecesOfTheTarget() throws {
        let target = FakeTarget()
        target.answerPieceByteCount = 100
        let session = try target.session()
        #expect(target.logins.count >= 3)
        #expect(target.logins.dropFirst().allSatisfy { $0.data.isEmpty })
        // Who asks for more does not ask for the next stage; the end of the text is behind it.
        #expect(target.logins[1].flags == 0x04 && target.logins.last?.flags == 0x87)
        #expect(session.negotiated.maxBurstLength == 262_144)
    }

    @Test("A connection that joins speaks of itself alone, with the session's TSIH and CmdSN")
    func joining() throws {
        let target = FakeTarget()
        target.script = { target, index, pdu in target.response(to: pdu, on: index) }
        let session = try target.session()
        _ = try session.perform(.testUnitReady)
        try session.addConnection(cid: 5)
        let request = target.logins[1]
        let text = String(decoding: request.data, as: UTF8.self)
        #expect(request[12] & 0xFFFF == UInt32(FakeTarget.tsih) && request[20] >> 16 == 5 && request.cmdSN == 2)
        #expect(!text.contains("MaxConnections") && !text.contains("InitialR2T") && !text.contains("SessionType"))
        #expect(text.contains("HeaderDigest"))
        #expect(session.liveCIDs == [0, 5])
    }

    @Test("A refusal is told with its status, a redirection with its addresses")
    func refusals() throws {
        let target = FakeTarget()
        target.changeLogin = { response in
            response.header[36] = 1
            response.header[37] = 2
            response.data = .text([("TargetAddress", "[2001:db8::1]:3261,4")])
        }
        let refusal = #expect(throws: LoginRefusal.self) { _ = try target.session() }
        #expect(refusal?.status == 0x0102 && refusal?.addresses == ["[2001:db8::1]:3261,4"])
        #expect(Portal(targetAddress: "[2001:db8::1]:3261,4") == Portal(host: "2001:db8::1", port: 3261))
        #expect(Portal(targetAddress: "192.0.2.1,1") == Portal(host: "192.0.2.1", port: 3260))
    }

    static let faults: [(String, @Sendable (inout WirePDU) -> Void)] = [
        ("TSIH 0 at the end", { $0.header.replaceSubrange(14..<16, with: [0, 0]) }),
        ("another ISID", { $0.header[13] ^= 1 }),
        ("another task tag", { $0.initiatorTaskTag = 7 }),
        ("ExpCmdSN that was not sent", { $0[28] = 5 }),
        ("MaxCmdSN before ExpCmdSN - 1", { $0[32] = $0.expCmdSN &- 2 }),
        ("another stage", { $0.header[1] = 0x86 }),
        ("another PDU", { $0.header[0] = WirePDU.Opcode.textResponse }),
        ("a longer first burst than was offered", { $0.data = .text([("FirstBurstLength", "16000000")]) }),
        ("no answer to InitialR2T=No", { $0.data = [] }),
    ]

    @Test("What a target may not say in a login is found", arguments: faults.indices)
    func fault(index: Int) {
        let target = FakeTarget()
        target.changeLogin = { Self.faults[index].1(&$0) }
        let failure = #expect(throws: InitiatorFailure.self) { _ = try target.session() }
        #expect(failure?.kind == .violation, "\(Self.faults[index].0)")
    }

    @Test("The security stage asks the closure until it has no more to say")
    func authentication() throws {
        let target = FakeTarget()
        var heard = 0
        _ = try target.session {
            $0.beginsWithSecurity = true
            $0.authMethod = "CHAP"
            $0.authenticate = { _ in
                heard += 1
                return heard == 1 ? [("CHAP_A", "5")] : []
            }
        }
        #expect(target.logins.map { $0.flags & 0x0C } == [0, 0, 4])
        #expect(String(decoding: target.logins[1].data, as: UTF8.self) == "CHAP_A=5\0")
    }
}
