// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability {
    @Suite("Authentication")
    struct AuthenticationTests {
        static let secret = "correct-horse-battery"
        static let targetSecret = "the target's secret"
        static let finderSecret = "whoever looks for it"
        static let authenticationFailure: UInt16 = 0x0201
        static let serviceUnavailable: UInt16 = 0x0301
        /// In which a good initiator must be able to log in, whatever others do.
        static let loginLimitSeconds = 1.0

        /// A server whose target asks for CHAP, and that finds its secrets in files.
        final class Server {
            let martlet: MartletServer
            private let folder: TemporaryFolder

            init(mutual: Bool = false, discovery: Bool = false, minimum: String? = nil) throws {
                let folder = try TemporaryFolder()
                func secret(_ name: String, _ text: String) throws -> String {
                    let path = try folder.write((text + "\n").utf8, to: name)
                    guard chmod(path, 0o600) == 0 else { throw HarnessError("chmod", errno: errno) }
                    return path
                }
                var text = """
                    portals: [{listen: "127.0.0.1:0"}]
                    devices: {d: {backstore: ram/4M}}
                    targets:
                      iqn.2026-11.org.martlet:guarded:
                        luns: {0: d}
                        auth:
                          method: chap
                          user: alice
                          secret-file: "\(try secret("alice", AuthenticationTests.secret))"

                    """
                if mutual {
                    let path = try secret("target", AuthenticationTests.targetSecret)
                    text += "      mutual: {user: disk, secret-file: \"\(path)\"}\n"
                }
                if let minimum { text += "      min-algorithm: \(minimum)\n" }
                if discovery {
                    let path = try secret("finder", AuthenticationTests.finderSecret)
                    text += "discovery-auth: {method: chap, user: finder, secret-file: \"\(path)\"}\n"
                }
                martlet = try MartletServer(configuration: text)
                self.folder = folder
            }

            var url: LogicalUnitURL { martlet.url }

            /// Ends it, and looks at what it said meanwhile.
            func stop(sourceLocation: SourceLocation = #_sourceLocation) throws {
                try martlet.stop(sourceLocation: sourceLocation)
                for secret in [secret, targetSecret, finderSecret] {
                    #expect(!martlet.standardError.contains(secret), sourceLocation: sourceLocation)
                }
            }
        }

        private func options(_ chap: Initiator.CHAP) -> Initiator.Options {
            var options = Initiator.Options()
            options.chap = chap
            return options
        }

        private func expectLogin(
            _ server: Server, _ chap: Initiator.CHAP, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let initiator = try Initiator(server.url, options(chap))
            let content = Block.contents(lba: 3, blockCount: 8, generation: 5)
            try initiator.write(lba: 3, content)
            expectEqual(try initiator.read(lba: 3, blockCount: 8), content, sourceLocation: sourceLocation)
        }

        @Test("libiscsi logs in with the right secret, and with no other")
        func oneWay() throws {
            let server = try Server()
            try expectLogin(server, .init(user: "alice", password: Self.secret))
            let wrong: [Initiator.CHAP] = [
                .init(user: "alice", password: Self.secret + "!"), .init(user: "bob", password: Self.secret),
                .init(user: "alice", password: ""), .init(),
            ]
            for chap in wrong {
                #expect(throws: HarnessError.self) { try Initiator(server.url, options(chap)) }
            }
            try expectLogin(server, .init(user: "alice", password: Self.secret))
            let log = server.martlet.standardError
            #expect(log.contains("authenticationFailure: the response of the user \"alice\" is wrong"), "\(log)")
            #expect(log.contains("authenticationFailure: no user \"bob\" is known here"), "\(log)")
            try server.stop()
        }

        @Test("libiscsi knows the target by mutual CHAP, and no other for it")
        func mutual() throws {
            let server = try Server(mutual: true)
            var chap = Initiator.CHAP(user: "alice", password: Self.secret)
            try expectLogin(server, chap)
            chap.targetUser = "disk"
            chap.targetPassword = Self.targetSecret
            try expectLogin(server, chap)
            chap.targetPassword = "the secret of another"
            #expect(throws: HarnessError.self) { try Initiator(server.url, options(chap)) }
            // A target that has no secret cannot prove itself.
            let other = try Server()
            #expect(throws: HarnessError.self) { try Initiator(other.url, options(chap)) }
            try other.stop()
            try server.stop()
        }

        @Test("Discovery has a user of its own")
        func discovery() throws {
            let server = try Server(discovery: true)
            let finder = Initiator.CHAP(user: "finder", password: Self.finderSecret)
            let found = try Initiator.discover(portal: server.url.portal, chap: finder)
            #expect(found.keys.sorted() == ["iqn.2026-11.org.martlet:guarded"])
            let alice = Initiator.CHAP(user: "alice", password: Self.secret)
            for chap in [Initiator.CHAP(), alice, .init(user: "finder", password: Self.secret)] {
                #expect(throws: HarnessError.self) {
                    try Initiator.discover(portal: server.url.portal, chap: chap)
                }
            }
            #expect(throws: HarnessError.self) { try Initiator(server.url, options(finder)) }
            try expectLogin(server, alice)
            try server.stop()
            // Without discovery-auth whoever asks is told.
            let open = try Server()
            #expect(try Initiator.discover(portal: open.url.portal).count == 1)
            try open.stop()
        }

        @Test("A URL with user and secret is enough for libiscsi's programs", .needs(.iscsiInq))
        func url() throws {
            let server = try Server()
            func ask(_ credentials: String) throws -> Program.Result {
                try Program.iscsiInq.run(["iscsi://\(credentials)\(server.url.portal)/\(server.url.target)/0"])
            }
            let right = try ask("alice%correct-horse-battery@")
            #expect(right.succeeded, "\(right.summary)")
            for credentials in ["", "alice%wrong-horse-battery@", "bob%correct-horse-battery@"] {
                #expect(try !ask(credentials).succeeded)
            }
            try server.stop()
        }

        @Test(
            "Every algorithm, one-way and mutual: right, wrong and reflected",
            arguments: WireAuthentication.Algorithm.allCases)
        func everyAlgorithm(algorithm: WireAuthentication.Algorithm) throws {
            let server = try Server(mutual: true, discovery: true)
            var right = WireAuthentication(secret: Self.secret)
            right.target = server.url.target
            right.algorithm = algorithm
            #expect(try right.login(try WireConnection(server.url)) == (0, false))
            var mutual = right
            mutual.targetSecret = Self.targetSecret
            #expect(try mutual.login(try WireConnection(server.url)) == (0, true))

            var wrong = mutual
            wrong.secret = Self.secret.uppercased()
            var reflected = mutual
            reflected.reflects = true
            var turned = mutual
            turned.secret = Self.targetSecret
            var thief = turned
            thief.user = "disk"
            for bad in [wrong, reflected, turned, thief] {
                let connection = try WireConnection(server.url)
                #expect(try bad.login(connection) == (Self.authenticationFailure, false))
                #expect(try connection.isClosedByPeer())
            }
            var finder = right
            finder.target = nil
            finder.user = "finder"
            finder.secret = Self.finderSecret
            #expect(try finder.login(try WireConnection(server.url)) == (0, false))
            try server.stop()
        }

        @Test("A policy's weaker algorithms are refused")
        func minimum() throws {
            let server = try Server(minimum: "sha256")
            for algorithm in WireAuthentication.Algorithm.allCases {
                var login = WireAuthentication(secret: Self.secret)
                login.target = server.url.target
                login.algorithm = algorithm
                let isStrong = algorithm.rawValue >= WireAuthentication.Algorithm.sha256.rawValue
                #expect(
                    try login.login(try WireConnection(server.url)).status
                        == (isStrong ? 0 : Self.authenticationFailure))
            }
            #expect(throws: HarnessError.self) {
                try Initiator(server.url, options(.init(user: "alice", password: Self.secret)))
            }
            try server.stop()
        }

        @Test("A thousand wrong logins from one address hinder no initiator at another")
        func flood() throws {
            let server = try Server()
            var wrong = WireAuthentication(secret: "not the right secret")
            wrong.target = server.url.target
            var statuses: [UInt16: Int] = [:]
            var slowest = 0.0
            for round in 0..<1_000 {
                let connection = try WireConnection(server.url, from: "127.0.0.2")
                statuses[try wrong.login(connection).status, default: 0] += 1
                guard round % 50 == 0 else { continue }
                let start = Date()
                try expectLogin(server, .init(user: "alice", password: Self.secret))
                slowest = max(slowest, Date().timeIntervalSince(start))
            }
            #expect(slowest < Self.loginLimitSeconds)
            // Ten at once, and one more in every six seconds.
            #expect(statuses[Self.authenticationFailure, default: 0] >= 10)
            #expect(statuses[Self.authenticationFailure, default: 0] < 100)
            #expect(statuses[Self.serviceUnavailable, default: 0] > 900)
            #expect(statuses.count == 2)

            // The address waits, whatever it knows: at two attempts, as a failure may be forgiven between the two logins.
            var right = wrong
            right.secret = Self.secret
            let isHeld = try (0..<2).contains { _ in
                _ = try wrong.login(try WireConnection(server.url, from: "127.0.0.2"))
                return try right.login(try WireConnection(server.url, from: "127.0.0.2")).status
                    == Self.serviceUnavailable
            }
            #expect(isHeld)
            #expect(try right.login(try WireConnection(server.url, from: "127.0.0.3")).status == 0)
            try server.stop()
        }

        @Test("Many logins open at a time are no way around the limit on failures")
        func simultaneous() throws {
            let server = try Server()
            var wrong = WireAuthentication(secret: "not the right secret")
            wrong.target = server.url.target
            let start = Date()
            let open = try (0..<60).map { _ in
                let connection = try WireConnection(server.url, from: "127.0.0.2")
                return (connection, try wrong.begin(connection).keys)
            }
            var statuses: [UInt16: Int] = [:]
            for (connection, keys) in open {
                statuses[try wrong.finish(connection, keys).status, default: 0] += 1
            }
            // One failure may have been forgiven in each six seconds that this took.
            let forgiven = Int(Date().timeIntervalSince(start) / 6) + 1
            #expect((10...10 + forgiven).contains(statuses[Self.authenticationFailure, default: 0]))
            #expect(statuses.values.reduce(0, +) == open.count)
            #expect(statuses.keys.sorted() == [Self.authenticationFailure, Self.serviceUnavailable])
            try expectLogin(server, .init(user: "alice", password: Self.secret))
            try server.stop()
        }

        @Test("A secret that others can read stops the start, with the line and without the secret")
        func exposedSecret() throws {
            let folder = try TemporaryFolder()
            let path = try folder.write(Self.secret.utf8, to: "alice")
            #expect(chmod(path, 0o644) == 0)
            let file = try folder.write(
                """
                portals: [{listen: "127.0.0.1:0"}]
                devices: {d: {backstore: ram/1M}}
                targets:
                  iqn.2026-11.org.martlet:a:
                    luns: {0: d}
                    auth: {method: chap, user: alice, secret-file: "\(path)"}

                """.utf8, to: "martlet.yaml")
            let result = try Program.run(MartletServer.path, ["serve", "--config", file])
            #expect(result.ending == .exit(2))
            #expect(result.error.contains("martlet.yaml:6: secret-file \(path) has the mode 0644"), "\(result.error)")
            #expect(!result.error.contains(Self.secret))
        }
    }
}
