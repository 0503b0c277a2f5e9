// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Connections that run ahead of a command which another one has to bring (RFC 7143 4.2.2.1): what the target keeps of
    /// them is bounded.
    @Suite("Sessions: gaps in CmdSN", .needsSeveralConnections)
    struct GapTests {
        /// What the target keeps at most before a connection that runs ahead is left to wait.
        private static let heldByteLimit = 1 << 20
        private static let longBlockCount = 128

        private func session(_ server: MartletServer, level: Int) throws -> InitiatorSession {
            let session = try server.url.session {
                $0.maxConnections = 2
                $0.errorRecoveryLevel = level
                $0.time2WaitSeconds = 0
            }
            session.asksAgain = false
            try session.addConnection(cid: 1)
            return session
        }

        /// A write whose data all go with the command, in the order of CmdSN.
        private func write(generation: Int, blockCount: Int) -> InitiatorCommand {
            InitiatorCommand.write(
                lba: 0,
                InitiatorSession.pattern(lba: 0, blockCount: blockCount, generation: UInt64(generation))
            ).with(.ordered)
        }

        @Test(
            "A connection that runs far ahead waits until the missing command comes, and then everything is done in order",
            arguments: [0, 1, 2])
        func runsAhead(level: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level: level)
            let log = PDULog(session)
            // The command that is missing: its connection does not bring it.
            let gap = Withheld(session, 0) { $0.opcode == WirePDU.Opcode.scsiCommand }
            var tasks = [try session.submit(write(generation: 0, blockCount: Self.longBlockCount), on: 0)]
            try fill(session, &tasks)
            // The one with which it is enough, and a request that is no command behind it.
            let rest = Withheld(session, 1) { _ in true }
            tasks.append(try session.submit(write(generation: tasks.count, blockCount: 1), on: 1))
            var ping = WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate)
            ping.targetTransferTag = WirePDU.noTag
            let tag = try session.start(ping, on: 1)
            #expect(rest.pdus.count == 2)
            try rest.releaseAtOnce()
            // And more than that, as far as the sockets take it.
            for _ in 0..<64 {
                tasks.append(
                    try session.submit(write(generation: tasks.count, blockCount: Self.longBlockCount), on: 1))
            }
            try session.drain(milliseconds: 300)
            #expect(log.places(of: WirePDU.Opcode.nopIn, on: 1).isEmpty, "more is taken than can be kept")
            #expect(tasks.allSatisfy { !$0.isEnded })
            // The other connection is as it was.
            #expect(try session.ping([1], on: 0) == [1])

            try gap.release()
            #expect(try session.wait(for: tasks).allSatisfy(\.isGood))
            #expect(try session.answer(to: tag, awaiting: "the answer to a NOP-Out").opcode == WirePDU.Opcode.nopIn)
            let ended = log.places(of: WirePDU.Opcode.scsiResponse, on: 1).map { log.entries[$0].pdu.initiatorTaskTag }
            #expect(ended == tasks.dropFirst().map(\.initiatorTaskTag))
            let read = try session.perform(.read(lba: 0, blockCount: Self.longBlockCount), on: 0)
            #expect(
                read.data
                    == InitiatorSession.pattern(
                        lba: 0, blockCount: Self.longBlockCount, generation: UInt64(tasks.count - 1)))
            try server.stop()
        }

        /// Sends so much ahead on connection 1 that one block more is too much.
        private func fill(_ session: InitiatorSession, _ tasks: inout [InitiatorTask]) throws {
            func byteCount(_ blockCount: Int) -> Int { WirePDU.headerByteCount + 512 * blockCount }
            var left = Self.heldByteLimit
            while left > byteCount(1) {
                let fitting = (left - 1 - WirePDU.headerByteCount) / 512
                let blockCount = min(Self.longBlockCount, fitting)
                tasks.append(try session.submit(write(generation: tasks.count, blockCount: blockCount), on: 1))
                left -= byteCount(blockCount)
            }
        }

        @Test("A connection that runs ahead alone, with nobody to bring the missing command, is closed")
        func alone() throws {
            let server = try MartletServer("ram/1M")
            let session = try server.url.session()
            // The first number is used up and never sent.
            _ = try session.takeCmdSN()
            for generation in 0..<20 {
                let command = write(generation: generation, blockCount: Self.longBlockCount)
                guard (try? session.submit(command, on: 0)) != nil else { break }
            }
            #expect(try session.take(seconds: 10) { session.liveCIDs.isEmpty })
            let next = try server.url.session()
            try next.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }
    }
}
