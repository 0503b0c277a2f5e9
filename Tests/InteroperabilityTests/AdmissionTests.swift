// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability {
    /// Floods of connections, and the limits on them.
    @Suite("Admission: floods and limits")
    struct AdmissionTests {
        static let floodCount = 1000
        /// How long a good login may take beside a flood.
        static let loginLimitSeconds = 1.0
        /// What the server may keep of a flood that is over: buffers and records that it uses again.
        static let memoryBoundByteCount = 48 << 20

        private static let half = WireSession.loginRequest([("InitiatorName", "iqn.2026-11.org.martlet:half")])
            .encoded()

        private func expectQuickLogin(_ url: LogicalUnitURL, sourceLocation: SourceLocation = #_sourceLocation) throws {
            let start = Date()
            let session = try WireSession(url)
            #expect(Date().timeIntervalSince(start) < Self.loginLimitSeconds, sourceLocation: sourceLocation)
            try session.write(lba: 0, Block.content(lba: 0, generation: 1))
            expectEqual(try session.read(lba: 0, blockCount: 1), Block.content(lba: 0, generation: 1))
        }

        private func waitUntil(_ isSo: () throws -> Bool) rethrows -> Bool {
            let deadline = Date(timeIntervalSinceNow: 10)
            while try !isSo() {
                guard deadline.timeIntervalSinceNow > 0 else { return false }
                _ = poll(nil, 0, 20)
            }
            return true
        }

        private func server(limits: String) throws -> MartletServer {
            try MartletServer(
                configuration: """
                    portals: [{listen: "127.0.0.1:0"}]
                    devices: {disk0: {backstore: ram/1M}}
                    targets: {"iqn.2026-11.org.martlet:admission": {luns: {0: disk0}}}
                    limits: {\(limits)}
                    """)
        }

        @Test(
            "A thousand half-open connections keep nobody out, and leave nothing behind",
            arguments: ["127.0.0.2", "127.0.0.1"])
        func halfOpen(source: String) throws {
            let server = try MartletServer("ram/1M", options: ["--loops", "2"])
            try ProcessLimits.raiseDescriptors(to: Self.floodCount + 200)
            try expectQuickLogin(server.url)
            let before = try ProcessLimits.residentByteCount(server.identifier)
            let connections = try (0..<Self.floodCount).map { number in
                let connection = try WireConnection(host: server.url.host, port: server.url.port, from: source)
                try? connection.send([UInt8](Self.half.prefix(number % Self.half.count)))
                return connection
            }
            try expectQuickLogin(server.url)
            for connection in connections { connection.reset() }
            try expectQuickLogin(server.url)
            let grown = try ProcessLimits.residentByteCount(server.identifier) - before
            #expect(grown < Self.memoryBoundByteCount)
            #expect(server.standardError.contains("connections are at a limit"))
            try server.stop()
        }

        @Test("A session that is logged in outlives a flood from its own address")
        func bystander() throws {
            let server = try server(limits: "half-open: 20, half-open-per-address: 10, connections-per-address: 15")
            let session = try WireSession(server.url)
            try session.write(lba: 1, Block.content(lba: 1, generation: 7))
            for _ in 0..<5 {
                let flood = try (0..<50).map { _ in try WireConnection(server.url) }
                expectEqual(try session.read(lba: 1, blockCount: 1), Block.content(lba: 1, generation: 7))
                #expect(flood.count == 50)
            }
            try expectQuickLogin(server.url)
            try server.stop()
        }

        @Test("A port scanner disturbs nobody")
        func portScan() throws {
            let server = try MartletServer("ram/1M")
            for number in 0..<2000 {
                let connection = try WireConnection(server.url)
                number % 2 == 0 ? connection.close() : connection.reset()
            }
            try expectQuickLogin(server.url)
            try server.stop()
        }

        @Test("Logins that drip byte by byte are ended when the time for a login is over")
        func drip() throws {
            let server = try server(limits: "login-timeout: 2")
            let connections = try (0..<50).map { _ in try WireConnection(server.url) }
            let start = Date()
            var index = 0
            var alive = connections
            while !alive.isEmpty, Date().timeIntervalSince(start) < 10 {
                alive = alive.filter { connection in
                    (try? connection.send([Self.half[index % Self.half.count]])) != nil
                }
                index += 1
                if index % 10 == 5 { try expectQuickLogin(server.url) }
                _ = poll(nil, 0, 100)
            }
            #expect(alive.isEmpty)
            #expect(Date().timeIntervalSince(start) > 1)
            try server.stop()
        }

        @Test("Connections beyond those of an address are closed at once")
        func perAddress() throws {
            let server = try server(limits: "connections-per-address: 3")
            let sessions = try (0..<3).map { number in
                var options = WireSession.Options()
                options.qualifier = UInt16(number + 1)
                return try WireSession(server.url, options)
            }
            #expect(try WireConnection(server.url).isClosedByPeer())
            _ = try WireConnection(host: server.url.host, port: server.url.port, from: "127.0.0.3")
            sessions[0].connection.close()
            #expect(waitUntil { (try? WireSession(server.url)) != nil })
            try server.stop()
        }

        @Test("Sessions beyond those of a target are refused for want of resources, until one ends")
        func perTarget() throws {
            let server = try server(limits: "sessions-per-target: 2")
            var options = WireSession.Options()
            options.qualifier = 1
            let first = try WireSession(server.url, options)
            options.qualifier = 2
            let second = try WireSession(server.url, options)
            options.qualifier = 3
            let connection = try WireConnection(server.url)
            let keys = WireSession.loginKeys(target: server.url.target, options)
            try connection.send(WireSession.loginRequest(keys, qualifier: 3))
            let response = try connection.receivePDU()
            #expect(response.opcode == WirePDU.Opcode.loginResponse)
            #expect(response.header[36] == 3 && response.header[37] == 2)
            // One that takes another's place needs none of its own.
            options.qualifier = 2
            let again = try WireSession(server.url, options)
            first.connection.close()
            options.qualifier = 4
            #expect(waitUntil { (try? WireSession(server.url, options)) != nil })
            again.connection.close()
            second.connection.close()
            try server.stop()
        }

        @Test("Logins and logouts leave nothing behind")
        func cycles() throws {
            let server = try MartletServer("ram/1M", options: ["--loops", "1"])
            var before = 0
            for number in 0..<1200 {
                let session = try WireSession(server.url)
                if number % 3 == 0 { _ = try session.read(lba: 0, blockCount: 1) }
                session.connection.close()
                if number == 200 { before = try ProcessLimits.residentByteCount(server.identifier) }
            }
            let grown = try ProcessLimits.residentByteCount(server.identifier) - before
            #expect(grown < 1 << 20, "\(grown) bytes")
            try server.stop()
        }
    }
}
