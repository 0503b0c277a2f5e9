// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Logins that break a rule get the RFC's answer and nothing else, and nobody else notices.
    @Suite("Sessions: bad logins")
    struct BadLoginTests {
        /// A good login must take no longer, whatever others do.
        private static let goodLoginSeconds = 1.0

        /// Logs in as another initiator, in good time, and moves data.
        private func expectGoodLogin(
            _ url: LogicalUnitURL, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let start = ContinuousClock.now
            let session = try url.session {
                $0.isid = 0x8000_0000_BEEF
                $0.initiatorName = "iqn.2026-11.org.martlet:bystander"
            }
            #expect(start.duration(to: .now) < .seconds(Self.goodLoginSeconds), sourceLocation: sourceLocation)
            try session.expectData(lba: 64, blockCount: 8, sourceLocation: sourceLocation)
            try session.logout()
        }

        private func exchange(_ url: LogicalUnitURL, tsih: UInt16 = 0) throws -> (LoginExchange, PDUStream) {
            let stream = PDUStream(try ByteSocket(host: url.host, port: url.port))
            let options = url.options { $0.timeoutSeconds = 5 }
            return (LoginExchange(stream, options: options, tsih: tsih, cid: 0, cmdSN: 1), stream)
        }

        @Test("Every broken rule of the login has the RFC's answer")
        func rules() throws {
            let server = try MartletServer("ram/1M")
            let bystander = try server.url.session { $0.isid = 0x8000_0000_0B0B }
            for rule in LoginRule.all {
                let (login, stream) = try exchange(server.url)
                var answer: LoginRule.Answer?
                do {
                    try rule.play(login)
                    Issue.record("\(rule.testDescription): the login goes on")
                } catch let refusal as LoginRefusal {
                    answer = .refused(refusal.status)
                } catch let failure as InitiatorFailure where failure.kind == .connectionClosed {
                    answer = .dropped
                }
                #expect(answer == rule.answer, "\(rule.testDescription)")
                // Whatever the answer, the target closes the connection without being asked.
                #expect(try stream.isClosed(withinMilliseconds: 5000), "\(rule.testDescription)")
            }
            try bystander.expectData(lba: 0, blockCount: 8)
            try expectGoodLogin(server.url)
            try server.stop()
        }

        @Test("A TSIH is good for its own initiator port, as long as its session lives")
        func staleTSIH() throws {
            let server = try MartletServer("ram/1M")
            let session = try server.url.session { $0.isid = 0x8000_0000_0001 }
            func status(isid: UInt64, tsih: UInt16) throws -> UInt16? {
                let stream = PDUStream(try ByteSocket(host: server.url.host, port: server.url.port))
                let login = LoginExchange(
                    stream, options: server.url.options { $0.isid = isid }, tsih: tsih, cid: 0, cmdSN: 1)
                return #expect(throws: LoginRefusal.self) { _ = try login.run() }?.status
            }
            let ofAnother = try status(isid: 0x8000_0000_0002, tsih: session.tsih)
            #expect(ofAnother == 0x020A)
            let unknown = try status(isid: 0x8000_0000_0001, tsih: session.tsih &+ 1)
            #expect(unknown == 0x020A)
            try session.expectData(lba: 0, blockCount: 8)
            try session.logout()
            let stale = try status(isid: 0x8000_0000_0001, tsih: session.tsih)
            #expect(stale == 0x020A)
            try server.stop()
        }

        @Test("A new login under a session's name takes its place")
        func sessionReinstatement() throws {
            let server = try MartletServer("ram/1M")
            let old = try server.url.session()
            let new = try server.url.session()
            let failure = #expect(throws: InitiatorFailure.self) { _ = try old.perform(.testUnitReady) }
            #expect(failure?.kind == .connectionClosed)
            try new.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test("A storm of logins under one name leaves one session, and others log in as ever")
        func storm() throws {
            let server = try MartletServer("ram/1M")
            let bystander = try server.url.session { $0.isid = 0x8000_0000_0B0B }
            var streams: [(LoginExchange, PDUStream)] = []
            for _ in 0..<200 {
                let (login, stream) = try exchange(server.url)
                // The whole login in one request, without waiting.
                let keys = login.allNames + login.options.operationalKeys(isLeading: true)
                login.send(
                    login.request(
                        .text(keys.map { ($0.key, $0.value) }), stage: LoginExchange.operational,
                        next: LoginExchange.fullFeature))
                try stream.flush()
                streams.append((login, stream))
            }
            try expectGoodLogin(server.url)
            // Each was answered or closed; at the end at most one is left.
            var live = 0
            for (login, stream) in streams {
                _ = try? login.receive()
                if try !stream.isClosed(withinMilliseconds: 100) { live += 1 }
            }
            #expect(live <= 1)
            let last = try server.url.session()
            try last.expectData(lba: 0, blockCount: 8)
            try bystander.expectData(lba: 128, blockCount: 8)
            try server.stop()
        }

        @Test("Half a login, left to itself, holds nobody up")
        func halfLogins() throws {
            let server = try MartletServer("ram/1M")
            var streams: [PDUStream] = []
            for index in 0..<100 {
                let (login, stream) = try exchange(server.url)
                let bytes = login.request(.text(login.names), stage: LoginExchange.operational, next: nil).encoded()
                stream.queue([UInt8](bytes.prefix(1 + index % bytes.count)))
                try stream.flush()
                streams.append(stream)
            }
            try expectGoodLogin(server.url)
            withExtendedLifetime(streams) {}
            try server.stop()
        }
    }
}

extension PDUStream {
    /// Whether the peer ends the connection in this time; what it still says is passed over.
    func isClosed(withinMilliseconds limit: Int) throws -> Bool {
        let deadline = Deadline(seconds: Double(limit) / 1000)
        while !isClosedByPeer && !deadline.isOver {
            wait(milliseconds: 20)
            try fill()
        }
        return isClosedByPeer
    }
}
