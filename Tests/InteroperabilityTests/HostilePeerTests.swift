// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability {
    /// Peers that break the protocol. Whatever they do, a session that was there before goes on with its data intact,
    /// a new one can log in, and the server ends cleanly when asked.
    @Suite("Hostile peers")
    struct HostilePeerTests {
        /// A connection that cannot become a session is not kept until its login times out.
        static let closingLimitSeconds = 5.0
        /// How much the server may grow for a thousand connections that never log in.
        static let memoryBoundByteCount = 256 << 20

        @Test("A connection that never becomes a session harms nobody", arguments: BeforeLogin.allCases)
        func beforeLogin(attack: BeforeLogin) throws {
            try withBystander { url in
                let connection = try WireConnection(url)
                try? connection.send(attack.bytes(target: url.target))
                let start = Date()
                if attack.mustBeClosed {
                    #expect(try connection.isClosedByPeer())
                    #expect(Date().timeIntervalSince(start) < Self.closingLimitSeconds)
                }
            }
        }

        @Test("A session that breaks the rules harms only itself", arguments: InSession.allCases)
        func inSession(attack: InSession) throws {
            try withBystander { url in
                for ends in [true, false] {
                    let session = try WireSession(url)
                    try? session.connection.send(attack.bytes(session))
                    if attack.mustBeClosed { #expect(try session.connection.isClosedByPeer()) }
                    ends ? session.connection.close() : session.connection.reset()
                }
            }
        }

        @Test("A login that continues for ever is ended")
        func endlessLogin() throws {
            try withBystander { url in
                let connection = try WireConnection(url)
                var answers = 0
                let filler = String(repeating: "x", count: 7000)
                do {
                    for round in 0..<1000 {
                        // C=1 in the operational stage: more of the same keys will follow.
                        let name = "iqn.2026-11.org.martlet:endless"
                        let keys = [("InitiatorName", name), ("X-org.martlet.\(round)", filler)]
                        try connection.send(WireSession.loginRequest(keys, flags: 0x44))
                        let response = try connection.receivePDU()
                        guard response.opcode == WirePDU.Opcode.loginResponse, response.header[36] == 0 else { break }
                        answers += 1
                    }
                } catch WireConnection.Failure.closedByPeer {}
                #expect(answers < 1000)
                #expect(try connection.isClosedByPeer())
            }
        }

        @Test("PDUs that arrive byte by byte work as well as any")
        func byteByByte() throws {
            let server = try MartletServer("ram/1M")
            let session = try WireSession(server.url)
            try session.write(lba: 3, Block.content(lba: 3, generation: 4))
            let connection = try WireConnection(server.url)
            var options = WireSession.Options()
            options.qualifier = 2
            let keys = WireSession.loginKeys(target: server.url.target, options)
            try connection.send(WireSession.loginRequest(keys, qualifier: 2).encoded(), pieceByteCount: 1)
            let login = try connection.receivePDU()
            #expect(login.opcode == WirePDU.Opcode.loginResponse && login.flags & 0x83 == 0x83)
            var read = WirePDU(opcode: WirePDU.Opcode.scsiCommand, flags: 0xC1)
            read.lun = server.url.lun
            read.initiatorTaskTag = 7
            read.expectedLength = 512
            read.header.replaceSubrange(32..<48, with: CDB.block16(0x88, lba: 3, blockCount: 1))
            read.cmdSN = login.expCmdSN
            var data = try answer(connection, to: read)
            if data.opcode == WirePDU.Opcode.scsiResponse {  // the unit attention of a new nexus
                read.cmdSN += 1
                data = try answer(connection, to: read)
            }
            if data.opcode == WirePDU.Opcode.dataIn {
                expectEqual(data.data, Block.content(lba: 3, generation: 4))
            } else {
                Issue.record("no Data-In: \(data.header)")
            }
            try server.stop()
        }

        private func answer(_ connection: WireConnection, to pdu: WirePDU) throws -> WirePDU {
            try connection.send(pdu.encoded(), pieceByteCount: 1)
            return try connection.receivePDU()
        }

        @Test("A good login comes within a second beside a thousand half-open connections")
        func halfOpen() throws {
            let count = 1000
            let server = try MartletServer("ram/16M", options: ["--loops", "2"])
            let before = try ProcessLimits.residentByteCount(server.identifier)
            try ProcessLimits.raiseDescriptors(to: count + 200)
            let half = WireSession.loginRequest([("InitiatorName", "iqn.2026-11.org.martlet:half")]).encoded()
            let connections = try (0..<count).map { number in
                let connection = try WireConnection(server.url)
                try connection.send([UInt8](half.prefix(number % half.count)))
                return connection
            }
            let start = Date()
            let initiator = try Initiator(server.url)
            #expect(Date().timeIntervalSince(start) < 1)
            try initiator.write(lba: 0, Block.content(lba: 0, generation: 1))
            expectEqual(try initiator.read(lba: 0, blockCount: 1), Block.content(lba: 0, generation: 1))
            #expect(try ProcessLimits.residentByteCount(server.identifier) - before < Self.memoryBoundByteCount)
            for connection in connections { connection.reset() }
            try expectServes(server.url)
            try server.stop()
        }

        @Test("Every opcode, defined or not, before login and after it, is survived")
        func everyOpcode() throws {
            try withBystander { url in
                for opcode in UInt8.min...UInt8.max {
                    let pdu = WirePDU(opcode: opcode, data: [1, 2, 3])
                    let connection = try WireConnection(url)
                    try? connection.send(pdu)
                    let session = try WireSession(url)
                    try? session.connection.send(pdu)
                }
            }
        }

        @Test("Mutated PDUs, before login and after it, are survived")
        func mutations() throws {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            try withBystander { url in
                for round in 0..<(isSoak ? 50000 : 2000) {
                    // Each peer has an initiator port of its own: none reinstates the session of another.
                    var options = WireSession.Options()
                    options.qualifier = UInt16(round + 1)
                    let connection: WireConnection
                    var bytes: [UInt8]
                    var isSpared: (Int) -> Bool = { _ in false }
                    if let attack = InSession.allCases.randomElement(using: &random), round.isMultiple(of: 2) {
                        let session = try WireSession(url, options)
                        connection = session.connection
                        bytes = attack.bytes(session)
                        // Another opcode, function or CDB may be a reset or a stop: harm that SCSI allows.
                        isSpared = { $0 < 2 || (32..<48).contains($0) }
                    } else {
                        connection = try WireConnection(url)
                        let keys = WireSession.loginKeys(target: url.target, options)
                        bytes = WireSession.loginRequest(keys, qualifier: options.qualifier).encoded()
                    }
                    for _ in 0..<Int.random(in: 1...6, using: &random) {
                        let limit = Bool.random(using: &random) ? WirePDU.headerByteCount : bytes.count
                        let position = Int.random(in: 0..<limit, using: &random)
                        let value = UInt8(truncatingIfNeeded: random.next())
                        if !isSpared(position) { bytes[position] = value }
                    }
                    try? connection.send(bytes)
                    connection.reset()
                }
            }
        }

        /// Runs `attack` while a session that began before it works, and checks that it can go on, as can others.
        private func withBystander(_ attack: (LogicalUnitURL) throws -> Void) throws {
            let server = try MartletServer("ram/16M", options: ["--loops", "2"])
            var workload = Workload(try Initiator(server.url), first: 2048, blockCount: 8192, seed: seed)
            try workload.step()
            try attack(server.url)
            try workload.step()
            try workload.verifyAll()
            try expectServes(server.url)
            try server.stop()
        }
    }
}
