// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// A handler keeps a command, and its initiator asks and asks for what must wait for it. What the server remembers of
    /// that is bounded, and nobody else has less.
    @Suite("Sessions: bounded waits for hung commands")
    struct BoundedWaitTests {
        private static let hanging = "fault:hang=100%,on=read,max=1"
        private static let floodCount = 6000
        /// What the server may grow by in a flood: buffers that it uses again, and not a kilobyte for each login.
        private static let memoryBoundByteCount = 4 << 20
        private static let immediateCommandReject: UInt8 = 0x06
        /// As docs/safety.md promises.
        private static let waitLimit = 64

        /// A login of one PDU by the initiator port of `session`.
        private func loginRequest(_ session: InitiatorSession, tsih: UInt16 = 0, cid: UInt16 = 0) -> WirePDU {
            var request = WirePDU(opcode: WirePDU.Opcode.loginRequest | WirePDU.immediate, flags: 0x87)
            let identifiers = session.options.isid << 16 | UInt64(tsih)
            request.header.replaceSubrange(
                8..<16, with: stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: identifiers >> $0) })
            request.initiatorTaskTag = 1
            request.header[20] = UInt8(cid >> 8)
            request.header[21] = UInt8(cid & 0xFF)
            request.cmdSN = session.cmdSN
            request.data = .text(session.options.names(isLeading: tsih == 0))
            return request
        }

        private func expectLogin(_ server: MartletServer, sourceLocation: SourceLocation = #_sourceLocation) throws {
            let start = Date()
            let other = try server.url.session { $0.isid = 0x8000_0000_0B0B }
            #expect(Date().timeIntervalSince(start) < 2, sourceLocation: sourceLocation)
            #expect(try other.logout().response == 0, sourceLocation: sourceLocation)
        }

        /// Logs in again and again, and waits for no answer.
        private func flood(_ server: MartletServer, _ request: WirePDU) throws {
            let bytes = request.encoded()
            func run(_ count: Int) throws {
                for _ in 0..<count {
                    let connection = try WireConnection(server.url)
                    try connection.send(bytes)
                    connection.close()
                }
                try expectLogin(server)
            }
            // What the first ones take is used again.
            try run(Self.floodCount / 10)
            let before = try ProcessLimits.residentByteCount(server.identifier)
            try run(Self.floodCount)
            #expect(try ProcessLimits.residentByteCount(server.identifier) - before < Self.memoryBoundByteCount)
        }

        @Test("Logins that wait for the session of their name are one at a time, however many there are")
        func reinstatement() throws {
            let server = try MartletServer(Self.hanging + "+ram/1M")
            let session = try server.url.session()
            try session.submit(.read(lba: 0, blockCount: 1))
            try session.ping()
            try flood(server, loginRequest(session))
            try server.stop()
        }

        @Test("Logins that wait for the tasks of their connection are one at a time, however many there are")
        func joins() throws {
            let server = try MartletServer(Self.hanging + "+ram/1M")
            let session = try server.url.session { $0.maxConnections = 2 }
            try session.addConnection(cid: 1)
            try session.submit(.read(lba: 0, blockCount: 1), on: 1)
            try session.ping(on: 1)
            session.cut(1)
            try flood(server, loginRequest(session, tsih: session.tsih, cid: 1))
            #expect(try session.perform(.testUnitReady, on: 0).isGood)
            try server.stop()
        }

        @Test("A login takes the place of one that waits, which is closed, and is answered when the session has ended")
        func takesOver() throws {
            let server = try MartletServer(Self.hanging + ",release=1s+ram/1M")
            let session = try server.url.session()
            try session.submit(.read(lba: 0, blockCount: 1))
            try session.ping()
            let logins = try (0..<3).map { _ in
                let connection = try WireConnection(server.url)
                try connection.send(loginRequest(session))
                // Its request has been read.
                try expectLogin(server)
                return connection
            }
            for superseded in logins.dropLast() { #expect(try superseded.isClosedByPeer()) }
            let response = try logins[2].receivePDU()
            #expect(response.opcode == WirePDU.Opcode.loginResponse)
            #expect(response.header[36] == 0 && response.header[37] == 0)
            // And once more, now that a session of this name lives.
            let again = try InitiatorSession.login(server.url.address, session.options)
            try again.becomeReady()
            #expect(try logins[2].isClosedByPeer())
            try again.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test(
            "Requests that wait for a hung command are bounded: more are rejected, and the session lives",
            arguments: [
                InitiatorSession.TaskManagementFunction.abortTask, .abortTaskSet, .logicalUnitReset, .targetWarmReset,
            ])
        func taskManagement(function: InitiatorSession.TaskManagementFunction) throws {
            let server = try MartletServer(Self.hanging + "+ram/1M")
            let session = try server.url.session()
            let hung = try session.submit(.read(lba: 0, blockCount: 1))
            try session.ping()
            let count = Self.waitLimit + 200
            for _ in 0..<count { _ = try session.start(session.managementRequest(function, task: hung)) }
            try session.ping()
            #expect(session.rejects.allSatisfy { $0.reason == Self.immediateCommandReject })
            // ABORT TASK of a command that is being aborted need not wait for it again.
            #expect(session.rejects.count == count - Self.waitLimit)
            try expectLogin(server)
            try server.stop()
        }
    }
}
