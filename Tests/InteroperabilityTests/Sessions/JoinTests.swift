// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Connections that join a session while others join it, or while it ends (RFC 7143 6.3.3 to 6.3.5).
    @Suite("Sessions: joining connections", .needsSeveralConnections)
    struct JoinTests {
        /// The first read hangs, and goes after a time in which all the rest is done.
        private static let hangingUnit = "fault:hang=100%,on=read,max=1,release=2s+ram/1M"
        private static let doesNotExist = LoginAttempt.Ending.refused(0x020A)
        private static let tooMany = LoginAttempt.Ending.refused(0x0206)
        /// States and events that do not fit are told in the log.
        private static let confusion = "does not know"

        private func session(
            _ server: MartletServer, maxConnections: Int, level: Int = 0
        ) throws -> InitiatorSession {
            let session = try server.url.session {
                $0.maxConnections = maxConnections
                $0.errorRecoveryLevel = level
                $0.time2WaitSeconds = 0
                // Whatever is awaited is there long before the login time-out.
                $0.timeoutSeconds = 10
            }
            try #require(session.negotiated.maxConnections == maxConnections)
            session.asksAgain = false
            return session
        }

        private func expectCleanEnd(
            _ server: MartletServer, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            try server.stop(sourceLocation: sourceLocation)
            let log = server.standardError
            #expect(!log.contains(Self.confusion), "\(log.suffix(2000))", sourceLocation: sourceLocation)
            #expect(!log.contains("although commands"), "\(log.suffix(2000))", sourceLocation: sourceLocation)
        }

        /// A connection of the session has a command that does not end.
        private func sessionWithHungCommand(_ server: MartletServer) throws -> InitiatorSession {
            let session = try session(server, maxConnections: 2)
            try session.addConnection(cid: 1)
            session.forget(try session.submit(.read(lba: 0, blockCount: 8), on: 1))
            try session.ping(on: 1)
            return session
        }

        /// A login that takes the place of connection 1 and waits for the command of that to end.
        private func waitingLogin(_ server: MartletServer, _ session: InitiatorSession) throws -> LoginAttempt {
            let login = try LoginAttempt(server.url, joining: session, cid: 1)
            #expect(try session.take(seconds: 10) { session.liveCIDs == [0] }, "the old connection lives on")
            return login
        }

        @Test(
            "Two logins of one CID that both wait for its old commands: the later one gets it, and takes no place twice"
        )
        func rivals() throws {
            let server = try MartletServer(Self.hangingUnit, options: ["--loops", "2"])
            let session = try sessionWithHungCommand(server)
            let first = try waitingLogin(server, session)
            let second = try LoginAttempt(server.url, joining: session, cid: 1)
            #expect(try second.end() == .loggedIn)
            #expect(try first.end() == .dropped)
            #expect(try second.isAlive())
            try session.expectData(lba: 0, blockCount: 8)
            try expectCleanEnd(server)
        }

        @Test("A session that ends while a connection waits to join it ends, and so does the login")
        func endsMeanwhile() throws {
            let server = try MartletServer(Self.hangingUnit, options: ["--loops", "2"])
            let session = try sessionWithHungCommand(server)
            let waiting = try waitingLogin(server, session)
            // A new session of the same name.
            let successor = try LoginAttempt(
                server.url, server.url.options { $0.timeoutSeconds = 10 }, tsih: 0, cid: 0, cmdSN: 1)
            let ending = try waiting.end()
            #expect(ending == Self.doesNotExist || ending == .dropped, "\(ending)")
            #expect(try successor.end() == .loggedIn)
            #expect(try successor.isAlive())
            try session.drain(milliseconds: 100)
            #expect(session.liveCIDs.isEmpty)
            let bystander = try server.url.session { $0.isid = 0x8000_0000_0B0B }
            try bystander.expectData(lba: 0, blockCount: 8)
            try expectCleanEnd(server)
        }

        @Test("Of connections that log in with one CID at once exactly one is left, and the session goes on")
        func oneIdentifier() throws {
            let server = try MartletServer("ram/1M", options: ["--loops", "2"])
            let session = try session(server, maxConnections: 2)
            for round in 0..<100 {
                let logins = try (0..<2 + round % 3).map { _ in
                    try LoginAttempt(server.url, joining: session, cid: 1)
                }
                let endings = try logins.map { try $0.end() }
                #expect(endings.allSatisfy { $0 == .loggedIn || $0 == .dropped }, "round \(round): \(endings)")
                let alive = try logins.filter { try $0.isAlive() }
                #expect(alive.count == 1, "round \(round): \(alive.count) of \(endings)")
                #expect(try session.perform(.testUnitReady, on: 0).isGood)
            }
            try session.logout()
            try expectCleanEnd(server)
        }

        /// How a session ends while connections join it.
        private enum End: CaseIterable {
            case reset, close, logout, reinstatement, none
        }

        @Test("A storm of connections that join sessions which end leaves no login without an end", arguments: [0, 2])
        func storm(level: Int) throws {
            let server = try MartletServer("ram/1M", options: ["--loops", "2"])
            let bystander = try server.url.session { $0.isid = 0x8000_0000_0B0B }
            var counts: [LoginAttempt.Ending: Int] = [:]
            for round in 0..<75 {
                let session = try session(server, maxConnections: 4, level: level)
                let end = End.allCases[round % End.allCases.count]
                var logins: [LoginAttempt] = []
                let endPlace = round / 5 % 6
                for (place, cid) in ([1, 2, 1, 3, 0] as [UInt16]).enumerated() {
                    if place == endPlace { try begin(end, of: session, server.url, &logins) }
                    logins.append(try LoginAttempt(server.url, joining: session, cid: cid))
                }
                for login in logins {
                    let ending = try login.end()
                    counts[ending, default: 0] += 1
                    let isKnown = [.loggedIn, .dropped, Self.doesNotExist, Self.tooMany].contains(ending)
                    #expect(isKnown, "round \(round): \(ending)")
                }
                if round % 5 == 4 { try bystander.expectData(lba: 64, blockCount: 8) }
                for login in logins { login.close() }
            }
            print("level \(level): \(counts)")
            let last = try server.url.session()
            try last.expectData(lba: 0, blockCount: 8)
            try expectCleanEnd(server)
        }

        private func begin(
            _ end: End, of session: InitiatorSession, _ url: LogicalUnitURL, _ logins: inout [LoginAttempt]
        ) throws {
            switch end {
            case .reset: session.cut(0, .reset)
            case .close: session.cut(0, .close)
            case .logout:
                _ = try session.start(
                    WirePDU(opcode: WirePDU.Opcode.logoutRequest | WirePDU.immediate, flags: WirePDU.final))
            case .reinstatement:
                logins.append(try LoginAttempt(url, session.options, tsih: 0, cid: 0, cmdSN: 1))
            case .none: break
            }
        }

        @Test(
            "A server that ends while connections join a session ends in time, and every login has an end",
            arguments: 0..<6)
        func serverEnds(round: Int) throws {
            let server = try MartletServer("ram/1M", options: ["--loops", "2"])
            let session = try session(server, maxConnections: 8, level: round % 3)
            var logins: [LoginAttempt] = []
            for place in 0..<24 {
                if place == 4 + 3 * round {
                    if round % 2 == 0 { session.cut(0) }
                    server.send(SIGTERM)
                }
                // The server may listen no more.
                guard let login = try? LoginAttempt(server.url, joining: session, cid: UInt16(1 + place % 9)) else {
                    break
                }
                logins.append(login)
            }
            try expectEnds(server, logins)
        }

        @Test(
            "Connections that come to the session's loop when that stops are closed, and are no part of the session",
            arguments: 0..<6)
        func loopEnds(round: Int) throws {
            let server = try MartletServer("ram/1M", options: ["--loops", "2"])
            let session = try session(server, maxConnections: 8, level: round % 3)
            let logins = try (0..<48).map {
                try LoginAttempt(server.url, joining: session, cid: UInt16(1 + $0 % 7), isSent: false)
            }
            try session.drain(milliseconds: 100)
            // All logins and the signal are there when the server goes on: one loop stops while the other has logins.
            server.send(SIGSTOP)
            for login in logins { try login.send() }
            server.send(SIGTERM)
            server.send(SIGCONT)
            try expectEnds(server, logins)
        }

        private func expectEnds(_ server: MartletServer, _ logins: [LoginAttempt]) throws {
            for login in logins { _ = try login.end() }
            for login in logins { login.close() }
            #expect(try server.waitForEnd(limitSeconds: 4.5) == .exit(0), "\(server.standardError)")
            let log = server.standardError
            #expect(!log.contains("although commands") && !log.contains(Self.confusion), "\(log)")
        }
    }
}
