// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Responses of commands that a Response Fence stands before (RFC 7143 4.2.2.3.3), for they tell of commands that end
    /// with no status of their own: no status of another connection may come after them that was sent before them.
    @Suite("Sessions: fenced responses")
    struct FencedResponseTests {
        private static func otherSession(_ server: MartletServer) throws -> InitiatorSession {
            try server.url.session { $0.isid = 0x8000_0000_0F0F }
        }

        /// A session with two connections, 0 and 1, that answers no NOP-In.
        private func session(_ server: MartletServer, level: Int = 0) throws -> InitiatorSession {
            let session = try server.url.session {
                $0.maxConnections = 2
                $0.errorRecoveryLevel = level
                $0.answersPings = false
            }
            try session.addConnection(cid: 1)
            return session
        }

        /// Sends `command` on connection 0 while connection 1 has a status that it does not acknowledge: that of `command`
        /// waits until `release`.
        private func expectFence(
            before command: InitiatorCommand, _ session: InitiatorSession, release: () throws -> Void
        ) throws -> CommandOutcome {
            let second = try #require(session.connection(1))
            let expStatSN = second.expStatSN
            second.sendFilter = {
                $0.expStatSN = expStatSN
                return .whole
            }
            // INQUIRY takes no unit attention, and no reservation stands in its way.
            #expect(try session.perform(.inquiry(), on: 1).isGood)
            let pings = session.pings.count
            let task = try session.submit(command, on: 0)
            // The answer of a later request comes, and that of the command does not.
            try session.ping(on: 0, isImmediate: false)
            #expect(!task.isEnded, "the status overtakes that of another connection")
            try session.pump(awaiting: "a NOP-In that asks for an acknowledgement", alive: nil) {
                session.pings.count > pings
            }
            second.sendFilter = nil
            try release()
            return try session.wait(for: task)
        }

        private func expectFence(before command: InitiatorCommand, _ session: InitiatorSession) throws -> CommandOutcome
        {
            try expectFence(before: command, session) {
                session.options.answersPings = true
                try session.ping(on: 1)
            }
        }

        /// A LOGICAL UNIT RESET by another initiator.
        private func expectReset(_ outcome: CommandOutcome) {
            #expect(outcome.status == CommandOutcome.checkCondition)
            #expect(outcome.senseCode.map { $0 >> 8 } == 0x629)
        }

        @Test("A unit attention for cleared commands waits for the other connections", arguments: 0...2, [false, true])
        func unitAttention(level: Int, isWrite: Bool) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level: level)
            #expect(try Self.otherSession(server).manage(.logicalUnitReset) == 0)
            // A write whose unsolicited data are still to come ends by another way.
            let write = InitiatorCommand.write(lba: 0, InitiatorSession.pattern(lba: 0, blockCount: 8))
                .sending(.exactly(immediate: 0, dataOut: 4096))
            try expectReset(expectFence(before: isWrite ? write : .testUnitReady, session))
            try session.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test("A fence ends with the connection that does not acknowledge; the status comes then")
        func lostConnection() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server)
            #expect(try Self.otherSession(server).manage(.logicalUnitReset) == 0)
            try expectReset(expectFence(before: .testUnitReady, session) { session.cut(1) })
            try session.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test("The status of PREEMPT AND ABORT waits for the other connections")
        func preemptAndAbort() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server)
            let other = try Self.otherSession(server)
            #expect(try other.perform(.reserveOut(0, key: 0, serviceActionKey: 7)).isGood)
            #expect(try other.perform(.reserveOut(1, key: 7)).isGood)
            #expect(try session.perform(.reserveOut(0, key: 0, serviceActionKey: 5)).isGood)
            let preempt = InitiatorCommand.reserveOut(5, key: 5, serviceActionKey: 7)
            #expect(try expectFence(before: preempt, session).isGood)
            #expect(try session.perform(.read(lba: 0, blockCount: 1)).isGood)
            try server.stop()
        }
    }
}

extension InitiatorCommand {
    /// PERSISTENT RESERVE OUT (SPC-4 6.14) of a service action, for exclusive access (type 3).
    fileprivate static func reserveOut(_ action: UInt8, key: UInt64, serviceActionKey: UInt64 = 0) -> InitiatorCommand {
        let keys = [key, serviceActionKey].flatMap { value in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> UInt64($0)) }
        }
        return InitiatorCommand(
            [0x5F, action, 3, 0, 0, 0, 0, 0, 24, 0], writing: keys + [UInt8](repeating: 0, count: 8))
    }
}
