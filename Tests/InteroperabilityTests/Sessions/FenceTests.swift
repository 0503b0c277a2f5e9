// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// The response fence of task management (RFC 7143 4.2.2.3.3, 11.6): its response comes behind all that was sent before
    /// it on other connections of the session, and before all that follows there.
    @Suite("Sessions: response fences", .needsSeveralConnections)
    struct FenceTests {
        /// A fence that nobody acknowledges passes after 5 seconds, and ends after 5 more.
        private static let fenceSeconds = 5.0

        private func session(_ server: MartletServer, cids: [UInt16]) throws -> InitiatorSession {
            let session = try server.url.session { $0.maxConnections = 1 + cids.count }
            for cid in cids { try session.addConnection(cid: cid) }
            return session
        }

        /// Starts a function that concerns no task, so that its response is ready at once, and goes on when the target
        /// has it: what is asked on the same connection later has been answered.
        private func startTask(_ session: InitiatorSession, on cid: UInt16) throws -> UInt32 {
            let tag = try session.start(session.managementRequest(.abortTaskSet), on: cid)
            try session.ping(on: cid)
            return tag
        }

        private func response(to tag: UInt32, _ session: InitiatorSession) throws -> UInt8 {
            let answer = try session.answer(to: tag, awaiting: "the response of task management")
            #expect(answer.opcode == WirePDU.Opcode.taskManagementResponse)
            return answer.header[2]
        }

        @Test("A response waits until what was sent before it elsewhere is acknowledged, and goes before what follows")
        func waits() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, cids: [1])
            let log = PDULog(session)
            let silence = Withheld(session, 1)
            #expect(try session.perform(.testUnitReady, on: 1).isGood)
            let tag = try startTask(session, on: 0)
            try session.pump(awaiting: "a NOP-In", alive: nil) { log.pings(on: 1).count == 1 }
            // A response that does not wait would come now.
            try session.drain(milliseconds: 200)
            #expect(log.responses().isEmpty)
            // This acknowledges, and its own answer is behind the fence.
            try silence.release()
            #expect(try session.ping([7], on: 1) == [7])
            #expect(try response(to: tag, session) == 0)
            let answer = try #require(
                log.places(of: WirePDU.Opcode.nopIn, on: 1).last {
                    log.entries[$0].pdu.initiatorTaskTag != WirePDU.noTag
                })
            #expect(log.responses(on: 0).count == 1 && log.responses()[0] < answer)
            try server.stop()
        }

        @Test("Who acknowledges too little is asked again, and the response need not wait for the end of its time")
        func asksAgain() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, cids: [1])
            let log = PDULog(session)
            let silence = Withheld(session, 1)
            #expect(try session.perform(.testUnitReady, on: 1).isGood)
            let first = try startTask(session, on: 0)
            try session.pump(awaiting: "a NOP-In", alive: nil) { log.pings(on: 1).count == 1 }
            // The next command acknowledges; the NOP-In stays without an answer. The status of this one is new.
            let early = try #require(session.connection(1)).expStatSN
            #expect(try session.perform(.testUnitReady, on: 1).isGood)
            #expect(try response(to: first, session) == 0)
            let second = try startTask(session, on: 0)
            let start = log.entries.count
            // Its answer comes now, as it was before that command.
            #expect(silence.pdus.count == 1 && silence.pdus[0].expStatSN == early)
            try silence.releaseAtOnce()
            #expect(try response(to: second, session) == 0)
            let asked = try #require(log.pings(on: 1, from: start).first, "nobody was asked again")
            #expect(asked < log.responses(on: 0, from: start)[0])
            try server.stop()
        }

        @Test("Connections that acknowledge nothing hold nobody for ever: neither the response nor what is behind it")
        func silent() throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, cids: [1])
            for cid: UInt16 in [0, 1] { _ = Withheld(session, cid) }
            #expect(try session.perform(.testUnitReady, on: 1).isGood)
            let begin = ContinuousClock.now
            let tag = try session.start(session.managementRequest(.abortTaskSet), on: 0)
            #expect(try response(to: tag, session) == 0)
            let passed = ContinuousClock.now - begin
            #expect(passed > .seconds(Self.fenceSeconds - 1), "\(passed)")
            // Its response is not acknowledged either: this waits behind it, for a while.
            #expect(try session.perform(.testUnitReady, on: 1).isGood)
            let ended = ContinuousClock.now - begin
            #expect(ended > passed + .seconds(Self.fenceSeconds - 1) && ended < .seconds(18), "\(ended)")
            try server.stop()
        }

        @Test("A connection that is dropped for its silence holds a response up no longer, and the session goes on")
        func dropped() throws {
            let server = try MartletServer(
                configuration: """
                    portals: [{listen: "127.0.0.1:0"}]
                    devices: {disk0: {backstore: ram/1M}}
                    targets: {"iqn.2026-11.org.martlet:fences": {luns: {0: disk0}}}
                    limits: {keepalive-interval: 1, keepalive-timeout: 2}
                    """)
            let session = try session(server, cids: [1])
            _ = Withheld(session, 1)
            #expect(try session.perform(.testUnitReady, on: 1).isGood)
            let begin = ContinuousClock.now
            let tag = try startTask(session, on: 0)
            #expect(try response(to: tag, session) == 0)
            let passed = ContinuousClock.now - begin
            #expect(passed > .seconds(1.5) && passed < .seconds(Self.fenceSeconds - 0.5), "\(passed)")
            #expect(try session.take(seconds: 5) { session.liveCIDs == [0] })
            #expect(server.standardError.contains("it did not answer a NOP-In"))
            try session.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test(
            "Two functions at once on two connections each have one response, in the order in which they came",
            arguments: [[0, 1], [1, 0], [2, 1]] as [[UInt16]])
        func two(cids: [UInt16]) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, cids: [1, 2, 3])
            let log = PDULog(session)
            for cid in session.liveCIDs { #expect(try session.perform(.testUnitReady, on: cid).isGood) }
            // A third connection holds the first fence up until both are there.
            let silence = Withheld(session, 3)
            let tags = try cids.map { try startTask(session, on: $0) }
            #expect(log.responses().isEmpty)
            try silence.release()
            for tag in tags { #expect(try response(to: tag, session) == 0) }
            for cid in session.liveCIDs {
                #expect(try session.perform(.testUnitReady, on: cid).isGood)
                try session.ping(on: cid)
            }
            #expect(log.responses().map { log.entries[$0].cid } == cids)
            try server.stop()
        }

        @Test(
            "A connection that is lost takes its own fence with it, and no other's",
            arguments: [0, 1, 2, 3] as [UInt16])
        func lost(cid: UInt16) throws {
            let server = try MartletServer("ram/1M")
            let session = try session(server, cids: [1, 2, 3])
            let log = PDULog(session)
            for cid in session.liveCIDs { #expect(try session.perform(.testUnitReady, on: cid).isGood) }
            let silence = Withheld(session, 3)
            let callers: [UInt16] = [0, 1, 2, 1, 0]
            let tags = try callers.map { try startTask(session, on: $0) }
            #expect(log.responses().isEmpty)
            session.cut(cid)
            try session.pump(awaiting: "a message about the lost connection", alive: nil) {
                !session.asyncMessages.isEmpty
            }
            if cid != 3 { try silence.release() }
            for (caller, tag) in zip(callers, tags) where caller != cid {
                #expect(try response(to: tag, session) == 0)
            }
            for cid in session.liveCIDs {
                #expect(try session.perform(.testUnitReady, on: cid).isGood)
                try session.ping(on: cid)
            }
            #expect(log.responses().map { log.entries[$0].cid } == callers.filter { $0 != cid })
            try server.stop()
        }
    }
}
