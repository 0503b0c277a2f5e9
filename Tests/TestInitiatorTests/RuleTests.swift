// SPDX-License-Identifier: Apache-2.0

import TestInitiator
import Testing

/// What a target does wrong in the full feature phase, and that the initiator says so.
@Suite("Test initiator: rules")
struct RuleTests {
    typealias Script = @Sendable (FakeTarget, Int, WirePDU) -> Void

    /// Against a READ of 4 blocks in a session with MaxBurstLength 1024.
    static let reads: [(String, Script)] = [
        ("a DataSN that jumps", { $0.dataIn($2, on: $1, dataSN: 1, offset: 0, byteCount: 512) }),
        (
            "an offset that jumps",
            {
                $0.dataIn($2, on: $1, dataSN: 0, offset: 512, byteCount: 512, isFinal: true)
                $0.dataIn($2, on: $1, dataSN: 1, offset: 1024, byteCount: 1024, hasStatus: true)
            }
        ),
        ("data beyond the expected length", { $0.dataIn($2, on: $1, dataSN: 0, offset: 1536, byteCount: 1024) }),
        (
            "a segment beyond MaxRecvDataSegmentLength",
            {
                $0.dataIn($2, on: $1, dataSN: 0, offset: 0, byteCount: 2048)
            }
        ),
        (
            "a burst beyond MaxBurstLength",
            {
                for number in 0..<4 {
                    $0.dataIn(
                        $2, on: $1, dataSN: UInt32(number), offset: number * 512, byteCount: 512, hasStatus: number == 3
                    )
                }
            }
        ),
        (
            "a status without F",
            {
                $0.dataIn($2, on: $1, dataSN: 0, offset: 0, byteCount: 512, hasStatus: true) {
                    $0.header[1] = 1
                }
            }
        ),
        (
            "GOOD with half of the data and no residual",
            {
                $0.dataIn($2, on: $1, dataSN: 0, offset: 0, byteCount: 1024, hasStatus: true)
            }
        ),
        (
            "an acknowledgement at level 0",
            {
                $0.dataIn($2, on: $1, dataSN: 0, offset: 0, byteCount: 512) { $0.header[1] |= 0x40 }
            }
        ),
        ("an ExpDataSN that was not sent", { $0.response(to: $2, on: $1, status: 2, expDataSN: 3) }),
        ("a StatSN that jumps", { $0.response(to: $2, on: $1, status: 2) { $0.statSN &+= 1 } }),
        ("MaxCmdSN before ExpCmdSN - 1", { $0.response(to: $2, on: $1, status: 2) { $0[32] = $0.expCmdSN &- 2 } }),
        (
            "an ExpCmdSN that was not sent",
            {
                $0.response(to: $2, on: $1, status: 2) {
                    $0[28] &+= 5
                    $0[32] &+= 5
                }
            }
        ),
        ("the task tag of nobody", { $0.response(to: $2, on: $1, status: 2) { $0.initiatorTaskTag = 3 } }),
        ("both residual flags", { $0.response(to: $2, on: $1, status: 2) { $0.header[1] |= 6 } }),
        (
            "a bidirectional residual",
            {
                $0.response(to: $2, on: $1, status: 2) {
                    $0.header[1] |= 8
                    $0[40] = 5
                }
            }
        ),
        ("an R2T for a read", { $0.r2t($2, on: $1, number: 0, offset: 0, byteCount: 512) }),
        (
            "a second response",
            {
                $0.response(to: $2, on: $1, status: 2)
                $0.response(to: $2, on: $1, status: 2)
            }
        ),
        ("a Login Response", { $0.answer(WirePDU.Opcode.loginResponse, to: $2, on: $1) }),
        ("an answer to no question", { $0.answer(WirePDU.Opcode.nopIn, to: $2, on: $1) }),
    ]

    @Test("What a target may not do to a read is found", arguments: reads.indices)
    func faultInRead(index: Int) throws {
        let target = FakeTarget()
        target.script = { if $2.opcode == WirePDU.Opcode.scsiCommand { Self.reads[index].1($0, $1, $2) } }
        let session = try target.session {
            $0.maxBurstLength = 1024
            $0.firstBurstLength = 1024
            $0.maxRecvDataSegmentLength = 1024
        }
        let failure = #expect(throws: InitiatorFailure.self) {
            _ = try session.perform(.read(lba: 0, blockCount: 4))
            _ = try session.ping()
        }
        #expect(failure?.kind == .violation, "\(Self.reads[index].0): \(failure?.description ?? "nothing")")
    }

    /// Against a WRITE of 4 blocks in a session with InitialR2T and no immediate data, MaxBurstLength 1024.
    static let writes: [(String, Script)] = [
        ("an R2TSN that jumps", { $0.r2t($2, on: $1, number: 1, offset: 0, byteCount: 512) }),
        ("an offset that jumps", { $0.r2t($2, on: $1, number: 0, offset: 512, byteCount: 512) }),
        ("more than MaxBurstLength", { $0.r2t($2, on: $1, number: 0, offset: 0, byteCount: 1536) }),
        ("more than there is", { $0.r2t($2, on: $1, number: 0, offset: 1536, byteCount: 1024) }),
        ("nothing", { $0.r2t($2, on: $1, number: 0, offset: 0, byteCount: 0) }),
        ("the reserved tag", { $0.r2t($2, on: $1, number: 0, offset: 0, byteCount: 512, tag: WirePDU.noTag) }),
        ("another logical unit", { $0.r2t($2, on: $1, number: 0, offset: 0, byteCount: 512) { $0.lun = 3 } }),
        ("GOOD before the data were asked for", { $0.response(to: $2, on: $1) }),
        ("Data-In", { $0.dataIn($2, on: $1, dataSN: 0, offset: 0, byteCount: 512) }),
        (
            "an R2T with the StatSN after the next",
            {
                $0.r2t($2, on: $1, number: 0, offset: 0, byteCount: 512) { $0.statSN &+= 1 }
            }
        ),
        (
            "two R2Ts where one is allowed",
            {
                $0.r2t($2, on: $1, number: 0, offset: 0, byteCount: 512)
                $0.r2t($2, on: $1, number: 1, offset: 512, byteCount: 512, tag: 0x56)
            }
        ),
    ]

    @Test("What a target may not do to a write is found", arguments: writes.indices)
    func faultInWrite(index: Int) throws {
        let target = FakeTarget()
        target.script = { if $2.opcode == WirePDU.Opcode.scsiCommand { Self.writes[index].1($0, $1, $2) } }
        let session = try target.session {
            $0.initialR2T = true
            $0.immediateData = false
            $0.maxBurstLength = 1024
            $0.firstBurstLength = 1024
        }
        session.holdsR2Ts = true
        let failure = #expect(throws: InitiatorFailure.self) {
            _ = try session.perform(.write(lba: 0, [UInt8](repeating: 1, count: 2048)))
        }
        #expect(failure?.kind == .violation, "\(Self.writes[index].0): \(failure?.description ?? "nothing")")
    }

    @Test("A status on another connection than the command's is found")
    func allegiance() throws {
        let target = FakeTarget()
        target.script = { target, index, pdu in target.response(to: pdu, on: 1 - index) }
        let session = try target.session()
        try session.addConnection(cid: 1)
        let failure = #expect(throws: InitiatorFailure.self) { _ = try session.perform(.testUnitReady, on: 1) }
        #expect(failure?.kind == .violation)
    }

    @Test("Nothing is sent beyond the command window, unless the test says so")
    func window() throws {
        let target = FakeTarget()
        target.maxCmdSN = 2
        let session = try target.session { $0.timeoutSeconds = 0.1 }
        for _ in 0..<2 { try session.submit(.testUnitReady) }
        let failure = #expect(throws: InitiatorFailure.self) { try session.submit(.testUnitReady) }
        #expect(failure?.kind == .timedOut && failure?.description.contains("command window") == true)
        session.obeysWindow = false
        try session.submit(.testUnitReady)
        #expect(session.cmdSN == 4)
    }

    @Test("A target that says nothing, or goes away, is told in words")
    func silence() throws {
        let target = FakeTarget()
        let session = try target.session { $0.timeoutSeconds = 0.05 }
        let silence = #expect(throws: InitiatorFailure.self) { _ = try session.perform(.testUnitReady) }
        #expect(silence?.kind == .timedOut)
        #expect(silence?.description.contains("to 0: SCSI Command") == true)
        target.connections[0].stream.socket.close()
        let end = #expect(throws: InitiatorFailure.self) { _ = try session.ping() }
        #expect(end?.kind == .connectionClosed)
    }
}
