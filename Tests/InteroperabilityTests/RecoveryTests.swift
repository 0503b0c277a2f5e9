// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability {
    /// What a task, a request or a session leaves behind when it ends before its time does not touch what comes next.
    @Suite("Recovery", .onEachPoller)
    struct RecoveryTests {
        /// A session may hold buffers for 64 MiB of data: these writes leave 4 MiB of them.
        static let largeBlockCount = 16384  // 8 MiB
        static let fillingBlockCounts = [Int](repeating: largeBlockCount, count: 7) + [largeBlockCount / 2]
        static let unit = "ram/256M"
        /// With one loop, an answer to one session says that what came before from another was taken.
        static let oneLoop = ["--loops", "1"]
        /// For what must happen at once, on a loaded two-core machine.
        static let promptSeconds = 2.0
        static let taskManagementResponse: UInt8 = 0x22

        @Test("A write that waits for memory gets no R2T because of an aborted one before it")
        func abortedBeforeItsR2T() throws {
            let server = try MartletServer(Self.unit, options: Self.oneLoop)
            let peer = try Peer(server.url)
            let large = try fillMemory(peer)
            let small = peer.write(blockCount: 1)
            let waiting = peer.write(blockCount: Self.largeBlockCount)
            let pdus = [peer.ping(), small, peer.abort(small), waiting]
            try peer.connection.send(pdus.flatMap { $0.encoded() })
            let answers = try peer.drain()
            #expect(answers.contains { $0.opcode == Self.taskManagementResponse && $0.header[2] == 0 })
            let early = answers.first {
                $0.opcode == WirePDU.Opcode.r2t && $0.initiatorTaskTag == waiting.initiatorTaskTag
            }
            #expect(early == nil, "an R2T without memory for its data")
            if let early {
                // Data into a buffer that is not there is what would end the server.
                try? peer.connection.send(peer.data([1, 2, 3, 4], of: waiting, transferTag: early.targetTransferTag))
            }
            try expectServes(server.url)
            try peer.connection.send(peer.abort(large[0]))
            let late = try peer.receive { $0.opcode == WirePDU.Opcode.r2t }
            #expect(late.initiatorTaskTag == waiting.initiatorTaskTag)
            try server.stop()
        }

        @Test("A write that fails while it waits for memory leaves nothing to the next write")
        func failedWhileWaiting() throws {
            let server = try MartletServer(Self.unit, options: Self.oneLoop)
            let bystander = try session(server, qualifier: 2)
            let peer = try Peer(server.url)
            let large = try fillMemory(peer)
            let failing = peer.write(blockCount: Self.largeBlockCount)
            // Data after the end of the unsolicited data are an error of the command.
            try peer.connection.send(failing)
            try peer.connection.send(peer.data([UInt8](repeating: 0xEE, count: 512), of: failing))
            let failure = try peer.receive { $0.opcode == WirePDU.Opcode.scsiResponse }
            #expect(failure.initiatorTaskTag == failing.initiatorTaskTag)
            #expect(failure.header[3] == Outcome.checkCondition)

            let lba: UInt64 = 150_000
            let content = Block.contents(lba: lba, blockCount: 512, generation: 9)
            let write = peer.write(lba: lba, blockCount: 512)
            try peer.connection.send(write)
            let r2t = try peer.receive { $0.opcode == WirePDU.Opcode.r2t }
            try #require(r2t.initiatorTaskTag == write.initiatorTaskTag && r2t.desiredLength == UInt32(content.count))
            let pieces = stride(from: 0, to: content.count, by: 8192).map { start in
                let end = min(start + 8192, content.count)
                var pdu = peer.data([UInt8](content[start..<end]), of: write, transferTag: r2t.targetTransferTag)
                pdu.bufferOffset = UInt32(start)
                pdu.dataSN = UInt32(start / 8192)
                if end < content.count { pdu.header[1] &= ~WirePDU.final }
                return pdu
            }
            // Memory comes free when a part of the data is there, and in the middle of a PDU.
            let cut = pieces[1].encoded()
            try peer.connection.send(pieces[0].encoded() + peer.abort(large[0]).encoded() + cut.prefix(1000))
            let aborted = try peer.receive { $0.opcode == Self.taskManagementResponse }
            #expect(aborted.header[2] == 0)
            _ = try bystander.ping([1])
            try peer.connection.send([UInt8](cut.dropFirst(1000)) + pieces[2...].flatMap { $0.encoded() })
            let response = try peer.receive { $0.opcode == WirePDU.Opcode.scsiResponse }
            #expect(response.initiatorTaskTag == write.initiatorTaskTag && response.header[3] == Outcome.good)
            expectEqual(try bystander.read(lba: lba, blockCount: 512), content)
            try server.stop()
        }

        @Test("A command held ahead of a Logout does not run, and the session can be opened again at once")
        func heldAheadOfLogout() throws {
            let folder = try TemporaryFolder()
            let server = try MartletServer("file/\(folder.file("disk.img")),size=64M", options: ["--loops", "2"])
            let peer = try Peer(server.url)
            var held = peer.write(blockCount: 8, data: [UInt8](repeating: 0x48, count: 4096))
            var logout = peer.next(WirePDU(opcode: WirePDU.Opcode.logoutRequest))
            swap(&held.cmdSN, &logout.cmdSN)
            try peer.connection.send(held)
            try peer.connection.send(logout)
            let response = try peer.connection.receivePDU()
            #expect(response.opcode == WirePDU.Opcode.logoutResponse && response.header[2] == 0)
            #expect(try peer.connection.isClosedByPeer())
            let start = Date()
            let again = try WireSession(server.url)
            #expect(Date().timeIntervalSince(start) < Self.promptSeconds)
            expectEqual(try again.read(lba: 0, blockCount: 8), [UInt8](repeating: 0, count: 4096))
            try server.stop()
        }

        @Test("A held command is delivered when the request that closes the gap is rejected")
        func gapClosedByRejected() throws {
            let server = try MartletServer("ram/1M")
            let peer = try Peer(server.url)
            // A Text Request that continues an exchange that is not there.
            var text = peer.next(WirePDU(opcode: WirePDU.Opcode.textRequest))
            text.targetTransferTag = 12345
            let held = peer.testUnitReady()
            try peer.connection.send(held)
            try peer.connection.send(text)
            let answers = [try peer.connection.receivePDU(), try peer.connection.receivePDU()]
            #expect(answers.contains { $0.opcode == WirePDU.Opcode.reject })
            try expectGood(try #require(answers.first { $0.initiatorTaskTag == held.initiatorTaskTag }), held)
            try server.stop()
        }

        @Test("A held command is delivered when the request that closes the gap comes in pieces")
        func gapClosedInPieces() throws {
            let server = try MartletServer("ram/1M", options: Self.oneLoop)
            let bystander = try session(server, qualifier: 2)
            let peer = try Peer(server.url)
            let content = Block.contents(lba: 0, blockCount: 16, generation: 3)
            let write = peer.write(blockCount: 16, data: content)
            let held = peer.testUnitReady()
            try peer.connection.send(held)
            let bytes = write.encoded()
            for start in stride(from: 0, to: bytes.count, by: 3000) {
                try peer.connection.send([UInt8](bytes[start..<min(start + 3000, bytes.count)]))
                _ = try bystander.ping([1])
            }
            let answers = [try peer.connection.receivePDU(), try peer.connection.receivePDU()]
            for request in [write, held] {
                try expectGood(
                    try #require(answers.first { $0.initiatorTaskTag == request.initiatorTaskTag }), request)
            }
            expectEqual(try bystander.read(lba: 0, blockCount: 16), content)
            try server.stop()
        }

        @Test("ABORT TASK ends a failed write whose unsolicited data still come, and frees its tag")
        func abortOfFailedWrite() throws {
            let server = try MartletServer("ram/1M")
            let peer = try Peer(server.url)
            var failed = peer.write(lba: 0xFF_FFFF, blockCount: 8)
            failed.header[1] &= ~WirePDU.final
            try peer.connection.send(failed)
            try peer.connection.send(peer.abort(failed))
            let response = try peer.connection.receivePDU()
            #expect(response.opcode == Self.taskManagementResponse && response.header[2] == 0, "\(response.header)")

            let content = Block.contents(lba: 0, blockCount: 8, generation: 5)
            var write = peer.write(blockCount: 8)
            write.initiatorTaskTag = failed.initiatorTaskTag
            write.header[1] &= ~WirePDU.final
            try peer.connection.send(write)
            try peer.connection.send(peer.data(content, of: write))
            try expectGood(try peer.connection.receivePDU(), write)
            #expect(try peer.drain().isEmpty)
            let other = try session(server, qualifier: 2)
            expectEqual(try other.read(lba: 0, blockCount: 8), content)
            try server.stop()
        }

        @Test("A unit attention after a write has no residual of the write")
        func residual() throws {
            let server = try MartletServer("ram/1M")
            let session = try WireSession(server.url)
            try session.write(lba: 0, Block.contents(lba: 0, blockCount: 8, generation: 1))
            let request = WirePDU(opcode: WirePDU.Opcode.taskManagementRequest | WirePDU.immediate, flags: 0x85)
            let reset = try session.ask(request)
            #expect(reset.opcode == Self.taskManagementResponse && reset.header[2] == 0)
            let outcome = try session.perform(Command(cdb: CDB.testUnitReady))
            #expect(outcome.status == Outcome.checkCondition && outcome.sense?.key == 0x06)
            #expect(outcome.residual == 0)
            try server.stop()
        }

        @Test("The server ends at once beside a write that waits", arguments: ["an R2T", "unsolicited data", "memory"])
        func stopWithWaitingWrite(wait: String) throws {
            let server = try MartletServer(Self.unit)
            let peer = try Peer(server.url)
            if wait == "memory" { _ = try fillMemory(peer) }
            var write = peer.write(blockCount: Self.largeBlockCount)
            if wait == "unsolicited data" { write.header[1] &= ~WirePDU.final }
            try peer.connection.send(write)
            #expect(try peer.drain().isEmpty == (wait != "an R2T"))
            server.send(SIGTERM)
            #expect(try server.waitForEnd(limitSeconds: Self.promptSeconds) == .exit(0), "\(server.standardError)")
        }

        /// Starts the writes of `fillingBlockCounts`, and returns them when each has its memory.
        private func fillMemory(_ peer: Peer) throws -> [WirePDU] {
            let writes = Self.fillingBlockCounts.map { peer.write(blockCount: $0) }
            for write in writes { try peer.connection.send(write) }
            let answers = try peer.drain()
            #expect(answers.allSatisfy { $0.opcode == WirePDU.Opcode.r2t })
            #expect(Set(answers.map(\.initiatorTaskTag)) == Set(writes.map(\.initiatorTaskTag)))
            return writes
        }

        private func session(_ server: MartletServer, qualifier: UInt16) throws -> WireSession {
            var options = WireSession.Options()
            options.qualifier = qualifier
            return try WireSession(server.url, options)
        }

        private func expectGood(
            _ response: WirePDU, _ request: WirePDU, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            #expect(response.opcode == WirePDU.Opcode.scsiResponse, sourceLocation: sourceLocation)
            #expect(response.initiatorTaskTag == request.initiatorTaskTag, sourceLocation: sourceLocation)
            #expect(response.header[3] == Outcome.good, sourceLocation: sourceLocation)
        }
    }
}
