// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import Glibc
import ISNS
import Synchronization
import Testing
import Transport

/// What others can do to the registration, and what its size does.
@Suite("The iSNS client and its peers", .timeLimit(.minutes(1)))
struct ISNSPeerTests {
    typealias Connection = ScriptedISNSServer.Connection

    /// A client that has registered and subscribed, its server, and what the server is asked from then on.
    struct Rig {
        let client: ISNSClient
        let server: ScriptedISNSServer
        /// Where notifications go.
        let port: UInt16
        var requests: AsyncStream<ISNSMessage>.Iterator

        init() async throws {
            let (stream, continuation) = AsyncStream.makeStream(of: ISNSMessage.self)
            requests = stream.makeAsyncIterator()
            server = try ScriptedISNSServer(script: ISNSClientTests.goodScript(continuation))
            client = try ISNSClientTests.client(port: server.port, ISNSClientTests.Lines(), entity: "store")
            let registration = try #require(await requests.next())
            let attributes = try ISNSAttribute.list(registration.payload[...])
            port = UInt16(try #require(attributes.first { $0.tag == ISNSTag.scnPort }?.number))
            #expect(await requests.next()?.knownFunction == .scnReg)
            #expect(await requests.next()?.knownFunction == .scnReg)
        }

        func end() {
            client.stop()
            server.stop()
        }
    }

    final class Flag: Sendable {
        let value = Atomic<Bool>(false)
    }

    /// A notification of a change to the first target, or an inquiry.
    static func notification(_ function: ISNSFunction = .scn) -> [UInt8] {
        let name = ISNSAttribute(tag: ISNSTag.iscsiName, text: ISNSClientTests.sources.targets[0])
        let time = ISNSAttribute(tag: ISNSTag.timestamp, value: [UInt8](repeating: 1, count: 8))
        return ISNSMessage.request(function, transaction: 3, [name, time, name]).bytes()
    }

    @Test("Notifications that come without an end do not put off the question that the first one brings")
    func endlessNews() async throws {
        var rig = try await Rig()
        let notifier = try Connection(port: rig.port)
        let isOver = Flag()
        let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
        let notification = Self.notification()
        Thread.detachNewThread {
            // Five in the time that one of them may put the question off for; ten seconds at most.
            var count = 0
            while count < 50, notifier.send(notification), !isOver.value.load(ordering: .relaxed) {
                count += 1
                _ = poll(nil, 0, 200)
            }
            continuation.yield(count)
        }
        #expect(await rig.requests.next()?.knownFunction == .devAttrQry)
        isOver.value.store(true, ordering: .relaxed)
        var counts = stream.makeAsyncIterator()
        #expect(await counts.next() ?? 50 < 50)
        rig.end()
    }

    @Test("Notifications are taken from the name server alone, and nobody else takes its place")
    func strangers() async throws {
        let rig = try await Rig()
        let notifier = try Connection(port: rig.port)
        notifier.send(Self.notification(.esi))
        #expect(notifier.receive()?.function == 0x800D)
        for host in 2...7 as ClosedRange<UInt32> {
            let stranger = try Connection(port: rig.port, from: host)
            stranger.send(Self.notification())
            #expect(stranger.receive() == nil)
        }
        notifier.send(Self.notification(.esi))
        #expect(notifier.receive()?.function == 0x800D)
        #expect(rig.client.report.notifications == 0 && rig.client.report.inquiries == 2)
        rig.end()
    }

    @Test("As many targets as there are are registered, also with a server that reads late and repeats them all")
    func manyTargets() async throws {
        let padding = String(repeating: "x", count: 120)
        var sources = ISNSClientTests.sources
        sources.targets = (0..<30_000).map { "iqn.2026-11.org.example:\(padding)-\($0)" }
        let server = try ScriptedISNSServer { connection in
            // The kernel takes what it has room for, and no more.
            _ = poll(nil, 0, 300)
            guard let request = connection.receive(byteCount: 16 << 20) else { return }
            connection.answer(request, (try? ISNSAttribute.list(request.payload[...])) ?? [])
            while let request = connection.receive() { connection.answer(request) }
        }
        defer { server.stop() }
        var lines = ISNSClientTests.Lines()
        let client = try ISNSClientTests.client(port: server.port, lines, sources: sources)
        let line = await lines.next("iSNS server 127.0.0.1:\(server.port)")
        #expect(line.contains("registered with") && line.contains("30000 target(s)"), "\(line)")
        client.stop()
    }
}
