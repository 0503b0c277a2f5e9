// SPDX-License-Identifier: Apache-2.0

import TestInitiator
import Testing

/// Error recovery level 2: logout for recovery, reinstatement, TASK REASSIGN, retries.
@Suite("Test initiator: connection recovery")
struct ReassignTests {
    private static let logout = WirePDU.Opcode.logoutRequest
    private static let management = WirePDU.Opcode.taskManagementRequest

    /// Answers logouts, task management and what `then` does not take.
    private func target(_ then: @escaping (FakeTarget, Int, WirePDU) -> Void) -> FakeTarget {
        let target = FakeTarget()
        target.script = { target, index, pdu in
            switch pdu.opcode {
            case Self.logout: target.answer(WirePDU.Opcode.logoutResponse, to: pdu, on: index)
            case Self.management: target.answer(WirePDU.Opcode.taskManagementResponse, to: pdu, on: index)
            default: break
            }
            then(target, index, pdu)
        }
        return target
    }

    private func session(_ target: FakeTarget) throws -> InitiatorSession {
        let session = try target.session {
            $0.errorRecoveryLevel = 2
            $0.maxRecvDataSegmentLength = 512
            $0.quietMilliseconds = 10_000
        }
        try session.addConnection(cid: 1)
        return session
    }

    @Test("A read is reassigned with the DataSN that it expects, and goes on from there")
    func read() throws {
        nonisolated(unsafe) var command: WirePDU?
        let target = target { target, index, pdu in
            if pdu.opcode == WirePDU.Opcode.scsiCommand {
                command = pdu
                for number in 0..<2 {
                    target.dataIn(pdu, on: index, dataSN: UInt32(number), offset: number * 512, byteCount: 512)
                }
            } else if pdu.opcode == Self.management {
                for number in 2..<4 {
                    target.dataIn(
                        command!, on: index, dataSN: UInt32(number), offset: number * 512, byteCount: 512,
                        hasStatus: number == 3)
                }
            }
        }
        let session = try session(target)
        let task = try session.submit(.read(lba: 0, blockCount: 4), on: 1)
        try session.pump(awaiting: "two Data-Ins", alive: nil) { task.dataInCount == 2 }
        session.cut(1)
        try session.recover(1, onto: 0)
        #expect(try session.wait(for: task).data == FakeTarget.content(0, 2048))
        let logout = try #require(target.requests(Self.logout).first)
        #expect(logout.flags == 0x82 && logout[20] >> 16 == 1)
        let reassign = try #require(target.requests(Self.management).first)
        #expect(reassign.flags == 0x88 && reassign.header[0] & WirePDU.immediate != 0)
        #expect(reassign[20] == task.initiatorTaskTag && reassign[32] == task.cmdSN && reassign[36] == 2)
    }

    @Test("A write is reassigned, and its R2Ts may begin anew", arguments: [UInt32(0), 1])
    func write(firstNumber: UInt32) throws {
        nonisolated(unsafe) var command: WirePDU?
        let target = target { target, index, pdu in
            switch pdu.opcode {
            case WirePDU.Opcode.scsiCommand:
                command = pdu
                target.r2t(pdu, on: index, number: 0, offset: 0, byteCount: 1024)
            case Self.management:
                target.r2t(command!, on: index, number: firstNumber, offset: 0, byteCount: 2048, tag: 0x60)
            case WirePDU.Opcode.dataOut where pdu.targetTransferTag == 0x60 && pdu.isFinal:
                target.response(to: pdu, on: index)
            default: break
            }
        }
        let session = try session(target)
        let task = try session.submit(.write(lba: 0, FakeTarget.content(0, 2048)).sending(.nothing), on: 1)
        try session.pump(awaiting: "an R2T", alive: nil) { task.r2tCount == 1 }
        session.cut(1, .close)
        try session.recover(1, onto: 0)
        #expect(try session.wait(for: task).isGood)
        let again = target.requests(WirePDU.Opcode.dataOut).filter { $0.targetTransferTag == 0x60 }
        #expect(again.flatMap(\.data) == FakeTarget.content(0, 2048))
        #expect(target.requests(Self.management)[0][36] == 0)
    }

    @Test("A command that never arrived is sent again, not reassigned; one that did is")
    func lostCommand() throws {
        let target = target { target, index, pdu in
            if pdu.opcode == WirePDU.Opcode.scsiCommand && index == 0 { target.response(to: pdu, on: index) }
            if pdu.opcode == Self.management {
                target.response(to: target.requests.first { $0.pdu.initiatorTaskTag == pdu[20] }!.pdu, on: index)
            }
        }
        let session = try session(target)
        let arrived = try session.submit(.testUnitReady, on: 1)
        try session.ping(on: 0, target)
        session.connection(1)?.sendFilter = { _ in .lost }
        let lost = try session.submit(.testUnitReady, on: 1)
        session.cut(1)
        try session.recover(1, onto: 0)
        #expect(try session.wait(for: [arrived, lost]).allSatisfy(\.isGood))
        #expect(target.requests(Self.management).map { $0[20] } == [arrived.initiatorTaskTag])
        let again = target.requests.filter { $0.pdu.initiatorTaskTag == lost.initiatorTaskTag }
        #expect(again.map(\.connection) == [0] && again[0].pdu.cmdSN == lost.cmdSN)
    }

    @Test("The last connection of a session is reinstated with its CID, the TSIH and its ExpStatSN")
    func reinstatement() throws {
        let target = target { target, index, pdu in
            if pdu.opcode == Self.management {
                target.response(to: target.requests[0].pdu, on: index)
            }
        }
        let session = try target.session {
            $0.errorRecoveryLevel = 2
            $0.cid = 4
            $0.quietMilliseconds = 10_000
        }
        let task = try session.submit(.testUnitReady)
        try session.drain(milliseconds: 5)
        let expStatSN = session.connection(4)?.expStatSN
        session.cut(4)
        #expect(session.liveCIDs.isEmpty)
        try session.recover(4, onto: 4)
        #expect(try session.wait(for: task).isGood)
        #expect(target.logins[1][20] >> 16 == 4 && target.logins[1].expStatSN == expStatSN)
        #expect(target.logins[1][12] & 0xFFFF == UInt32(FakeTarget.tsih))
        #expect(target.requests(Self.logout).isEmpty)
    }

    @Test("A reassignment that the target refuses is told")
    func refused() throws {
        let target = FakeTarget()
        target.script = { target, index, pdu in
            switch pdu.opcode {
            case Self.logout: target.answer(WirePDU.Opcode.logoutResponse, to: pdu, on: index)
            case Self.management:
                target.answer(WirePDU.Opcode.taskManagementResponse, to: pdu, on: index) { $0.header[2] = 1 }
            default: break
            }
        }
        let session = try session(target)
        try session.submit(.testUnitReady, on: 1)
        try session.drain(milliseconds: 5)
        _ = try? session.ping(on: 0, target)
        session.cut(1)
        let failure = #expect(throws: InitiatorFailure.self) { try session.recover(1, onto: 0) }
        #expect(failure?.description.contains("TASK REASSIGN") == true)
    }
}

extension InitiatorSession {
    /// Learns the target's ExpCmdSN.
    func ping(on cid: UInt16, _ target: FakeTarget) throws {
        let script = target.script
        target.script = { target, index, pdu in
            if pdu.opcode == WirePDU.Opcode.nopOut { target.answer(WirePDU.Opcode.nopIn, to: pdu, on: index) }
        }
        try ping(on: cid)
        target.script = script
    }
}
