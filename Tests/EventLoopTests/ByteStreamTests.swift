// SPDX-License-Identifier: Apache-2.0

import CLinux
import EventLoop
import Testing

@Suite("Byte streams")
struct ByteStreamTests {
    /// Around every size at which a stream does something else.
    static let placeSizes = [
        1, 47, 4096, 65_536, (128 << 10) - 1, 128 << 10, (128 << 10) + 1, 262_143, 262_144, 262_145, 600_000,
    ]

    @Test(
        "Every byte comes once, in order, in its place, whatever the sizes of writes and places",
        arguments: PollerKind.allCases, Transport.allCases)
    func randomSizes(kind: PollerKind, transport: Transport) throws {
        for _ in 0..<4 {
            let seed = UInt64.random(in: 0...UInt64.max)
            print("seed \(seed)")
            var numbers = SeededNumbers(seed: seed)
            let sizes = (0..<20).map { _ in Self.placeSizes.randomElement(using: &numbers)! }
            let owner = PatternOwner(placeSizes: sizes, gap: [1, 48, 3_000].randomElement(using: &numbers)!)
            let total = 4_000_000
            try feed(kind, transport, owner, total: total) { Int.random(in: 0...300_000, using: &numbers) }
            #expect(owner.isIntact, "seed \(seed)")
            #expect(owner.offset == total, "seed \(seed)")
            #expect(owner.placedByteCount > 0, "seed \(seed)")
        }
    }

    @Test("Bytes that come one by one come", arguments: PollerKind.allCases, [100, 128 << 10, 200_000])
    func dripFed(kind: PollerKind, placeSize: Int) throws {
        let owner = PatternOwner(placeSizes: [placeSize])
        try feed(kind, .tcp, owner, total: 20_000) { 1 }
        #expect(owner.isIntact)
        // A direct receive tells when it is full: what has come until then is known when the place is asked back.
        #expect(owner.offset == 20_000)
    }

    private func feed(
        _ kind: PollerKind, _ transport: Transport, _ owner: PatternOwner, total: Int, size: @escaping () -> Int
    ) throws {
        let loop = try kind.makeLoop()
        let pair = try SocketPair(transport)
        let stream = try loop.openStream(pair.descriptor, owner: owner)
        let feeder = Feeder(pair, total: total, size: size)
        loop.add(feeder)
        owner.changed = { [unowned loop] in if $0.offset == total { loop.stop() } }
        // The rest of the stream may be the beginning of a place: nothing is told of it, but it is there.
        loop.add(
            Restless { [unowned loop] in
                if feeder.offset == total, !owner.place.isEmpty, pair.isDrained { loop.stop() }
            })
        try loop.run(limitSeconds: 30)
        owner.tookPlaced(stream.revokePlace())
        stream.close()
    }

    @Test(
        "After the peer has closed its half all that it sent comes, then the end, once, and it can be answered",
        arguments: PollerKind.allCases, Transport.allCases)
    func halfClosed(kind: PollerKind, transport: Transport) throws {
        let loop = try kind.makeLoop()
        let pair = try SocketPair(transport)
        let owner = PatternOwner(placeSizes: [150_000])
        let stream = try loop.openStream(pair.descriptor, owner: owner)
        #expect(pair.write(Pattern.bytes(0..<60_000)) == 60_000)
        pair.closeHalf()
        owner.changed = { [unowned loop] in if !$0.ends.isEmpty { loop.stop() } }
        try loop.run(limitSeconds: 10)
        #expect(owner.isIntact && owner.offset == 60_000)
        #expect(owner.ends == [0])
        #expect(send(stream, [1, 2, 3]) == .sent(3))
        #expect(pair.read() == [1, 2, 3])
        stream.close()
    }

    @Test("A reset ends the stream with its reason", arguments: PollerKind.allCases, [0, 1, 100_000])
    func reset(kind: PollerKind, sentFirst: Int) throws {
        let loop = try kind.makeLoop()
        let pair = try SocketPair(.tcp)
        let owner = PatternOwner(placeSizes: [200_000])
        let stream = try loop.openStream(pair.descriptor, owner: owner)
        owner.changed = { [unowned loop] in if !$0.ends.isEmpty { loop.stop() } }
        #expect(pair.write(Pattern.bytes(0..<sentFirst)) == sentFirst)
        var isReset = false
        loop.add(
            Restless {
                guard !isReset, pair.isDrained else { return }
                isReset = true
                pair.reset()
            })
        try loop.run(limitSeconds: 10)
        #expect(owner.isIntact)
        #expect(owner.ends.count == 1)
        // What had been received straight into a place may hide the reason: the kernel tells it once.
        #expect(owner.ends == [ECONNRESET] || sentFirst > 0)
        stream.close()
    }

    @Test(
        "What the socket does not take is sent when it has room, in order", arguments: PollerKind.allCases,
        Transport.allCases)
    func backPressure(kind: PollerKind, transport: Transport) throws {
        let loop = try kind.makeLoop()
        let pair = try SocketPair(transport)
        #expect(clinux_set_option(pair.descriptor, SOL_SOCKET, SO_SNDBUF, 4096) == 0)
        let owner = PatternOwner()
        let stream = try loop.openStream(pair.descriptor, owner: owner)
        let content = Pattern.bytes(0..<1_000_000)
        var sent = 0
        var blockedCount = 0
        func sendMore() {
            while sent < content.count {
                switch send(stream, Array(content[sent...].prefix(50_000))) {
                case .sent(let count): sent += count
                case .blocked:
                    blockedCount += 1
                    return
                case .failed(let code):
                    Issue.record("send failed with errno \(code)")
                    return loop.stop()
                }
            }
        }
        owner.changed = { _ in sendMore() }
        var read: [UInt8] = []
        loop.add(
            Restless { [unowned loop] in
                read += pair.read() ?? []
                if read.count == content.count { loop.stop() }
            })
        sendMore()
        try loop.run(limitSeconds: 30)
        #expect(read == content)
        #expect(blockedCount > 1)
        #expect(owner.canSendCount == blockedCount)
        stream.close()
    }

    @Test("Sending to a peer that has gone fails, and kills nobody", arguments: PollerKind.allCases)
    func brokenPipe(kind: PollerKind) throws {
        let loop = try kind.makeLoop()
        let pair = try SocketPair()
        let stream = try loop.openStream(pair.descriptor, owner: PatternOwner())
        pair.closePeer()
        #expect(send(stream, [1]) == .failed(EPIPE))
        stream.close()
    }
}

func send(_ stream: any ByteStream, _ bytes: [UInt8]) -> SendResult {
    var bytes = bytes
    return bytes.withUnsafeMutableBytes { buffer in
        var vector = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
        return withUnsafeMutablePointer(to: &vector) {
            stream.send(UnsafeMutableBufferPointer(start: $0, count: 1))
        }
    }
}
