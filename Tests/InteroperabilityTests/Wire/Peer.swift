// SPDX-License-Identifier: Apache-2.0
import TestInitiator

/// An initiator that numbers its requests, and leaves to the test what it sends of them, in which order.
final class Peer {
    let connection: WireConnection
    private let session: WireSession
    private var cmdSN: UInt32
    private var nextTag: UInt32 = 0x100

    init(_ url: LogicalUnitURL, _ options: WireSession.Options = .init()) throws {
        session = try WireSession(url, options)
        connection = session.connection
        cmdSN = session.cmdSN
    }

    /// Gives `pdu` a tag and, unless it is immediate, a CmdSN of its own.
    func next(_ pdu: WirePDU) -> WirePDU {
        var pdu = pdu
        pdu.lun = session.lun
        pdu.initiatorTaskTag = nextTag
        pdu.cmdSN = cmdSN
        pdu.expStatSN = session.expStatSN
        nextTag += 1
        if pdu.header[0] & WirePDU.immediate == 0 { cmdSN &+= 1 }
        return pdu
    }

    /// WRITE(16), with nothing but `data` unsolicited.
    func write(lba: UInt64 = 0, blockCount: Int, data: [UInt8] = []) -> WirePDU {
        var pdu = next(WirePDU(opcode: WirePDU.Opcode.scsiCommand, flags: 0xA1, data: data))
        pdu.expectedLength = UInt32(blockCount * Block.byteCount)
        pdu.header.replaceSubrange(32..<48, with: CDB.block16(0x8A, lba: lba, blockCount: blockCount))
        return pdu
    }

    /// READ(16), SIMPLE.
    func read(lba: UInt64, blockCount: Int) -> WirePDU {
        var pdu = next(WirePDU(opcode: WirePDU.Opcode.scsiCommand, flags: 0xC1))
        pdu.expectedLength = UInt32(blockCount * Block.byteCount)
        pdu.header.replaceSubrange(32..<48, with: CDB.block16(0x88, lba: lba, blockCount: blockCount))
        return pdu
    }

    /// WRITE SAME(16) of zeroes: one block of data.
    func zero(lba: UInt64, blockCount: Int) -> WirePDU {
        var pdu = next(
            WirePDU(
                opcode: WirePDU.Opcode.scsiCommand, flags: 0xA1, data: [UInt8](repeating: 0, count: Block.byteCount)))
        pdu.expectedLength = UInt32(Block.byteCount)
        pdu.header.replaceSubrange(32..<48, with: CDB.block16(0x93, lba: lba, blockCount: blockCount))
        return pdu
    }

    /// The same command with the ORDERED attribute.
    func ordered(_ pdu: WirePDU) -> WirePDU {
        var pdu = pdu
        pdu.header[1] = pdu.header[1] & ~0x07 | 0x02
        return pdu
    }

    func testUnitReady() -> WirePDU { next(WirePDU(opcode: WirePDU.Opcode.scsiCommand, flags: 0x81)) }

    func ping() -> WirePDU {
        var pdu = next(WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate))
        pdu.targetTransferTag = WirePDU.noTag
        return pdu
    }

    func abort(_ command: WirePDU) -> WirePDU {
        var pdu = next(WirePDU(opcode: WirePDU.Opcode.taskManagementRequest | WirePDU.immediate, flags: 0x81))
        pdu[20] = command.initiatorTaskTag  // Referenced Task Tag
        pdu[32] = command.cmdSN  // RefCmdSN
        return pdu
    }

    func data(_ bytes: [UInt8], of command: WirePDU, transferTag: UInt32 = WirePDU.noTag) -> WirePDU {
        var pdu = WirePDU(opcode: WirePDU.Opcode.dataOut, data: bytes)
        pdu.initiatorTaskTag = command.initiatorTaskTag
        pdu.targetTransferTag = transferTag
        pdu.expStatSN = session.expStatSN
        return pdu
    }

    /// The next PDU that is `wanted`; others are passed over.
    func receive(_ wanted: (WirePDU) -> Bool) throws -> WirePDU {
        while true {
            let pdu = try connection.receivePDU()
            if wanted(pdu) { return pdu }
        }
    }

    /// All that the target had to say before it answers a ping.
    func drain() throws -> [WirePDU] {
        let ping = ping()
        try connection.send(ping)
        var pdus: [WirePDU] = []
        _ = try receive { pdu in
            let isAnswer = pdu.opcode == WirePDU.Opcode.nopIn && pdu.initiatorTaskTag == ping.initiatorTaskTag
            if !isAnswer { pdus.append(pdu) }
            return isAnswer
        }
        return pdus
    }
}
