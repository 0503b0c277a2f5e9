// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Answers that are kept until they are acknowledged (error recovery levels 1 and 2) take memory of their session: who
    /// waits for some has the initiator asked what it has.
    @Suite("Sessions: memory of kept answers", .needsRecovery)
    struct MemoryTests {
        /// Blocks of the longest read; eight of them are all the memory of a session.
        private static let longestBlockCount = 16384
        private static let fullCount = 8

        private func session(_ server: MartletServer, level: Int) throws -> InitiatorSession {
            let session = try server.url.session {
                $0.errorRecoveryLevel = level
                $0.time2WaitSeconds = 0
                $0.maxRecvDataSegmentLength = 1 << 20
                $0.maxBurstLength = 8 << 20
                $0.firstBurstLength = 65536
            }
            try #require(session.negotiated.errorRecoveryLevel == level)
            // Says nothing by itself: it is asked, or nobody knows.
            session.asksAgain = false
            return session
        }

        @Test(
            "Reads that wait for memory get it from answers that are sent later, once these are acknowledged",
            arguments: [1, 2])
        func waits(level: Int) throws {
            // No read ends before all have come.
            let server = try MartletServer("fault:delay=300ms,on=read+ram/16M")
            let session = try session(server, level: level)
            let log = PDULog(session)
            let together = Withheld(session, 0) { $0.opcode == WirePDU.Opcode.scsiCommand }
            let tasks = try (0..<Self.fullCount + 3).map { _ in
                try session.submit(.read(lba: 0, blockCount: Self.longestBlockCount))
            }
            try together.releaseAtOnce()
            #expect(try session.wait(for: tasks).allSatisfy(\.isGood))
            #expect(!log.pings(on: 0).isEmpty)
            try server.stop()
        }
    }
}
