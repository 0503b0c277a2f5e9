// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Error recovery level 1: what a digest finds damaged is sent again within the connection (RFC 7143 7.8).
    @Suite("Sessions: digest recovery", .needsRecovery)
    struct DigestRecoveryTests {
        private static let times = 1000

        enum Damage: String, CaseIterable, CustomTestStringConvertible {
            case dataIn = "Data-In, asked for by Data SNACK"
            case lostDataIn = "Data-In that is lost, asked for by Data SNACK"
            case status = "SCSI Response, asked for by Status SNACK"
            case r2t = "R2T that is lost, asked for by R2T SNACK"
            case dataOut = "Data-Out, asked for by a recovery R2T"
            case immediateData = "a command with immediate data, sent again"

            var testDescription: String { rawValue }
        }

        private func session(_ server: MartletServer, quietMilliseconds: Int = 2) throws -> InitiatorSession {
            let session = try server.url.session {
                $0.errorRecoveryLevel = 1
                $0.headerDigest = "CRC32C"
                $0.dataDigest = "CRC32C"
                $0.maxRecvDataSegmentLength = 512
                $0.maxBurstLength = 2048
                $0.firstBurstLength = 512
                $0.quietMilliseconds = quietMilliseconds
            }
            try #require(session.negotiated.errorRecoveryLevel == 1 && session.negotiated.dataDigest)
            return session
        }

        /// Damages the first PDU that fits, once. `position` picks among Data-Ins.
        private func arrange(_ damage: Damage, _ position: UInt32, _ connection: InitiatorConnection) {
            var isDone = false
            func once(_ fits: Bool) -> Bool {
                guard fits, !isDone else { return false }
                isDone = true
                return true
            }
            connection.receiveFilter = { pdu in
                switch damage {
                case .dataIn:
                    once(pdu.opcode == WirePDU.Opcode.dataIn && pdu.dataSN == position) ? .damage : .take
                case .lostDataIn:
                    once(pdu.opcode == WirePDU.Opcode.dataIn && pdu.dataSN == position) ? .lose : .take
                case .status: once(pdu.opcode == WirePDU.Opcode.scsiResponse) ? .damage : .take
                case .r2t: once(pdu.opcode == WirePDU.Opcode.r2t) ? .lose : .take
                case .dataOut, .immediateData: .take
                }
            }
            connection.sendFilter = { pdu in
                switch damage {
                case .dataOut: once(pdu.opcode == WirePDU.Opcode.dataOut) ? .damagedData : .whole
                case .immediateData:
                    once(pdu.opcode == WirePDU.Opcode.scsiCommand && !pdu.data.isEmpty) ? .damagedData : .whole
                case .dataIn, .lostDataIn, .status, .r2t: .whole
                }
            }
        }

        @Test("A thousand damaged PDUs are recovered, and the connection stays", arguments: Damage.allCases)
        func thousand(damage: Damage) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server)
            let connection = try #require(session.connection(session.leading))
            for round in 0..<Self.times {
                let lba = UInt64(round % 64) * 4
                let bytes = InitiatorSession.pattern(lba: lba, blockCount: 4, generation: UInt64(round))
                arrange(damage, UInt32(round % 4), connection)
                let written = try session.perform(.write(lba: lba, bytes))
                let read = try session.perform(.read(lba: lba, blockCount: 4))
                guard written.isGood, read.isGood, read.data == bytes else {
                    Issue.record("round \(round): \(written), \(read.status), \(read.data == bytes)")
                    return
                }
            }
            #expect(session.connection(session.leading) === connection && connection.state == .loggedIn)
            switch damage {
            case .dataIn, .lostDataIn, .status, .r2t: #expect(session.snackCount >= Self.times)
            case .dataOut, .immediateData: #expect(session.rejects.count == Self.times)
            }
            connection.sendFilter = nil
            #expect(try session.logout().response == 0)
            try server.stop()
        }

        @Test("Every unacknowledged status comes again when all are asked for")
        func allStatuses() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server)
            session.options.quietMilliseconds = 10_000
            let connection = try #require(session.connection(session.leading))
            connection.receiveFilter = { $0.opcode == WirePDU.Opcode.scsiResponse ? .lose : .take }
            let tasks = try (0..<8).map { _ in try session.submit(.testUnitReady) }
            try session.drain(milliseconds: 200)
            connection.receiveFilter = nil
            try session.snack(.status, begRun: 0, runLength: 0, on: connection.cid)
            #expect(try session.wait(for: tasks).allSatisfy { $0.isGood })
            try server.stop()
        }

        @Test("Data that were acknowledged, or were never sent, are not sent again")
        func refusedSNACKs() throws {
            let server = try MartletServer("ram/1M")
            // Rejects of what the initiator asks for by itself would not be told from those.
            let session = try session(server, quietMilliseconds: 10_000)
            let connection = try #require(session.connection(session.leading))
            let protocolError: UInt8 = 4
            try session.snack(.status, begRun: connection.expStatSN &- 1, runLength: 1, on: connection.cid)
            try session.snack(.status, begRun: connection.expStatSN &+ 5, runLength: 1, on: connection.cid)
            try session.snack(.data, tag: 0x7777, begRun: 0, runLength: 1, on: connection.cid)
            try session.ping()
            #expect(session.rejects.count == 3)
            #expect(session.rejects.allSatisfy { $0.reason == protocolError || $0.reason == 3 })
            try session.expectData(lba: 0, blockCount: 16)
            try server.stop()
        }

        @Test("Resegmented data come with the SNACK Tag in the response")
        func resegmented() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server)
            let connection = try #require(session.connection(session.leading))
            let bytes = InitiatorSession.pattern(lba: 0, blockCount: 4)
            #expect(try session.perform(.write(lba: 0, bytes)).isGood)
            connection.receiveFilter = {
                $0.opcode == WirePDU.Opcode.dataIn || $0.opcode == WirePDU.Opcode.scsiResponse ? .lose : .take
            }
            session.asksAgain = false
            let task = try session.submit(.read(lba: 0, blockCount: 4))
            try session.drain(milliseconds: 200)
            connection.receiveFilter = nil
            session.asksAgain = true
            try session.askForResegmentedData(task)
            #expect(try session.wait(for: task).data == bytes)
            try server.stop()
        }
    }
}
