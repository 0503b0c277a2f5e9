// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension InitiatorSession {
    /// Asynchronous Messages that tell of a lost connection (RFC 7143 11.9, event 2), by their CID.
    var announcedDrops: [UInt16] {
        asyncMessages.filter { $0[36] >> 24 == 2 }.map { UInt16($0[36] & 0xFFFF) }
    }

    /// Cuts a connection, and waits until the target tells another one of it.
    func cutAndAwaitNotice(_ cid: UInt16, _ way: Cut = .reset) throws {
        let before = announcedDrops.count
        cut(cid, way)
        try pump(awaiting: "the notice that connection \(cid) is lost", alive: nil) { announcedDrops.count > before }
        #expect(announcedDrops.last == cid)
    }

    /// Logout Request on `cid` about the connection `about`, not waited for. Returns its tag.
    func startLogout(_ reason: LogoutReason, about: UInt16, on cid: UInt16) throws -> UInt32 {
        var request = WirePDU(
            opcode: WirePDU.Opcode.logoutRequest | WirePDU.immediate, flags: WirePDU.final | reason.rawValue)
        if reason != .closeSession {
            request.header[20] = UInt8(about >> 8)
            request.header[21] = UInt8(about & 0xFF)
        }
        return try start(request, on: cid)
    }

    /// A NOP-Out that wants no answer: it tells what has come, and nothing else (RFC 7143 11.18).
    func acknowledge(on cid: UInt16) throws {
        var pdu = WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate)
        pdu.initiatorTaskTag = WirePDU.noTag
        pdu.targetTransferTag = WirePDU.noTag
        pdu.cmdSN = cmdSN
        try send(pdu, on: cid)
    }

    /// Commands that may be sent now: the width of the command window (RFC 7143 4.2.2.1).
    var windowWidth: Int {
        get throws {
            for cid in liveCIDs { try ping(on: cid) }
            return Int(Int32(bitPattern: maxCmdSN &- cmdSN &+ 1))
        }
    }
}
