// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Immediate task management waits for the commands before it that are still on their way on other connections
    /// (RFC 7143 4.2.2.3.4): not without end, and not without bounds.
    @Suite("Sessions: task management that waits for commands", .needsSeveralConnections)
    struct WaitLimitTests {
        /// As docs/safety.md promises.
        private static let limit = 16
        private static let immediateCommandReject: UInt8 = 0x06
        private static let functionRejected: UInt8 = 255

        private func session(_ server: MartletServer) throws -> InitiatorSession {
            let session = try server.url.session { $0.maxConnections = 4 }
            for cid: UInt16 in [1, 2] { try session.addConnection(cid: cid) }
            return session
        }

        /// A command that has its number and has not been sent: all that comes after it waits.
        private func gap(_ session: InitiatorSession) throws -> InitiatorTask {
            session.connection(1)?.sendFilter = { _ in .lost }
            defer { session.connection(1)?.sendFilter = nil }
            return try session.submit(.testUnitReady, on: 1)
        }

        private func start(_ count: Int, _ session: InitiatorSession, on cid: UInt16) throws -> [UInt32] {
            try (0..<count).map { _ in try session.start(session.managementRequest(.abortTaskSet), on: cid) }
        }

        private func responses(_ tags: [UInt32], _ session: InitiatorSession) throws -> Set<UInt8> {
            Set(try tags.map { try session.answer(to: $0, awaiting: "a response of task management").header[2] })
        }

        @Test("Sixteen wait, one more is rejected, and the sixteen are done when the command has come")
        func limit() throws {
            let server = try MartletServer("ram/1M")
            let other = try server.url.session { $0.isid = 0x8000_0000_0B0B }
            let session = try session(server)
            let first = try gap(session)
            let tags = try start(Self.limit, session, on: 0)
            for cid: UInt16 in [0, 2, 1] {
                let failure = #expect(throws: InitiatorFailure.self) { try session.manage(.abortTaskSet, on: cid) }
                #expect(failure?.kind == .rejected(Self.immediateCommandReject))
            }
            // The connections live, functions that wait for nobody are done, and other sessions do not notice.
            for cid in session.liveCIDs { #expect(try session.ping([7], on: cid) == [7]) }
            #expect(try session.manage(.queryTaskSet, on: 0) == 0)
            try other.expectData(lba: 0, blockCount: 8)
            try session.retry(first, on: 1)
            #expect(try session.wait(for: first).isGood)
            #expect(try responses(tags, session) == [0])
            // There is room again.
            let second = try gap(session)
            let more = try start(Self.limit, session, on: 2)
            try session.retry(second, on: 1)
            #expect(try session.wait(for: second).isGood)
            #expect(try responses(more, session) == [0])
            #expect(session.rejects.count == 3)
            try session.expectData(lba: 8, blockCount: 8)
            try server.stop()
        }

        @Test(
            "Those of a connection that ends wait no more, and leave their places to others",
            arguments: [["--abort-limit", "30"], ["--abort-limit", "0"]])
        func withdrawn(options: [String]) throws {
            let server = try MartletServer("ram/1M", options: options)
            let session = try session(server)
            let first = try gap(session)
            for round in 0..<3 {
                _ = try start(Self.limit, session, on: 2)
                try session.ping(on: 2)
                try session.cutAndAwaitNotice(2, round == 1 ? .close : .reset)
                try session.addConnection(cid: 2)
            }
            let tags = try start(Self.limit, session, on: 0)
            try session.ping(on: 0)
            #expect(session.rejects.isEmpty)
            try session.retry(first, on: 1)
            #expect(try session.wait(for: first).isGood)
            #expect(try responses(tags, session) == [0])
            try session.expectData(lba: 8, blockCount: 8)
            try server.stop()
        }

        @Test("Those whose time is over are answered with Function rejected, and leave their places to others")
        func timedOut() throws {
            let server = try MartletServer("ram/1M", options: ["--abort-limit", "1"])
            let session = try session(server)
            let first = try gap(session)
            let early = try start(Self.limit, session, on: 0)
            #expect(try responses(early, session) == [Self.functionRejected])
            let tags = try start(Self.limit, session, on: 2)
            try session.ping(on: 2)
            #expect(session.rejects.isEmpty)
            try session.retry(first, on: 1)
            #expect(try session.wait(for: first).isGood)
            // On a slow machine their time may be over, too; each is answered once.
            #expect(try responses(tags, session).isSubset(of: [0, Self.functionRejected]))
            try session.expectData(lba: 8, blockCount: 8)
            try server.stop()
        }

        /// From ExpCmdSN, and from the first number behind the window.
        private static let numbers: [(isBehindWindow: Bool, distance: Int)] = [
            (false, 0), (false, -1), (false, -1000), (true, 1), (true, 2), (true, 1000), (true, 0x3FFF_FFFF),
        ]

        @Test("A CmdSN that no request of the window can have is waited for by nobody", arguments: numbers.indices)
        func outside(index: Int) throws {
            let (isBehindWindow, distance) = Self.numbers[index]
            let server = try MartletServer("ram/1M")
            let session = try session(server)
            try session.ping(on: 0)
            let origin = isBehindWindow ? session.maxCmdSN &+ 1 : session.expCmdSN
            let number = origin &+ UInt32(truncatingIfNeeded: distance)
            session.connection(0)?.sendFilter = { pdu in
                if pdu.opcode == WirePDU.Opcode.taskManagementRequest { pdu.cmdSN = number }
                return .whole
            }
            let begin = ContinuousClock.now
            #expect(try session.manage(.abortTaskSet, on: 0) == 0)
            #expect(ContinuousClock.now - begin < .seconds(15))
            try session.expectData(lba: 8, blockCount: 8)
            try server.stop()
        }
    }
}
