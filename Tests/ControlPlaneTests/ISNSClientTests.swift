// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Glibc
import ISNS
import Synchronization
import TargetCore
import Testing
import Transport

@Suite("The iSNS client", .timeLimit(.minutes(1)))
struct ISNSClientTests {
    typealias Connection = ScriptedISNSServer.Connection

    /// The client's log, line by line.
    struct Lines {
        let diagnostics: Diagnostics
        private var iterator: AsyncStream<String>.Iterator

        init() {
            let (stream, continuation) = AsyncStream.makeStream(of: String.self)
            diagnostics = Diagnostics(threshold: .debug) { continuation.yield("\($0) \($1)") }
            iterator = stream.makeAsyncIterator()
        }

        /// The next line that holds `words`.
        mutating func next(_ words: String) async -> String {
            while let line = await iterator.next() {
                if line.contains(words) { return line }
            }
            return ""
        }
    }

    static let sources = ISNSSources(
        targets: ["iqn.2026-11.org.example:a", "iqn.2026-11.org.example:b"],
        portals: [ISNSSources.Portal(bound: PortalAddress(host: "127.0.0.1", port: 3260))])

    static func client(
        port: UInt16, _ lines: Lines, sources: ISNSSources = sources, entity: String? = nil
    ) throws -> ISNSClient {
        var settings = ISNSSettings(server: PortalAddress(host: "127.0.0.1", port: port))
        settings.entity = entity
        settings.inquirySeconds = 60
        return try ISNSClient(settings, sources: sources, diagnostics: lines.diagnostics)
    }

    /// Answers everything, and hands it on.
    static func goodScript(_ requests: AsyncStream<ISNSMessage>.Continuation) -> @Sendable (Connection) -> Void {
        { connection in
            while let request = connection.receive() {
                requests.yield(request)
                connection.answer(request)
            }
        }
    }

    @Test("It registers, subscribes, takes notifications, registers what has changed, and deregisters at the end")
    func goodCase() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: ISNSMessage.self)
        var requests = stream.makeAsyncIterator()
        let server = try ScriptedISNSServer(script: Self.goodScript(continuation))
        defer { server.stop() }
        var lines = Lines()
        let client = try Self.client(port: server.port, lines, entity: "store")
        let registration = try #require(await requests.next())
        #expect(registration.knownFunction == .devAttrReg && registration.flags.contains(.replace))
        let attributes = try ISNSAttribute.list(registration.payload[...])
        #expect(attributes.first { $0.tag == ISNSTag.portalAddress }?.value.suffix(6) == [0xFF, 0xFF, 127, 0, 0, 1])
        #expect(attributes.first { $0.tag == ISNSTag.portalPort }?.number == 3260)
        #expect(await lines.next("registered with").contains("2 target(s) at 1 portal(s) as store"))
        #expect(await requests.next()?.knownFunction == .scnReg)
        #expect(await requests.next()?.knownFunction == .scnReg)

        let port = try #require(attributes.first { $0.tag == ISNSTag.scnPort }?.number)
        let notifier = try Connection(port: UInt16(port))
        let name = ISNSAttribute(tag: ISNSTag.iscsiName, text: Self.sources.targets[0])
        let time = ISNSAttribute(tag: ISNSTag.timestamp, value: [UInt8](repeating: 1, count: 8))
        for (function, answered) in [(ISNSFunction.esi, 0x800D), (.scn, 0x8008)] as [(ISNSFunction, UInt16)] {
            notifier.send(ISNSMessage.request(function, transaction: 3, [name, time, name]).bytes())
            let answer = try #require(notifier.receive())
            #expect(answer.function == answered && answer.transaction == 3)
            #expect(try answer.result().status == .successful)
        }
        // News of a target of ours: the server is asked.
        #expect(await requests.next()?.knownFunction == .devAttrQry)
        #expect(client.report.notifications == 1 && client.report.inquiries == 1)

        var sources = Self.sources
        sources.targets = ["iqn.2026-11.org.example:c"]
        client.update(sources)
        let changed = try #require(await requests.next())
        #expect(changed.knownFunction == .devAttrReg)
        let names = try ISNSAttribute.list(changed.payload[...]).filter { $0.tag == ISNSTag.iscsiName }
        #expect(Set(names.compactMap(\.text)) == ["iqn.2026-11.org.example:c"])
        _ = await lines.next("registered with")
        client.stop()
        #expect(await lines.next("deregistered").hasPrefix("notice"))
        #expect(client.report.state == "ended")
        continuation.finish()
        var last: ISNSMessage?
        while let request = await requests.next() { last = request }
        #expect(last?.knownFunction == .devDereg)
    }

    /// What a server sends for an answer, and what the log then says.
    static let illegal: [([UInt8], String)] = [
        (Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), "version 18516 of the protocol is unknown"),
        ([0, 1, 0x80, 1, 0, 4], "it closed the connection"),
        ([0, 1, 0x80, 1, 0, 8, 0x4C, 0, 0, 1, 0, 0, 0, 0, 0, 0], "it closed the connection"),
        ([0, 1, 0x80, 1, 0, 4, 0x6C, 0, 0, 1, 0, 0, 0, 0, 0, 0], "authentication block"),
        ([0, 1, 0x80, 1, 0, 0, 0x4C, 0, 0, 1, 0, 0], "its answer cannot be read: a message ends too early"),
        (
            [0, 1, 0x80, 1, 0, 12, 0x4C, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFC],
            "its answer cannot be read: a message ends too early"
        ),
        ([], "it closed the connection"),
    ]

    @Test("A server that answers what it must not is told of, and tried again", arguments: illegal)
    func illegalAnswers(bytes: [UInt8], words: String) async throws {
        let server = try ScriptedISNSServer { connection in
            guard let request = connection.receive() else { return }
            // An answer to this request, as far as there is a header.
            var answer = bytes
            if answer.count >= 12, answer[0] == 0 { answer[9] = UInt8(truncatingIfNeeded: request.transaction) }
            connection.send(answer)
        }
        defer { server.stop() }
        var lines = Lines()
        let client = try Self.client(port: server.port, lines)
        #expect(await lines.next(words).hasPrefix("warning no iSNS server 127.0.0.1:\(server.port)"))
        // Again, and said again only to those who want to know everything.
        #expect(await lines.next(words).hasPrefix("debug"))
        client.stop()
    }

    @Test(
        "A refusal is told in the RFC's words",
        arguments: [
            (UInt8(3), "Invalid Registration (3)"), (8, "Source Unauthorized (8)"), (21, "ESI Not Available (21)"),
        ])
    func refusals(status: UInt8, words: String) async throws {
        let server = try ScriptedISNSServer { connection in
            while let request = connection.receive() { connection.answer(request, status: status) }
        }
        defer { server.stop() }
        var lines = Lines()
        let client = try Self.client(port: server.port, lines)
        let line = await lines.next("refuses")
        #expect(line.contains("refuses DevAttrReg: \(words)"))
        client.stop()
    }

    @Test("A server that drips an answer, or sends without an end, holds up no stop", arguments: [true, false])
    func drip(isSlow: Bool) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        var begun = stream.makeAsyncIterator()
        let server = try ScriptedISNSServer { connection in
            _ = connection.receive()
            // The first PDU of an answer that never ends.
            connection.send([0, 1, 0x80, 1, 0xFF, 0xFC, 0x44, 0, 0, 1, 0, 0])
            continuation.yield()
            while isSlow, connection.send([0]) { _ = poll(nil, 0, 50) }
            while !isSlow, connection.send([UInt8](repeating: 0, count: 65532)) {}
        }
        defer { server.stop() }
        let lines = Lines()
        let client = try Self.client(port: server.port, lines)
        _ = await begun.next()
        let start = ContinuousClock.now
        client.stop()
        #expect(ContinuousClock.now - start < .seconds(5))
        #expect(client.report.state == "ended")
    }

    @Test("A server that comes later is found, and one that comes again is told again")
    func laterServer() async throws {
        var place: ScriptedISNSServer? = try ScriptedISNSServer { _ in }
        let port = try #require(place?.port)
        place?.stop()
        place = nil
        var lines = Lines()
        let client = try Self.client(port: port, lines)
        #expect(await lines.next("Connection refused").hasPrefix("warning"))
        let server = try ScriptedISNSServer(port: port) { connection in
            // For as long as three requests; then the server is gone, and comes again.
            for _ in 0..<3 {
                if let request = connection.receive() { connection.answer(request) }
            }
        }
        defer { server.stop() }
        #expect(await lines.next("registered with") != "")
        #expect(await lines.next("it closed the connection").hasPrefix("warning"))
        #expect(await lines.next("registered with") != "")
        client.stop()
    }

    /// A portal, and the address and port that are registered for it, as the last bytes and a number.
    static let portals: [(ISNSSources.Portal, [UInt8], UInt32)] = [
        (.init(bound: PortalAddress(host: "0.0.0.0", port: 3260)), [127, 0, 0, 1], 3260),
        (
            .init(
                bound: PortalAddress(host: "0.0.0.0", port: 3260),
                advertised: PortalAddress(host: "192.0.2.7", port: 860)), [192, 0, 2, 7], 860
        ),
        (.init(bound: PortalAddress(host: "127.0.0.2", port: 1)), [127, 0, 0, 2], 1),
        // Nobody who came over IPv4 can reach it: it is left out.
        (.init(bound: PortalAddress(host: "::", port: 3260)), [], 0),
        // Of one link, and nobody is told which.
        (.init(bound: PortalAddress(host: "fe80::1%lo", port: 3260)), [], 0),
    ]

    @Test("A portal is registered as initiators reach it, never a wildcard", arguments: portals)
    func portal(portal: ISNSSources.Portal, address: [UInt8], port: UInt32) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: ISNSMessage.self)
        var requests = stream.makeAsyncIterator()
        let server = try ScriptedISNSServer(script: Self.goodScript(continuation))
        defer { server.stop() }
        let lines = Lines()
        let client = try Self.client(
            port: server.port, lines, sources: ISNSSources(targets: ["iqn.a"], portals: [portal]))
        let attributes = try ISNSAttribute.list(try #require(await requests.next()).payload[...])
        let found = attributes.first { $0.tag == ISNSTag.portalAddress }?.value.suffix(4) ?? []
        #expect(Array(found) == address)
        #expect(attributes.first { $0.tag == ISNSTag.portalPort }?.number ?? 0 == port)
        client.stop()
    }
}
