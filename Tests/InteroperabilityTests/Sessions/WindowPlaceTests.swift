// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Commands that end while their connection is gone give their places in the command window back (RFC 7143 4.2.2.1):
    /// otherwise each cut would leave the session a narrower one.
    @Suite("Sessions: the command window after lost connections", .needsRecovery, .needsSeveralConnections)
    struct WindowPlaceTests {
        /// Reads of the last blocks are held for a while. They end with ABORTED COMMAND.
        private static let unit = "fault:hang=100%,on=read,range=1024..2047,release=700ms+ram/1M"
        private static let heldMilliseconds = 700
        /// In three rounds more commands than the window has places.
        private static let commandCount = 100
        private static let rounds = 3

        /// What becomes of commands whose connection is cut while their handler has them.
        enum Fate: String, CaseIterable, CustomTestStringConvertible {
            case aborted = "they are aborted with it, or by a logout"
            /// Only level 2 keeps them so long.
            case endedUnheard = "they end by themselves, and are logged out after that"
            case taskAborted = "another initiator has reset their unit: they end with TASK ABORTED"

            var testDescription: String { rawValue }
            func isPossible(atLevel level: Int) -> Bool { self != .endedUnheard || level == 2 }
        }

        private static let cases = [0, 1, 2].flatMap { level in
            Fate.allCases.filter { $0.isPossible(atLevel: level) }.map { (level, $0) }
        }

        /// MODE SELECT of the Control mode page with TAS one.
        private static let reportTaskAborted: InitiatorCommand = {
            var page: [UInt8] = [0x0A, 10] + [UInt8](repeating: 0, count: 10)
            page[2] = 0b001 << 5 | 0x02  // TST, GLTSD
            page[3] = 0b0001 << 4
            page[5] = 0x40
            page[8] = 0xFF
            page[9] = 0xFF
            return InitiatorCommand([0x15, 0x10, 0, 0, 16, 0], writing: [0, 0, 0, 0] + page)
        }()

        /// One round: commands on connection 1, its end, theirs, and a new connection 1.
        private func lose(_ fate: Fate, _ session: InitiatorSession, _ other: InitiatorSession) throws {
            if fate == .taskAborted {
                #expect(try other.perform(Self.reportTaskAborted).isGood)
                try session.becomeReady()
            }
            let tasks = try (0..<Self.commandCount).map {
                try session.submit(.read(lba: 1024 + UInt64($0), blockCount: 1), on: 1)
            }
            try session.ping(on: 1)
            var reset: UInt32?
            if fate == .taskAborted {
                reset = try other.start(other.managementRequest(.logicalUnitReset))
                try other.ping()
            }
            try session.cutAndAwaitNotice(1)
            if fate == .endedUnheard { try session.drain(milliseconds: Self.heldMilliseconds + 200) }
            if session.negotiated.errorRecoveryLevel == 2 {
                #expect(try session.logout(.closeConnection, about: 1, on: 0).response == 0)
            }
            try session.addConnection(cid: 1)
            if let reset { #expect(try other.answer(to: reset, awaiting: "the end of a reset").header[2] == 0) }
            // Nobody is told of them.
            #expect(tasks.allSatisfy { !$0.isEnded })
            for task in tasks { session.forget(task) }
            for each in [session, other] { try each.becomeReady() }
        }

        @Test("It is as wide as before, whatever became of the commands", arguments: cases)
        func window(level: Int, fate: Fate) throws {
            let server = try MartletServer(Self.unit, options: ["--loops", "1"])
            let other = try server.url.session {
                $0.isid = 0x8000_0000_0B0B
                $0.initiatorName = "iqn.2026-11.org.martlet:other"
            }
            let session = try server.url.session {
                $0.maxConnections = 2
                $0.errorRecoveryLevel = level
                $0.time2WaitSeconds = 0
            }
            try #require(session.negotiated.errorRecoveryLevel == level)
            session.asksAgain = false
            try session.addConnection(cid: 1)
            let width = try session.windowWidth
            try #require(width > Self.commandCount && width < Self.rounds * Self.commandCount)
            for _ in 0..<Self.rounds { try lose(fate, session, other) }
            #expect(try session.windowWidth == width)
            let tasks = try (0..<width).map { _ in try session.submit(.testUnitReady, on: 1) }
            #expect(try session.wait(for: tasks).allSatisfy(\.isGood))
            try session.expectData(lba: 0, blockCount: 8)
            #expect(try session.logout().response == 0)
            try server.stop()
        }
    }
}
