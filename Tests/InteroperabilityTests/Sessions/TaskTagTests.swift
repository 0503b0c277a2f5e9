// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// An Initiator Task Tag names one task of the whole session, from its command to its status (RFC 7143 11.2.1.8).
    @Suite("Sessions: task tags")
    struct TaskTagTests {
        private static let bytes = InitiatorSession.pattern(lba: 0, blockCount: 8)

        /// Two connections, so that a tag can be used on either.
        private func session(_ server: MartletServer, level: Int) throws -> InitiatorSession {
            let session = try server.url.session {
                $0.errorRecoveryLevel = level
                $0.maxConnections = 2
                $0.time2WaitSeconds = 0
                $0.initialR2T = true
                $0.immediateData = false
            }
            try session.addConnection(cid: 1)
            return session
        }

        /// A write that waits for its data.
        private func waitingWrite(_ session: InitiatorSession, on cid: UInt16) throws -> InitiatorTask {
            session.holdsR2Ts = true
            let task = try session.submit(.write(lba: 0, Self.bytes), on: cid)
            try session.pump(awaiting: "an R2T", alive: nil) { task.heldR2Ts.count == 1 }
            session.holdsR2Ts = false
            return task
        }

        private func answerR2T(of task: InitiatorTask, _ session: InitiatorSession) throws {
            for pdu in task.dataOut(task.heldR2Ts[0]) { try session.send(pdu, on: task.cid) }
        }

        /// Sends a command under the tag of another, and returns why it was rejected.
        private func useTag(
            of task: InitiatorTask, for command: InitiatorCommand, _ session: InitiatorSession, on cid: UInt16
        ) throws -> UInt8? {
            let count = session.rejects.count
            let connection = session.connection(cid)
            connection?.sendFilter = { pdu in
                if pdu.opcode == WirePDU.Opcode.scsiCommand { pdu.initiatorTaskTag = task.initiatorTaskTag }
                return .whole
            }
            let second = try session.submit(command, on: cid)
            connection?.sendFilter = nil
            session.forget(second)
            try session.ping(on: cid, isImmediate: false)
            guard session.rejects.count == count + 1 else { return nil }
            #expect(session.rejects[count].header.cmdSN == second.cmdSN)
            #expect(session.rejects[count].cid == cid)
            return session.rejects[count].reason
        }

        @Test("A tag that is in use is rejected on every connection, and its task goes on", arguments: 0...2)
        func inUse(level: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level: level)
            let task = try waitingWrite(session, on: 0)
            let others: [InitiatorCommand] = [
                .testUnitReady, .read(lba: 8, blockCount: 8), .write(lba: 0, [UInt8](repeating: 1, count: 512)),
                InitiatorCommand.testUnitReady.with(.headOfQueue),
            ]
            for command in others {
                for cid in session.liveCIDs {
                    #expect(try useTag(of: task, for: command, session, on: cid) == SequenceRule.taskInProgress)
                }
            }
            var immediate = InitiatorCommand.testUnitReady
            immediate.isImmediate = true
            #expect(try useTag(of: task, for: immediate, session, on: 1) == SequenceRule.taskInProgress)
            try answerR2T(of: task, session)
            #expect(try session.wait(for: task).isGood)
            #expect(try session.perform(.read(lba: 0, blockCount: 8)).data == Self.bytes)
            // The rejected commands hold no place of the window.
            for _ in 0..<600 { #expect(try session.perform(.testUnitReady).isGood) }
            try server.stop()
        }

        @Test("A tag is free again when its status has come, whether that is acknowledged or not", arguments: 0...2)
        func freeAfterStatus(level: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level: level)
            for cid: UInt16 in [0, 1] where level > 0 {
                let connection = try #require(session.connection(cid))
                let expStatSN = connection.expStatSN
                connection.sendFilter = {
                    $0.expStatSN = expStatSN
                    return .whole
                }
            }
            for index in 0..<1000 {
                let lba = UInt64(index % 100)
                let command: InitiatorCommand =
                    index.isMultiple(of: 2)
                    ? .write(lba: lba, InitiatorSession.pattern(lba: lba, blockCount: 1))
                    : .read(lba: lba, blockCount: 1)
                let task = try session.submit(command, on: UInt16(index % 2), tag: 77)
                #expect(try session.wait(for: task).isGood)
            }
            #expect(session.rejects.isEmpty)
            try server.stop()
        }

        @Test("A tag is free again when its task has been aborted")
        func freeAfterAbort() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level: 0)
            for function in [InitiatorSession.TaskManagementFunction.abortTask, .abortTaskSet] {
                let task = try waitingWrite(session, on: 0)
                #expect(try session.manage(function, task: task, on: 0) == 0)
                session.forget(task)
                let again = try session.submit(.testUnitReady, on: 1, tag: task.initiatorTaskTag)
                #expect(try session.wait(for: again).isGood)
            }
            try server.stop()
        }

        @Test("A lost connection sets the tags of its tasks free, unless they wait to be reassigned", arguments: 0...2)
        func afterLostConnection(level: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, level: level)
            let task = try waitingWrite(session, on: 1)
            session.cut(1)
            // Event 2: the target has noticed that the connection is gone.
            try session.pump(awaiting: "an Asynchronous Message", alive: nil) { !session.asyncMessages.isEmpty }
            if level == 2 {
                #expect(try useTag(of: task, for: .testUnitReady, session, on: 0) == SequenceRule.taskInProgress)
                #expect(try session.reassign(task, to: 0) == 0)
                #expect(try session.wait(for: task).isGood)
            }
            session.forget(task)
            let again = try session.submit(.testUnitReady, on: 0, tag: task.initiatorTaskTag)
            #expect(try session.wait(for: again).isGood)
            #expect(session.rejects.count == (level == 2 ? 1 : 0))
            try server.stop()
        }
    }
}
