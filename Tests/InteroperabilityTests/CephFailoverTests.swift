// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// Two servers of one image, with one identity: docs/scale-out.md.
    @Suite("Ceph: two servers, one image", .needsCeph)
    struct CephFailoverTests {
        static let identity = ",serial=MARTLETPAIR"

        private func pair(_ image: CephImage, _ options: String = "") throws -> [MartletServer] {
            let unit = try image.unit(options, attributes: Self.identity)
            return try (0..<2).map { _ in try MartletServer(unit) }
        }

        /// The client that a server says to have taken the image from.
        private func fencedClient(_ server: MartletServer) throws -> Substring {
            let line = try #require(
                server.standardError.split(separator: "\n").last { $0.contains("takes the image over") })
            return try #require(line.split(separator: " ").first { $0.contains(":0/") }).dropLast()
        }

        /// The YAML blocks of docs/scale-out.md, at free ports of loopback and over an image of the test's own.
        private func documented(_ image: CephImage) throws -> [String] {
            let page = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../docs/scale-out.md").standardized
            let blocks = try String(contentsOf: page, encoding: .utf8).components(separatedBy: "```yaml\n").dropFirst()
            return try blocks.map { block in
                let text = try #require(block.components(separatedBy: "```").first)
                let addressed = ["192.0.2.1:3260", "192.0.2.2:3260"].reduce(text) {
                    $0.replacing($1, with: "127.0.0.1:0")
                }
                return addressed.replacing("rbd/rbd/disk0", with: "rbd/\(image.path)")
                    .replacing("/etc/ceph/ceph.conf", with: try #require(Ceph.conf))
            }
        }

        /// The designation descriptors of VPD page 83h that are the logical unit's own: those of the target port differ.
        private static func unitDesignators(_ page: [UInt8]) -> [ArraySlice<UInt8>] {
            var found: [ArraySlice<UInt8>] = []
            var place = 4
            while place + 4 <= page.count {
                let end = place + 4 + Int(page[place + 3])
                guard end <= page.count else { break }
                if page[place + 1] & 0x30 == 0 { found.append(page[place..<end]) }
                place = end
            }
            return found
        }

        @Test("The documented configurations lead to one unit by two paths, and their user may fence")
        func documentedConfigurations() throws {
            let image = try CephImage()
            let servers = try documented(image).map { try MartletServer(configuration: $0) }
            #expect(servers.count == 2 && servers[0].url.target == servers[1].url.target)
            let sessions = try servers.map { try WireSession($0.url) }
            #expect(sessions.map { $0.negotiated["TargetPortalGroupTag"] } == ["1", "2"])
            let serials = try sessions.map { try $0.demand(.inquiry(page: 0x80)) }
            #expect(serials[0] == serials[1])
            let names = try sessions.map { Self.unitDesignators(try $0.demand(.inquiry(page: 0x83))) }
            #expect(names[0] == names[1] && names[0].count >= 2)
            for (number, session) in sessions.enumerated() {
                try session.write(lba: 1, Block.content(lba: 1, generation: UInt64(number + 1)))
            }
            expectEqual(try sessions[1].read(lba: 1, blockCount: 1), Block.content(lba: 1, generation: 2))
            #expect(try Ceph.blocklist().contains(try fencedClient(servers[1])))
            for server in servers { try server.stop() }
        }

        @Test("A server that is killed under load costs no acknowledged write, again and again")
        func killedServer() throws {
            print("seed \(seed)")
            let image = try CephImage()
            let unit = try image.unit(attributes: Self.identity)
            // A server that was killed comes back at its address, as a supervisor has it.
            var servers = try pair(image)
            let urls = servers.map(\.url)
            let initiator = try FailoverInitiator(urls, seed: seed)
            for turn in 0..<(isSoak ? 40 : 6) {
                for _ in 0..<4 { try initiator.round() }
                let victim = initiator.path
                try initiator.round { try servers[victim].kill() }
                #expect(initiator.failoverCount == turn + 1 && initiator.path != victim)
                #expect(try Ceph.blocklist().contains(try fencedClient(servers[1 - victim])))
                servers[victim] = try MartletServer([unit], portal: urls[victim].portal)
                try initiator.round()
            }
            try initiator.verifyAll()
            for server in servers { try server.stop() }
        }

        @Test("The late writes of a server that hung do not land, and it answers NOT READY until its quarantine ends")
        func hungServer() throws {
            print("seed \(seed)")
            let image = try CephImage()
            let servers = try pair(image, ";quarantine=2")
            let initiator = try FailoverInitiator(servers.map(\.url), seed: seed)
            for _ in 0..<4 { try initiator.round() }
            try stopProcess(servers[0].identifier)
            // They wait in its sockets while the other server takes over and writes the same blocks.
            let late = try initiator.abandon()
            servers[0].send(SIGCONT)
            for outcome in try late.session.collect(late.tags) {
                #expect(outcome.sense == FailoverInitiator.standby)
            }
            // Reads are refused, too: a path checker is to see that the path is down.
            let read = try late.session.perform(.read16(lba: 0, blockCount: 1))
            #expect(read.sense == FailoverInitiator.standby)
            try initiator.verifyAll()
            #expect(try Ceph.blocklist().contains(try fencedClient(servers[1])))

            // Then it serves again; who writes to it makes it the owner, and the other one is fenced.
            try servers[0].waitForLog("another server has taken the image over")
            try servers[0].waitForLog("open again")
            for _ in 0..<4 { try initiator.round() }
            try initiator.switchPath()
            for _ in 0..<4 { try initiator.round() }
            #expect(initiator.path == 0 && initiator.failoverCount == 2)
            let displaced = try WireSession(servers[1].url).perform(.read16(lba: 0, blockCount: 1))
            #expect(displaced.sense == FailoverInitiator.standby)
            try initiator.verifyAll()
            for server in servers { try server.stop() }
        }

        @Test("An image that nobody took over goes on after another of the same server was")
        func neighbour() throws {
            let images = try (0..<2).map { _ in try CephImage() }
            let units = try images.map { try $0.unit() }
            let first = try MartletServer(units)
            let sessions = try first.urls.enumerated().map { number, url in
                var options = WireSession.Options()
                options.qualifier = UInt16(number + 1)
                return try WireSession(url, options)
            }
            for session in sessions { try session.write(lba: 0, Block.content(lba: 0, generation: 1)) }
            let second = try MartletServer(units[0])
            try WireSession(second.url).write(lba: 0, Block.content(lba: 0, generation: 2))
            // Both use the connection that is fenced now.
            for session in sessions {
                let outcome = try session.perform(.write16(lba: 0, Block.content(lba: 0, generation: 3)))
                #expect(outcome.sense == FailoverInitiator.standby)
            }
            try first.waitForLog("\(units[1]): open again")
            try sessions[1].write(lba: 0, Block.content(lba: 0, generation: 4))
            let outcome = try sessions[0].perform(.write16(lba: 0, Block.content(lba: 0, generation: 5)))
            #expect(outcome.sense == FailoverInitiator.standby)
            expectEqual(
                try WireSession(second.url).read(lba: 0, blockCount: 1), Block.content(lba: 0, generation: 2))
            try second.stop()
            try first.stop()
        }
    }
}
