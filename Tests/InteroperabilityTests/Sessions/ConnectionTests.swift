// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Several connections in one session (RFC 7143 4.2.2.1, 4.6.3).
    @Suite("Sessions: several connections", .needsSeveralConnections)
    struct ConnectionTests {
        private func session(_ server: MartletServer, _ level: Int = 0) throws -> InitiatorSession {
            let session = try server.url.session {
                $0.maxConnections = 4
                $0.errorRecoveryLevel = level
                $0.initialR2T = true
                $0.immediateData = false
                $0.time2WaitSeconds = 0
            }
            try #require(session.negotiated.maxConnections == 4)
            for cid: UInt16 in [1, 2, 3] { try session.addConnection(cid: cid) }
            return session
        }

        @Test("Four connections share the commands of a session, and each answers its own")
        func four() throws {
            let server = try MartletServer("ram/4M")
            let session = try session(server)
            var tasks: [InitiatorTask] = []
            for index in 0..<64 {
                let lba = UInt64(index) * 16
                let bytes = InitiatorSession.pattern(lba: lba, blockCount: 16)
                tasks.append(try session.submit(.write(lba: lba, bytes), on: UInt16(index % 4)))
            }
            #expect(try session.wait(for: tasks).allSatisfy(\.isGood))
            for index in 0..<64 {
                let lba = UInt64(index) * 16
                let read = try session.perform(.read(lba: lba, blockCount: 16), on: UInt16((index + 1) % 4))
                #expect(read.data == InitiatorSession.pattern(lba: lba, blockCount: 16))
            }
            for cid in session.liveCIDs { #expect(try session.ping([9], on: cid) == [9]) }
            #expect(try session.logout(on: 2).response == 0)
            try server.stop()
        }

        @Test("Commands are done in the order of CmdSN, whichever connections they come on in whichever order")
        func order() throws {
            let server = try MartletServer("ram/4M")
            let session = try session(server)
            let ledger = CountingLedger(laneCount: 1, rounds: 8, slotBlockCount: 1)
            for command in ledger.preparation { #expect(try session.perform(command).isGood) }
            let increments = ledger.commands
            // The first goes out last: all others have to wait for it.
            session.connection(0)?.sendFilter = { _ in .lost }
            let first = try session.submit(increments[0], on: 0)
            session.connection(0)?.sendFilter = nil
            let others = try increments.dropFirst().enumerated().map { index, command in
                try session.submit(command, on: UInt16(1 + index % 3))
            }
            try session.ping(on: 1)
            #expect(others.allSatisfy { !$0.isEnded })
            try session.retry(first, on: 0)
            let outcomes = try session.wait(for: [first] + others)
            #expect(outcomes.allSatisfy { $0.isGood })
            #expect(try ledger.faults(onMediumOf: session) == [])
            try server.stop()
        }

        @Test("A connection more than MaxConnections is refused, and the session goes on")
        func tooMany() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server)
            let refusal = #expect(throws: LoginRefusal.self) { try session.addConnection(cid: 4) }
            #expect(refusal?.status == 0x0206)
            try session.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test("A logout closes one connection; its tasks are ended, those of others are not")
        func logoutOfOne() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server)
            session.holdsR2Ts = true
            let bytes = InitiatorSession.pattern(lba: 0, blockCount: 4)
            let tasks = try [1, 2].map { try session.submit(.write(lba: 0, bytes), on: $0) }
            try session.pump(awaiting: "R2Ts", alive: nil) { tasks.allSatisfy { $0.heldR2Ts.count == 1 } }
            #expect(try session.logout(.closeConnection, about: 1, on: 0).response == 0)
            #expect(try session.logout(.closeConnection, about: 9, on: 0).response == 1, "CID not found")
            session.holdsR2Ts = false
            for pdu in tasks[1].dataOut(tasks[1].heldR2Ts[0]) { try session.send(pdu, on: 2) }
            #expect(try session.wait(for: tasks[1]).isGood)
            session.forget(tasks[0])
            try session.addConnection(cid: 1)
            try session.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test("A connection that takes the CID of a live one ends it, and the tasks of it alone")
        func reinstatement() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server)
            session.holdsR2Ts = true
            let bytes = InitiatorSession.pattern(lba: 0, blockCount: 4)
            let tasks = try [1, 2].map { try session.submit(.write(lba: 0, bytes), on: $0) }
            try session.pump(awaiting: "R2Ts", alive: nil) { tasks.allSatisfy { $0.heldR2Ts.count == 1 } }
            try session.addConnection(cid: 1)
            session.forget(tasks[0])
            session.holdsR2Ts = false
            for pdu in tasks[1].dataOut(tasks[1].heldR2Ts[0]) { try session.send(pdu, on: 2) }
            #expect(try session.wait(for: tasks[1]).isGood)
            #expect(try session.perform(.testUnitReady, on: 1).isGood)
            #expect(session.liveCIDs == [0, 1, 2, 3])
            try server.stop()
        }

        static let resets: [(InitiatorSession.TaskManagementFunction, Int)] = [
            (.abortTask, 1), (.abortTaskSet, 3), (.clearTaskSet, 3), (.logicalUnitReset, 3),
        ]

        @Test("Task management on one connection reaches tasks of all", arguments: resets.indices)
        func taskManagement(index: Int) throws {
            let (function, endedCount) = Self.resets[index]
            let server = try MartletServer("ram/1M")
            let session = try session(server)
            session.holdsR2Ts = true
            let bytes = InitiatorSession.pattern(lba: 0, blockCount: 4)
            let tasks = try [1, 2, 3].map { try session.submit(.write(lba: 0, bytes), on: $0) }
            try session.pump(awaiting: "R2Ts", alive: nil) { tasks.allSatisfy { $0.heldR2Ts.count == 1 } }
            let referenced = function == .abortTask ? tasks[0] : nil
            #expect(try session.manage(function, task: referenced, on: 0) == 0)
            session.holdsR2Ts = false
            // What was ended says nothing more; what was not goes on.
            for task in tasks.dropFirst(endedCount) {
                for pdu in task.dataOut(task.heldR2Ts[0]) { try session.send(pdu, on: task.cid) }
                #expect(try session.wait(for: task).isGood)
            }
            for cid in session.liveCIDs { try session.ping(on: cid) }
            #expect(tasks.prefix(endedCount).allSatisfy { !$0.isEnded })
            for task in tasks.prefix(endedCount) { session.forget(task) }
            try session.becomeReady()
            try session.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }
    }
}
