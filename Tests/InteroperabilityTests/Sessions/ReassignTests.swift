// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// TASK REASSIGN of a task whose end was asked for while its handler has it (RFC 7143 7.2.2): nobody goes on with it.
    @Suite("Sessions: reassignment of tasks that are ending", .needsRecovery, .needsSeveralConnections)
    struct ReassignTests {
        private static let taskDoesNotExist: UInt8 = 1
        /// Holds the first write, which then fails, and never reaches the store.
        private static let unit = "fault:hang=100%,on=write,max=1,release=2s+ram/1M"
        private static let heldTime = Duration.seconds(2)

        /// What ends the task, after its connection was lost.
        enum Ending: String, CaseIterable, CustomTestStringConvertible {
            case logout = "a logout of its connection"
            case retention = "the end of DefaultTime2Retain"
            case abortTask = "ABORT TASK"
            case abortTaskSet = "ABORT TASK SET"

            var testDescription: String { rawValue }
        }

        private func session(_ url: LogicalUnitURL, retainSeconds: Int) throws -> InitiatorSession {
            let session = try url.session {
                $0.maxConnections = 2
                $0.errorRecoveryLevel = 2
                $0.time2WaitSeconds = 0
                $0.time2RetainSeconds = retainSeconds
            }
            session.asksAgain = false
            try session.addConnection(cid: 1)
            return session
        }

        /// Begins what ends the task, and returns the tag of a request that is answered when it has ended.
        private func begin(_ ending: Ending, _ task: InitiatorTask, _ session: InitiatorSession) throws -> UInt32? {
            switch ending {
            case .logout: return try session.startLogout(.closeConnection, about: 1, on: 0)
            case .abortTask: return try session.start(session.managementRequest(.abortTask, task: task), on: 0)
            case .abortTaskSet: return try session.start(session.managementRequest(.abortTaskSet), on: 0)
            case .retention:
                try session.drain(milliseconds: 1500)
                return nil
            }
        }

        @Test("It is not run again, and not answered", arguments: Ending.allCases)
        func ending(ending: Ending) throws {
            let server = try MartletServer(Self.unit)
            let session = try session(server.url, retainSeconds: ending == .retention ? 1 : 20)
            let width = try session.windowWidth
            let start = ContinuousClock.now
            let task = try session.submit(.write(lba: 8, InitiatorSession.pattern(lba: 8, blockCount: 4)), on: 1)
            try session.ping(on: 1)
            try session.cutAndAwaitNotice(1)
            let tag = try begin(ending, task, session)
            let response = try session.reassign(task, to: 0)
            // What ended it was asked for first: the task belongs to nobody any more. A function that aborts it leaves it
            // with the session until it has ended, and says so itself.
            switch ending {
            case .logout, .retention: #expect(response == Self.taskDoesNotExist)
            case .abortTask, .abortTaskSet: #expect(response <= Self.taskDoesNotExist)
            }
            if let tag {
                #expect(try session.answer(to: tag, awaiting: "the end of the task").header[2] == 0)
            }
            try session.addConnection(cid: 1)
            #expect(ContinuousClock.now - start >= Self.heldTime)
            for cid in session.liveCIDs { try session.ping(on: cid) }
            #expect(!task.isEnded)
            session.forget(task)
            #expect(try session.perform(.read(lba: 8, blockCount: 4)).data == [UInt8](repeating: 0, count: 2048))
            #expect(try session.windowWidth == width)
            try session.expectData(lba: 8, blockCount: 4)
            #expect(try session.logout().response == 0)
            try server.stop()
        }

        @Test("One that nobody ended is held as long, goes on, and is told once, with what the handler said")
        func goesOn() throws {
            let server = try MartletServer(Self.unit)
            let session = try session(server.url, retainSeconds: 20)
            let task = try session.submit(.write(lba: 8, InitiatorSession.pattern(lba: 8, blockCount: 4)), on: 1)
            try session.ping(on: 1)
            try session.cutAndAwaitNotice(1)
            #expect(try session.reassign(task, to: 0) == 0)
            #expect(try session.reassign(task, to: 0) == 3, "Task still allegiant")
            // ABORTED COMMAND.
            #expect(try session.wait(for: task).senseCode.map { $0 >> 16 } == 0xB)
            try session.expectData(lba: 8, blockCount: 4)
            try server.stop()
        }
    }
}
