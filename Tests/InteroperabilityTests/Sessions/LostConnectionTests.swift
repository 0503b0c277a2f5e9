// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Lost connections: at each error recovery level not one command is lost and none is done twice. How that is known
    /// is told at `CountingLedger`.
    @Suite("Sessions: lost connections")
    struct LostConnectionTests {
        /// When connections are cut.
        enum Moment: String, CaseIterable, CustomTestStringConvertible {
            case betweenCommands = "between commands"
            case insideData = "in the middle of the Data-Out of a write"
            case beforeStatus = "when a status has come and is not acknowledged"
            case allAtOnce = "all connections at once"
            case lostCommand = "after a command that never arrives, with later ones on other connections"

            var testDescription: String { rawValue }
        }

        private static let rounds = 24
        private static let laneCount = 8
        private static let cutEvery = 64

        private func initiator(
            _ server: MartletServer, level: Int, connectionCount: Int
        ) throws -> RecoveringInitiator {
            let options = server.url.options {
                $0.errorRecoveryLevel = level
                $0.maxConnections = connectionCount
                $0.time2WaitSeconds = 0
                $0.time2RetainSeconds = 20
                $0.firstBurstLength = 1024
                $0.maxBurstLength = 4096
                $0.quietMilliseconds = 2000
            }
            let address = server.url.address
            let cids = (0..<UInt16(connectionCount)).map { $0 }
            return try RecoveringInitiator(
                cids: cids, logIn: { try InitiatorSession.login(address, options) }, prepare: { try $0.becomeReady() })
        }

        /// Cuts a connection every `cutEvery` commands, each time another one.
        private func arrange(_ initiator: RecoveringInitiator, _ moment: Moment) {
            initiator.beforeCommand = { index, session in
                if moment == .lostCommand, index % Self.cutEvery == Self.cutEvery / 2 + 3 {
                    for cid in session.liveCIDs where session.connection(cid)?.sendFilter != nil { session.cut(cid) }
                }
                guard index % Self.cutEvery == Self.cutEvery / 2 else { return }
                let live = session.liveCIDs
                let cid = live[index / Self.cutEvery % live.count]
                let way = InitiatorSession.Cut.allCases[index / Self.cutEvery % 2]
                switch moment {
                case .betweenCommands: session.cut(cid, way)
                case .allAtOnce: for cid in live { session.cut(cid, way) }
                case .lostCommand:
                    session.connection(cid)?.sendFilter = { $0.opcode == WirePDU.Opcode.scsiCommand ? .lost : .whole }
                case .insideData:
                    session.connection(cid)?.sendFilter = { [unowned session] pdu in
                        guard pdu.opcode == WirePDU.Opcode.dataOut, pdu.bufferOffset > 0 else { return .whole }
                        session.cut(cid, way)
                        return .lost
                    }
                case .beforeStatus:
                    session.connection(cid)?.receiveFilter = { [unowned session] pdu in
                        guard pdu.opcode == WirePDU.Opcode.scsiResponse else { return .take }
                        session.cut(cid, way)
                        return .lose
                    }
                }
            }
        }

        private func run(level: Int, connectionCount: Int, _ moment: Moment) throws {
            let server = try MartletServer("ram/4M")
            let initiator = try initiator(server, level: level, connectionCount: connectionCount)
            try #require(initiator.session.negotiated.errorRecoveryLevel == level)
            let calm = CountingLedger(laneCount: Self.laneCount, rounds: Self.rounds, slotBlockCount: 16)
            let calmCount = try work(initiator, calm, level: level)
            arrange(initiator, moment)
            let cut = CountingLedger(
                laneCount: Self.laneCount, rounds: Self.rounds, slotBlockCount: 16, first: UInt64(Self.rounds))
            let cutCount = try work(initiator, cut, level: level)
            switch level {
            case 2:
                #expect(cutCount == calmCount, "commands that the unit has counted")
                #expect(initiator.counts.commandsIssuedAnew == 0 && initiator.counts.sessionsRebuilt == 0)
                #expect(initiator.counts.connectionsRecovered > 0)
                #expect(initiator.counts.commandsRetried > 0 || moment != .lostCommand)
            case 1:
                #expect(initiator.counts.connectionsRecovered + initiator.counts.sessionsRebuilt > 0)
            default:
                #expect(initiator.counts.sessionsRebuilt > 0)
            }
            print("level \(level), \(connectionCount) connections, \(moment.rawValue): \(initiator.counts)")
            try initiator.session.logout()
            try server.stop()
        }

        /// Does the work, checks it, and tells how many write commands the unit has counted for it.
        private func work(_ initiator: RecoveringInitiator, _ ledger: CountingLedger, level: Int) throws -> UInt64 {
            for command in ledger.preparation { #expect(try initiator.session.perform(command).isGood) }
            let before = try CountingLedger.commandCounts(initiator.session).writes
            // Below level 2 nobody tells what became of a command, so that each waits for the one before it.
            if level < 2 { initiator.predecessor = { ledger.predecessor(of: $0) } }
            let endings = try initiator.run(ledger.commands, depth: 12)
            initiator.beforeCommand = nil
            #expect(ledger.faults(endings) == [])
            if level == 2 { #expect(endings.allSatisfy { $0.issueCount == 1 }) }
            let after = try CountingLedger.commandCounts(initiator.session).writes
            #expect(try ledger.faults(onMediumOf: initiator.session) == [])
            return after - before
        }

        @Test("Level 0, one connection: the session is rebuilt", arguments: Moment.allCases)
        func levelZero(moment: Moment) throws {
            try run(level: 0, connectionCount: 1, moment)
        }

        @Test("Level 0, four connections: the session is rebuilt", .needsSeveralConnections, arguments: Moment.allCases)
        func levelZeroOfFour(moment: Moment) throws {
            try run(level: 0, connectionCount: 4, moment)
        }

        @Test(
            "Level 1: the connection is reinstated, its commands are done once", .needsRecovery,
            arguments: Moment.allCases)
        func levelOne(moment: Moment) throws {
            try run(level: 1, connectionCount: 4, moment)
        }

        @Test(
            "Level 2: the tasks are reassigned, each command is told once", .needsRecovery, arguments: Moment.allCases)
        func levelTwo(moment: Moment) throws {
            try run(level: 2, connectionCount: 4, moment)
        }

        @Test(
            "Level 2 with one connection: it is reinstated, and the tasks go on", .needsRecovery,
            arguments: Moment.allCases)
        func levelTwoAlone(moment: Moment) throws {
            try run(level: 2, connectionCount: 1, moment)
        }
    }
}
