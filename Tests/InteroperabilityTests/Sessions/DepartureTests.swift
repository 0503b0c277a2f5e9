// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// What a session remembers of connections that have gone has bounds (docs/safety.md), and goes on working at them.
    @Suite("Sessions: what is kept of lost connections", .needsRecovery, .needsSeveralConnections)
    struct DepartureTests {
        private static let departureLimit: UInt16 = 32
        private static let retentionLimitSeconds = 60
        private static let taskDoesNotExist: UInt8 = 1
        private static let sessionDoesNotExist: UInt16 = 0x020A

        private func session(
            _ url: LogicalUnitURL, _ change: (inout SessionOptions) -> Void = { _ in }
        ) throws -> InitiatorSession {
            let session = try url.session {
                $0.maxConnections = 4
                $0.errorRecoveryLevel = 2
                $0.time2WaitSeconds = 0
                $0.initialR2T = true
                $0.immediateData = false
                change(&$0)
            }
            try #require(session.negotiated.errorRecoveryLevel == 2)
            session.asksAgain = false
            return session
        }

        @Test("Of connections without tasks the last thirty-two are remembered, of one with tasks the tasks")
        func departures() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server.url)
            // The data of a write are not sent before its connection goes.
            try session.addConnection(cid: 1)
            session.holdsR2Ts = true
            let bytes = InitiatorSession.pattern(lba: 0, blockCount: 8)
            let task = try session.submit(.write(lba: 0, bytes), on: 1)
            try session.pump(awaiting: "an R2T", alive: nil) { task.heldR2Ts.count == 1 }
            session.holdsR2Ts = false
            try session.cutAndAwaitNotice(1)
            let last: UInt16 = 40
            for cid in 2...last {
                try session.addConnection(cid: cid)
                try session.cutAndAwaitNotice(cid, cid % 2 == 0 ? .reset : .close)
            }
            // One place is that of the task.
            let firstKept = last - (Self.departureLimit - 1) + 1
            for cid in 2...last {
                let response = try session.logout(.closeConnection, about: cid, on: 0).response
                #expect(response == (cid < firstKept ? 1 : 0), "CID \(cid)")
            }
            #expect(try session.reassign(task, to: 0) == 0)
            #expect(try session.wait(for: task).isGood)
            #expect(try session.perform(.read(lba: 0, blockCount: 8)).data == bytes)
            #expect(try session.logout().response == 0)
            try server.stop()
        }

        /// Commands whose responses are lost, on a connection that is cut then.
        private func loseResponses(_ count: Int, on cid: UInt16, _ session: InitiatorSession) throws -> [InitiatorTask]
        {
            try session.addConnection(cid: cid)
            var lostCount = 0
            session.connection(cid)?.receiveFilter = { pdu in
                guard pdu.opcode == WirePDU.Opcode.scsiResponse else { return .take }
                lostCount += 1
                return .lose
            }
            let tasks = try (0..<count).map { _ in try session.submit(.testUnitReady, on: cid) }
            try session.pump(awaiting: "\(count) responses", alive: nil) { lostCount == count }
            try session.cutAndAwaitNotice(cid)
            try session.ping(on: 0)
            return tasks
        }

        @Test("When all tasks wait to be reassigned the oldest makes room, and the session goes on answering")
        func oldest() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server.url)
            let width = try session.windowWidth
            // Twice the window, and sixteen immediate commands: all that a session may have. The last of them more than
            // that: they take the places of the first of their own connection, whose responses were sent.
            let limit = 2 * width + 16
            var tasks: [InitiatorTask] = []
            for (index, count) in [width, width, 40].enumerated() {
                tasks += try loseResponses(count, on: UInt16(1 + index), session)
            }
            try #require(tasks.count > limit)
            #expect(try session.windowWidth == width)
            for _ in 0..<3 {
                let commands = try (0..<50).map { _ in try session.submit(.testUnitReady, on: 0) }
                #expect(try session.wait(for: commands).allSatisfy(\.isGood))
            }
            try session.expectData(lba: 0, blockCount: 8)
            #expect(try session.reassign(tasks[0], to: 0) == Self.taskDoesNotExist)
            for task in [tasks[width], tasks[tasks.count - 1]] {
                #expect(try session.reassign(task, to: 0) == 0)
                #expect(try session.wait(for: task).isGood)
            }
            #expect(try session.windowWidth == width)
            #expect(try session.logout().response == 0)
            try server.stop()
        }

        @Test(
            "However long the initiator wants to wait, tasks and session are kept for a minute",
            .enabled(if: Interoperability.isSoak, "it takes a minute"))
        func minute() throws {
            let server = try MartletServer("ram/1M")
            let bystander = try server.url.session { $0.isid = 0x8000_0000_0B0B }
            let sessions = try (0..<2).map { index in
                try session(server.url) {
                    $0.isid = 0x8000_0000_0C00 + UInt64(index)
                    $0.time2WaitSeconds = 3600
                }
            }
            try #require(sessions[0].negotiated.time2WaitSeconds == 3600)
            for session in sessions { session.cut(0) }
            try bystander.drain(milliseconds: (Self.retentionLimitSeconds - 10) * 1000)
            try sessions[0].addConnection(cid: 0)
            try sessions[0].expectData(lba: 0, blockCount: 8)
            try bystander.drain(milliseconds: 12_000)
            let refusal = #expect(throws: LoginRefusal.self) { try sessions[1].addConnection(cid: 0) }
            #expect(refusal?.status == Self.sessionDoesNotExist)
            try sessions[0].expectData(lba: 0, blockCount: 8)
            try server.stop()
        }
    }
}
