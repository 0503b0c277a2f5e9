// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// CHAP in whole logins of whole sessions (RFC 7143 12.1.3): to the full feature phase, on every connection.
    @Suite("Sessions: CHAP")
    struct CHAPTests {
        typealias Server = Interoperability.AuthenticationTests.Server
        typealias Algorithm = WireAuthentication.Algorithm
        static let secret = Interoperability.AuthenticationTests.secret
        static let targetSecret = Interoperability.AuthenticationTests.targetSecret
        static let finderSecret = Interoperability.AuthenticationTests.finderSecret
        static let authenticationFailure = Interoperability.AuthenticationTests.authenticationFailure

        private func chap(
            _ algorithms: [Algorithm] = Algorithm.allCases, user: String = "alice", secret: String = secret,
            targetSecret: String? = nil
        ) -> CHAPInitiator {
            let chap = CHAPInitiator(
                name: user, secret: Array(secret.utf8), algorithms: algorithms.map(\.rawValue)
            ) { number, bytes in try Algorithm(rawValue: number)?.digest(bytes) ?? [] }
            chap.targetSecret = targetSecret.map { Array($0.utf8) }
            return chap
        }

        /// What a login by `chap` ends with; 0 is success.
        private func status(_ login: () throws -> Void) throws -> UInt16 {
            do {
                try login()
                return 0
            } catch let refusal as LoginRefusal {
                return refusal.status
            }
        }

        @Test(
            "A session is logged in by each algorithm, one-way and mutual, and refused with another secret",
            arguments: Algorithm.allCases, CHAPInitiator.Encoding.allCases)
        func everyAlgorithm(algorithm: Algorithm, encoding: CHAPInitiator.Encoding) throws {
            let server = try Server(mutual: true)
            for proof in [nil, Self.targetSecret] {
                let right = chap([algorithm], targetSecret: proof)
                right.encoding = encoding
                let session = try server.url.session { right.use(in: &$0) }
                #expect(right.algorithm == algorithm.rawValue)
                #expect(session.loginKeys.contains { $0.key == "CHAP_R" } == (proof != nil))
                #expect(session.loginKeys.first { $0.key == "TargetPortalGroupTag" }?.value == "1")
                try session.expectData(lba: 8, blockCount: 8)
                #expect(try session.logout().response == 0)
                let wrong = chap([algorithm], secret: Self.secret + "?", targetSecret: proof)
                wrong.encoding = encoding
                #expect(
                    try status { _ = try server.url.session { wrong.use(in: &$0) } } == Self.authenticationFailure)
            }
            try server.stop()
        }

        @Test(
            "A target that answers with another secret is found out, and no session is left of it",
            arguments: Algorithm.allCases)
        func wrongTarget(algorithm: Algorithm) throws {
            let server = try Server(mutual: true)
            let deceived = chap([algorithm], targetSecret: "the secret of another target")
            let failure = #expect(throws: InitiatorFailure.self) {
                _ = try server.url.session { deceived.use(in: &$0) }
            }
            #expect(failure?.kind == .violation)
            #expect(failure?.description.contains("the target does not authenticate itself") == true)
            // Of all keys of the answer each matters.
            let sure = chap([algorithm], targetSecret: Self.targetSecret)
            try server.url.session { sure.use(in: &$0) }.expectData(lba: 0, blockCount: 4)
            try server.stop()
        }

        @Test("The first of the initiator's algorithms that the policy allows is chosen")
        func preference() throws {
            let server = try Server(minimum: "sha256")
            for (offered, chosen) in [
                ([Algorithm.md5, .sha3, .sha256], Algorithm.sha3), ([.sha256, .sha3], .sha256),
                ([.sha1, .sha256], .sha256),
            ] {
                let chap = chap(offered)
                try server.url.session { chap.use(in: &$0) }.logout()
                #expect(chap.algorithm == chosen.rawValue)
            }
            let weak = chap([.md5, .sha1])
            #expect(try status { _ = try server.url.session { weak.use(in: &$0) } } == Self.authenticationFailure)
            try server.stop()
        }

        @Test("Texts of the authentication come in pieces as any other", arguments: [16, 90])
        func pieces(byteCount: Int) throws {
            let server = try Server(mutual: true)
            let chap = chap([.sha3], targetSecret: Self.targetSecret)
            let session = try server.url.session {
                $0.textPieceByteCount = byteCount
                chap.use(in: &$0)
            }
            try session.expectData(lba: 0, blockCount: 4)
            try server.stop()
        }

        @Test(
            "Every connection of a session authenticates itself, and one that does not leaves it alone",
            .needsSeveralConnections, arguments: Algorithm.allCases)
        func connections(algorithm: Algorithm) throws {
            let server = try Server(mutual: true)
            let right = chap([algorithm], targetSecret: Self.targetSecret)
            let session = try server.url.session {
                $0.maxConnections = 4
                right.use(in: &$0)
            }
            try session.addConnection(cid: 1)
            #expect(try session.perform(.testUnitReady, on: 1).isGood)
            let bytes = InitiatorSession.pattern(lba: 4, blockCount: 4)
            #expect(try session.perform(.write(lba: 4, bytes), on: 1).isGood)
            #expect(try session.perform(.read(lba: 4, blockCount: 4), on: 0).data == bytes)

            let options = session.options
            let wrong = chap([algorithm], secret: Self.secret + "?", targetSecret: Self.targetSecret)
            // A new connection, one that takes a live one's place: with a wrong secret, and without any.
            for cid: UInt16 in [2, 1] {
                wrong.use(in: &session.options)
                #expect(try status { try session.addConnection(cid: cid) } == Self.authenticationFailure)
                session.options.authenticate = nil
                session.options.authMethod = "None"
                #expect(try status { try session.addConnection(cid: cid) } == Self.authenticationFailure)
                session.options.beginsWithSecurity = false
                #expect(try status { try session.addConnection(cid: cid) } == Self.authenticationFailure)
                session.options = options
            }
            #expect(session.liveCIDs == [0, 1])
            for cid: UInt16 in [0, 1] { #expect(try session.ping([3], on: cid) == [3]) }
            // Nor does somebody else's login under the session's name end it.
            #expect(
                try status {
                    _ = try InitiatorSession.login(server.url.address, server.url.options { wrong.use(in: &$0) })
                }
                    == Self.authenticationFailure)
            #expect(try session.perform(.read(lba: 4, blockCount: 4), on: 1).data == bytes)
            try session.addConnection(cid: 2)
            #expect(try session.logout().response == 0)
            try server.stop()
        }

        @Test("Discovery and targets have users apart")
        func discovery() throws {
            let server = try Server(discovery: true)
            func discover(_ chap: CHAPInitiator?) throws -> [String] {
                var options = SessionOptions(targetName: nil)
                chap?.use(in: &options)
                let session = try InitiatorSession.login(server.url.address, options)
                let names = try session.sendTargets().map(\.name)
                try session.logout()
                return names
            }
            let finder = chap(user: "finder", secret: Self.finderSecret)
            #expect(try discover(finder) == [server.url.target])
            let alice = chap()
            for wrong in [nil, alice, chap(user: "finder"), chap(secret: Self.finderSecret)] {
                #expect(try status { _ = try discover(wrong) } == Self.authenticationFailure)
            }
            #expect(try status { _ = try server.url.session { finder.use(in: &$0) } } == Self.authenticationFailure)
            try server.url.session { alice.use(in: &$0) }.expectData(lba: 0, blockCount: 4)
            try server.stop()
        }
    }
}
