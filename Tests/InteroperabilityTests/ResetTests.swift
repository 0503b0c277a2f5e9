// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability {
    /// What one initiator's reset does to the commands and sessions of another.
    @Suite("Resets by another initiator", .onEachPoller)
    struct ResetTests {
        private static let unit = "ram/1M"
        private static let taskAborted: UInt8 = 0x40
        private static let responseCode = 2
        private static let statusByte = 3

        private enum Function: UInt8 {
            case logicalUnitReset = 0x85
            case targetColdReset = 0x87
        }

        private func peer(_ server: MartletServer, _ qualifier: UInt16) throws -> Peer {
            var options = WireSession.Options()
            options.qualifier = qualifier
            return try Peer(server.url, options)
        }

        private func perform(_ function: Function, _ peer: Peer) throws {
            let request = peer.next(
                WirePDU(opcode: WirePDU.Opcode.taskManagementRequest | WirePDU.immediate, flags: function.rawValue))
            var pdu = request
            pdu[20] = WirePDU.noTag
            try peer.connection.send(pdu)
            let response = try peer.receive { $0.initiatorTaskTag == request.initiatorTaskTag }
            #expect(response.header[Self.responseCode] == 0, "Function complete")
        }

        /// MODE SELECT(6) of the Control mode page with TAS one.
        private func selectTAS(_ peer: Peer) throws {
            let page: [UInt8] = [0x0A, 10, 0x22, 0x10, 0, 0x40, 0, 0, 0xFF, 0xFF, 0, 0]
            var pdu = peer.next(
                WirePDU(opcode: WirePDU.Opcode.scsiCommand, flags: 0xA1, data: [0, 0, 0, 0] + page))
            pdu.expectedLength = 16
            pdu.header.replaceSubrange(32..<38, with: [0x15, 0x10, 0, 0, 16, 0])
            try peer.connection.send(pdu)
            let response = try peer.receive { $0.initiatorTaskTag == pdu.initiatorTaskTag }
            #expect(response.header[Self.statusByte] == 0)
        }

        /// MODE PARAMETERS CHANGED.
        private func takeAttention(_ peer: Peer) throws {
            let ready = peer.testUnitReady()
            try peer.connection.send(ready)
            _ = try peer.receive { $0.initiatorTaskTag == ready.initiatorTaskTag }
        }

        @Test("TARGET COLD RESET ends every session of the target, after its answer, and new ones are served")
        func coldReset() throws {
            let server = try MartletServer(Self.unit)
            let bystander = try peer(server, 2)
            let resetting = try peer(server, 1)
            try perform(.targetColdReset, resetting)
            #expect(try resetting.connection.isClosedByPeer())
            #expect(try bystander.connection.isClosedByPeer())
            try expectServes(server.url)
            try server.stop()
        }

        @Test("With TAS one, a write that is waiting for its data ends with TASK ABORTED, and late data do no harm")
        func taskAbortedWhileGathering() throws {
            let server = try MartletServer(Self.unit)
            let victim = try peer(server, 2)
            let resetting = try peer(server, 1)
            try selectTAS(resetting)
            try takeAttention(victim)
            let write = victim.write(blockCount: 8)
            try victim.connection.send(write)
            let transfer = try victim.receive { $0.opcode == WirePDU.Opcode.r2t }
            try perform(.logicalUnitReset, resetting)
            let response = try victim.receive { $0.opcode == WirePDU.Opcode.scsiResponse }
            #expect(response.initiatorTaskTag == write.initiatorTaskTag)
            #expect(response.header[Self.statusByte] == Self.taskAborted)
            try victim.connection.send(
                victim.data(
                    [UInt8](repeating: 0xEE, count: 8 * Block.byteCount), of: write,
                    transferTag: transfer.targetTransferTag))
            #expect(try victim.drain().isEmpty)
            try expectServes(server.url)
            try server.stop()
        }

        @Test("With TAS one, the answer to a write whose unsolicited data are still coming follows them")
        func taskAbortedBeforeUnsolicitedData() throws {
            let server = try MartletServer(Self.unit)
            let victim = try peer(server, 2)
            let resetting = try peer(server, 1)
            try selectTAS(resetting)
            try takeAttention(victim)
            var write = victim.write(blockCount: 8)
            // F zero: Data-Out PDUs follow by themselves.
            write.header[1] = 0x21
            try victim.connection.send(write)
            #expect(try victim.drain().isEmpty)
            try perform(.logicalUnitReset, resetting)
            #expect(try victim.drain().isEmpty, "its data are still to come")
            try victim.connection.send(victim.data([UInt8](repeating: 0xEE, count: 8 * Block.byteCount), of: write))
            let response = try victim.receive { $0.opcode == WirePDU.Opcode.scsiResponse }
            #expect(response.initiatorTaskTag == write.initiatorTaskTag)
            #expect(response.header[Self.statusByte] == Self.taskAborted)
            try expectServes(server.url)
            try server.stop()
        }
    }
}
