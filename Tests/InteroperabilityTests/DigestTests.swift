// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability {
    @Suite("Digests", .onEachPoller)
    struct DigestTests {
        private func session(_ url: LogicalUnitURL, header: Bool, data: Bool) throws -> WireSession {
            var options = WireSession.Options()
            options.headerDigest = header ? "CRC32C" : "None"
            options.dataDigest = data ? "CRC32C" : "None"
            options.qualifier = 2
            return try WireSession(url, options)
        }

        @Test("A digest is used when it is asked for", arguments: [true, false], [true, false])
        func negotiation(header: Bool, data: Bool) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server.url, header: header, data: data)
            #expect(session.connection.headerDigest == header)
            #expect(session.connection.dataDigest == data)
            let content = Block.contents(lba: 0, blockCount: 100, generation: 2)
            try session.write(lba: 0, content)
            expectEqual(try session.read(lba: 0, blockCount: 100), content)
            for byteCount in 1...5 {  // padded to four bytes under the digest
                let ping = [UInt8](repeating: 0xA0, count: byteCount)
                expectEqual(try session.ping(ping), ping)
            }
            try server.stop()
        }

        @Test("A wrong header digest ends the connection (RFC 7143 7.8)")
        func wrongHeaderDigest() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server.url, header: true, data: false)
            var bytes = WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate).encoded(headerDigest: true)
            bytes[bytes.count - 1] ^= 0x80
            try session.connection.send(bytes)
            #expect(try session.connection.isClosedByPeer())
            try expectServes(server.url)
            try server.stop()
        }

        @Test("Data with a wrong digest never reach the medium and never end GOOD", arguments: [1, 2, 511])
        func wrongDataDigest(damagedByte: Int) throws {
            let server = try MartletServer("ram/1M")
            let before = Block.content(lba: 9, generation: 1)
            try Initiator(server.url).write(lba: 9, before)

            let session = try session(server.url, header: false, data: true)
            var write = WirePDU(
                opcode: WirePDU.Opcode.scsiCommand, flags: 0xA1, data: Block.content(lba: 9, generation: 2))
            write.lun = session.lun
            write.initiatorTaskTag = 0x4000
            write.expectedLength = 512
            write.cmdSN = session.cmdSN
            write.expStatSN = session.expStatSN
            write.header.replaceSubrange(32..<48, with: CDB.block16(0x8A, lba: 9, blockCount: 1))
            var bytes = write.encoded(dataDigest: true)
            bytes[WirePDU.headerByteCount + damagedByte] ^= 0x01
            try session.connection.send(bytes)

            do {
                var answer = try session.connection.receivePDU()
                if answer.opcode == WirePDU.Opcode.reject {
                    #expect(answer.header[2] == 0x02, "the reason Data (payload) Digest Error")
                    answer = try session.connection.receivePDU()
                }
                #expect(answer.opcode == WirePDU.Opcode.scsiResponse)
                #expect(answer.header[3] == Outcome.checkCondition)
            } catch WireConnection.Failure.closedByPeer {
                // Error recovery level 0 allows it.
            }
            expectEqual(try Initiator(server.url).read(lba: 9, blockCount: 1), before)
            try server.stop()
        }
    }
}
