// SPDX-License-Identifier: Apache-2.0

import TestInitiator
import Testing

/// Error recovery level 1: what the initiator asks for again, and what it makes of it.
@Suite("Test initiator: SNACK")
struct SNACKTests {
    private func session(_ target: FakeTarget) throws -> InitiatorSession {
        try target.session {
            $0.errorRecoveryLevel = 1
            $0.maxRecvDataSegmentLength = 512
        }
    }

    /// Sends the Data-Ins of a READ of 4 blocks whose numbers are in `numbers`; the last one has the status, `statSN`.
    private static func sendData(
        _ target: FakeTarget, _ index: Int, _ request: WirePDU, _ numbers: some Sequence<Int>, statSN: UInt32? = nil
    ) {
        for number in numbers {
            target.dataIn(
                request, on: index, dataSN: UInt32(number), offset: number * 512, byteCount: 512, hasStatus: number == 3
            ) { if number == 3, let statSN { $0.statSN = statSN } }
        }
    }

    @Test("Data-In whose data digest is wrong is asked for by its DataSN, whichever it is", arguments: 0..<4)
    func damagedData(number: Int) throws {
        let target = FakeTarget()
        target.script = { target, index, pdu in
            switch pdu.opcode {
            case WirePDU.Opcode.scsiCommand: Self.sendData(target, index, pdu, 0..<4)
            default: Self.sendData(target, index, pdu, [Int(pdu[40])], statSN: target.connections[0].statSN - 1)
            }
        }
        let session = try session(target)
        var isDamaged = false
        session.connection(0)?.receiveFilter = { pdu in
            guard pdu.opcode == WirePDU.Opcode.dataIn, pdu.dataSN == UInt32(number), !isDamaged else { return .take }
            isDamaged = true
            return .damage
        }
        let outcome = try session.perform(.read(lba: 0, blockCount: 4))
        #expect(outcome.isGood && outcome.data == FakeTarget.content(0, 2048))
        let asked = target.requests(WirePDU.Opcode.snack)
        #expect(asked.count == 1)
        #expect(asked.first?.flags == 0x80 && asked.first?[40] == UInt32(number) && asked.first?[44] == 1)
        #expect(asked.first?.targetTransferTag == WirePDU.noTag)
    }

    @Test("A run of lost Data-Ins is asked for once, by its first DataSN and its length")
    func lostRun() throws {
        let target = FakeTarget()
        target.script = { target, index, pdu in
            switch pdu.opcode {
            case WirePDU.Opcode.scsiCommand: Self.sendData(target, index, pdu, [0, 3])
            default: Self.sendData(target, index, pdu, Int(pdu[40])..<Int(pdu[40] + pdu[44]))
            }
        }
        let session = try session(target)
        let outcome = try session.perform(.read(lba: 0, blockCount: 4))
        #expect(outcome.isGood && outcome.data == FakeTarget.content(0, 2048))
        let asked = target.requests(WirePDU.Opcode.snack)
        #expect(asked.count == 1 && asked[0][40] == 1 && asked[0][44] == 2)
    }

    @Test("A lost status is asked for when a later one comes, and ExpStatSN waits for it")
    func lostStatus() throws {
        let target = FakeTarget()
        nonisolated(unsafe) var lost: WirePDU?
        target.script = { target, index, pdu in
            switch pdu.opcode {
            case WirePDU.Opcode.scsiCommand where lost == nil:
                lost = pdu
                target.connections[0].statSN += 1
            case WirePDU.Opcode.scsiCommand: target.response(to: pdu, on: index)
            default:
                #expect(pdu.expStatSN == pdu[40])
                target.response(to: lost!, on: index) { $0.statSN = pdu[40] }
                target.connections[0].statSN -= 1
            }
        }
        let session = try session(target)
        session.options.quietMilliseconds = 10_000
        let tasks = try (0..<2).map { _ in try session.submit(.testUnitReady) }
        #expect(try session.wait(for: tasks).allSatisfy(\.isGood))
        let asked = target.requests(WirePDU.Opcode.snack)
        #expect(asked.count == 1 && asked[0].flags == 0x81 && asked[0][44] == 1)
        #expect(asked[0].initiatorTaskTag == WirePDU.noTag && asked[0].targetTransferTag == WirePDU.noTag)
        #expect(session.connection(0)?.expStatSN == target.connections[0].statSN)
    }

    @Test("A status is not acknowledged while data of its command are missing")
    func statusBeforeData() throws {
        let target = FakeTarget()
        target.script = { target, index, pdu in
            switch pdu.opcode {
            case WirePDU.Opcode.scsiCommand:
                target.dataIn(pdu, on: index, dataSN: 0, offset: 0, byteCount: 512)
                target.response(to: pdu, on: index, expDataSN: 2)
            case WirePDU.Opcode.snack:
                #expect(pdu.expStatSN == target.connections[0].statSN - 1)
                target.dataIn(pdu, on: index, dataSN: 1, offset: 512, byteCount: 512, isFinal: true)
            default: break
            }
        }
        let session = try session(target)
        let outcome = try session.perform(.read(lba: 0, blockCount: 2))
        #expect(outcome.data == FakeTarget.content(0, 1024))
        #expect(session.connection(0)?.expStatSN == target.connections[0].statSN)
    }

    @Test("A lost R2T is asked for after a while; that a target had nothing more to send is no fault")
    func lostR2T() throws {
        let target = FakeTarget()
        target.script = { target, index, pdu in
            switch pdu.opcode {
            case WirePDU.Opcode.snack where pdu.flags == 0x80:
                target.r2t(pdu, on: index, number: 0, offset: 0, byteCount: 512) { $0.lun = 0 }
            case WirePDU.Opcode.snack: target.reject(pdu, on: index, reason: 4)
            case WirePDU.Opcode.dataOut: target.response(to: pdu, on: index)
            default: break
            }
        }
        let session = try session(target)
        let write = InitiatorCommand.write(lba: 0, [UInt8](repeating: 7, count: 512)).sending(.nothing)
        #expect(try session.perform(write).isGood)
        #expect(session.rejects.isEmpty)
        #expect(target.requests(WirePDU.Opcode.dataOut).map(\.data) == [[UInt8](repeating: 7, count: 512)])
    }

    @Test("DataACK goes out when it is asked for, but not before the holes are filled")
    func acknowledgement() throws {
        let target = FakeTarget()
        target.script = { target, index, pdu in
            switch (pdu.opcode, pdu.flags) {
            case (WirePDU.Opcode.scsiCommand, _):
                target.dataIn(pdu, on: index, dataSN: 1, offset: 512, byteCount: 512, isFinal: true) {
                    $0.header[1] |= 0x40
                    $0.targetTransferTag = 0x99
                }
            case (_, 0x80): Self.sendData(target, index, pdu, [0])
            default: Self.sendData(target, index, target.requests[0].pdu, [2, 3])
            }
        }
        let session = try session(target)
        let outcome = try session.perform(.read(lba: 0, blockCount: 4))
        #expect(outcome.data == FakeTarget.content(0, 2048))
        let asked = target.requests(WirePDU.Opcode.snack)
        #expect(asked.map(\.flags) == [0x80, 0x82])
        #expect(asked[1].initiatorTaskTag == WirePDU.noTag && asked[1].targetTransferTag == 0x99)
        #expect(asked[1][40] == 2 && asked[1][44] == 0)
    }

    @Test("After an R-Data SNACK only a response with its tag ends the command")
    func resegmentation() throws {
        let target = FakeTarget()
        target.script = { target, index, pdu in
            guard pdu.opcode == WirePDU.Opcode.snack else { return }
            for number in 0..<8 {
                target.dataIn(
                    pdu, on: index, dataSN: UInt32(number), offset: number * 256, byteCount: 256, isFinal: number == 7)
            }
            target.response(to: pdu, on: index, expDataSN: 4)
            target.response(to: pdu, on: index, expDataSN: 8) { $0.targetTransferTag = pdu.targetTransferTag }
        }
        let session = try session(target)
        session.options.quietMilliseconds = 10_000
        let task = try session.submit(.read(lba: 0, blockCount: 4))
        try session.askForResegmentedData(task)
        #expect(try session.wait(for: task).data == FakeTarget.content(0, 2048))
        let asked = target.requests(WirePDU.Opcode.snack)[0]
        #expect(asked.flags == 0x83 && asked[40] == 0 && asked[44] == 0 && asked.targetTransferTag != WirePDU.noTag)
    }

    @Test("A command that is rejected for its digest is sent again with its CmdSN and tag")
    func rejectedCommand() throws {
        let target = FakeTarget()
        target.script = { target, index, pdu in
            if target.requests.count == 1 {
                target.expCmdSN -= 1
                target.reject(pdu, on: index, reason: 2)
            } else {
                target.response(to: pdu, on: index)
            }
        }
        let session = try session(target)
        #expect(try session.perform(.write(lba: 0, [UInt8](repeating: 7, count: 512))).isGood)
        let sent = target.requests(WirePDU.Opcode.scsiCommand)
        #expect(sent.count == 2 && sent[0].cmdSN == sent[1].cmdSN)
        #expect(sent[0].initiatorTaskTag == sent[1].initiatorTaskTag && sent[0].data == sent[1].data)
        #expect(session.rejects.map(\.reason) == [2])
    }

    @Test("A recovery R2T has its data sent again; a level without recovery would call it a fault")
    func recoveryR2T() throws {
        for level in [1, 0] {
            let target = FakeTarget()
            target.script = { target, index, pdu in
                switch pdu.opcode {
                case WirePDU.Opcode.scsiCommand: target.r2t(pdu, on: index, number: 0, offset: 0, byteCount: 2048)
                case WirePDU.Opcode.dataOut where pdu.targetTransferTag == 0x55:
                    guard pdu.bufferOffset == 1024 else { return }
                    target.reject(pdu, on: index, reason: 2)
                    target.r2t(pdu, on: index, number: 1, offset: 1024, byteCount: 1024, tag: 0x56)
                default: target.response(to: pdu, on: index)
                }
            }
            let session = try target.session { $0.errorRecoveryLevel = level }
            let write = InitiatorCommand.write(lba: 0, FakeTarget.content(0, 2048)).sending(.nothing)
            if level == 0 {
                let failure = #expect(throws: InitiatorFailure.self) { _ = try session.perform(write) }
                #expect(failure?.kind == .violation)
            } else {
                #expect(try session.perform(write).isGood)
                let again = target.requests(WirePDU.Opcode.dataOut).filter { $0.targetTransferTag == 0x56 }
                #expect(again.map(\.bufferOffset) == [1024] && again.map(\.dataSN) == [0])
            }
        }
    }
}
