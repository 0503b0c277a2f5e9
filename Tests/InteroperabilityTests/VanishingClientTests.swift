// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability {
    @Suite("Clients that vanish", .onEachPoller)
    struct VanishingClientTests {
        enum Moment: String, CaseIterable, CustomTestStringConvertible {
            case immediateData = "in the middle of immediate data"
            case unsolicitedData = "before unsolicited data"
            case solicitedData = "after an R2T"
            case manyWrites = "with 16 writes half sent"
            case reads = "with 16 long reads unanswered"

            var testDescription: String { rawValue }
        }

        @Test("A client that vanishes leaves another session's data alone", arguments: Moment.allCases, [true, false])
        func vanish(at moment: Moment, withReset: Bool) throws {
            let server = try MartletServer("ram/16M", options: ["--loops", "2"])
            var workload = Workload(try Initiator(server.url), first: 8192, blockCount: 8192, seed: seed)
            for round in 0..<8 {
                let session = try WireSession(server.url)
                try leave(session, at: moment, cut: 1000 + 513 * round)
                withReset ? session.connection.reset() : session.connection.close()
                try workload.step()
            }
            try workload.verifyAll()
            try expectServes(server.url)
            try server.stop()
        }

        /// Handlers' threads complete commands of connections that have gone: with a send for each response, the send is
        /// what finds that out, in the middle of the completion.
        @Test(
            "A client that vanishes before its reads are done is found out in whatever way responses are sent",
            arguments: ["off", "turn", "adaptive", "classic"])
        func completionsAfterTheEnd(coalescing: String) throws {
            let folder = try TemporaryFolder()
            let server = try MartletServer(
                "file/\(folder.path)/disk.img,size=16M", options: ["--loops", "1", "--coalesce", coalescing])
            for round in 0..<60 {
                let session = try WireSession(server.url)
                for number in 0..<100 {
                    try session.submit(.read16(lba: UInt64(number * 8), blockCount: round % 2 == 0 ? 8 : 256))
                }
                session.connection.reset()
            }
            try expectServes(server.url)
            try server.stop()
        }

        @Test("A unit stays usable for the session that comes after one that vanished in a write")
        func sameRegion() throws {
            let server = try MartletServer("ram/1M")
            let vanishing = try WireSession(server.url)
            try leave(vanishing, at: .solicitedData, cut: 0)
            vanishing.connection.reset()
            let content = Block.contents(lba: 0, blockCount: 1024, generation: 5)
            let session = try WireSession(server.url)
            try session.write(lba: 0, content)
            expectEqual(try session.read(lba: 0, blockCount: 1024), content)
            try server.stop()
        }

        private func leave(_ session: WireSession, at moment: Moment, cut: Int) throws {
            var write = WirePDU(opcode: WirePDU.Opcode.scsiCommand, flags: 0xA1)
            write.lun = session.lun
            write.initiatorTaskTag = 0x9000
            write.expectedLength = 524_288
            write.cmdSN = session.cmdSN
            write.expStatSN = session.expStatSN
            write.header.replaceSubrange(32..<48, with: CDB.block16(0x8A, lba: 0, blockCount: 1024))
            switch moment {
            case .immediateData:
                write.data = [UInt8](repeating: 0xDD, count: 8192)
                try session.connection.send([UInt8](write.encoded().prefix(cut)))
            case .unsolicitedData:
                write.header[1] &= ~WirePDU.final
                try session.connection.send(write)
            case .solicitedData:
                try session.connection.send(write)
                guard try session.connection.receivePDU().opcode == WirePDU.Opcode.r2t else {
                    throw HarnessError("no R2T")
                }
            case .manyWrites:
                for number in 0..<UInt32(16) {
                    write.initiatorTaskTag = 0x9000 + number
                    write.cmdSN = session.cmdSN &+ number
                    try session.connection.send(write)
                }
            case .reads:
                for _ in 0..<16 { try session.submit(.read16(lba: 0, blockCount: 4096)) }
            }
        }
    }
}
