// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability {
    /// A command that its store does not end: what waits for it, what does not, and that it ends.
    @Suite("Hung commands", .onEachPoller)
    struct HungCommandTests {
        private static let taskManagementResponse: UInt8 = 0x22
        /// Hangs the first read, and lets it go after a time that a loaded machine does not reach by itself.
        private static let unit = "fault:hang=100%,on=read,max=1,release=400ms+ram/1M"
        private static let hangTime = Duration.milliseconds(400)
        private static let bound = Duration.seconds(10)

        private enum Function: String, CaseIterable {
            case abortTask, abortTaskSet, clearTaskSet, logicalUnitReset, targetWarmReset
        }

        /// RFC 7143 11.5.1.
        private func request(_ function: Function, _ peer: Peer, about command: WirePDU) -> WirePDU {
            var pdu = peer.abort(command)
            switch function {
            case .abortTask: return pdu
            case .abortTaskSet: pdu.header[1] = 0x82
            case .clearTaskSet: pdu.header[1] = 0x84
            case .logicalUnitReset: pdu.header[1] = 0x85
            case .targetWarmReset: pdu.header[1] = 0x86
            }
            pdu[20] = WirePDU.noTag
            pdu[32] = 0
            return pdu
        }

        @Test(
            "Task management waits for a hung command, others do not, and the medium is quiet when it is answered",
            arguments: Function.allCases)
        private func taskManagement(function: Function) throws {
            let server = try MartletServer(Self.unit, options: ["--loops", "1"])
            let peer = try Peer(server.url)
            let begin = ContinuousClock.now
            let hung = peer.read(lba: 0, blockCount: 8)
            let request = request(function, peer, about: hung)
            try peer.connection.send(hung)
            try peer.connection.send(request)
            // The connection, and so its loop, goes on.
            let early = try peer.drain()
            if ContinuousClock.now - begin < Self.hangTime { #expect(early.isEmpty, "\(early.map(\.header))") }
            let response = try early.first ?? peer.receive { $0.opcode == Self.taskManagementResponse }
            let time = ContinuousClock.now - begin
            #expect(response.initiatorTaskTag == request.initiatorTaskTag && response.header[2] == 0)
            #expect(time >= Self.hangTime && time < Self.bound, "\(time)")
            // The aborted command has no response, and the next commands have theirs.
            #expect(try peer.drain().isEmpty)
            try expectServes(server.url)
            try server.stop()
        }

        @Test("A logout and the loss of a connection wait for a hung command, and a new session serves")
        func logout() throws {
            let server = try MartletServer(Self.unit)
            let peer = try Peer(server.url)
            let begin = ContinuousClock.now
            try peer.connection.send(peer.read(lba: 0, blockCount: 8))
            try peer.connection.send(peer.next(WirePDU(opcode: WirePDU.Opcode.logoutRequest)))
            _ = try peer.receive { $0.opcode == WirePDU.Opcode.logoutResponse && $0.header[2] == 0 }
            let time = ContinuousClock.now - begin
            #expect(time < Self.bound, "\(time)")
            try expectServes(server.url)
            try server.stop()

            let second = try MartletServer(Self.unit)
            let vanishing = try Peer(second.url)
            try vanishing.connection.send(vanishing.read(lba: 0, blockCount: 8))
            _ = try vanishing.drain()
            vanishing.connection.close()
            // Another initiator is not held up; the same one waits for its old commands.
            try expectServes(second.url)
            try expectTakenOver(second.url)
            try second.stop()
        }

        /// A session of the same name takes the place of one whose command hung.
        private func expectTakenOver(_ url: LogicalUnitURL) throws {
            let session = try WireSession(url)
            expectEqual(try session.read(lba: 64, blockCount: 8), [UInt8](repeating: 0, count: 4096))
            try session.logout()
        }

        @Test(
            "A server whose commands hang for ever stops within its bound, and flushes",
            arguments: ["hang=100%,on=read", "delay=3600s,on=read"])
        func stop(options: String) throws {
            let folder = try TemporaryFolder()
            let server = try MartletServer("fault:\(options)+file/\(folder.file("disk.img")),size=1M")
            let session = try WireSession(server.url)
            let content = Block.contents(lba: 0, blockCount: 8, generation: 4)
            try session.write(lba: 0, content)
            for lba in 0..<30 as Range<UInt64> { try session.submit(.read16(lba: lba, blockCount: 1)) }
            let begin = ContinuousClock.now
            try server.stop()
            #expect(ContinuousClock.now - begin < .seconds(5))
            #expect(!server.standardError.contains("although commands"), "\(server.standardError)")
            expectEqual(try folder.read("disk.img").prefix(4096), content)
        }
    }
}
