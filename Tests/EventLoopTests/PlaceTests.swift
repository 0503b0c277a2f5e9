// SPDX-License-Identifier: Apache-2.0

import CLinux
import EventLoop
import Testing

/// Memory that the kernel may write to, and when it may not any more.
@Suite("Places of a stream")
struct PlaceTests {
    static let sentByteCounts = [0, 1, 5_000, 100_000]

    @Test(
        "What came before a place was taken back is counted; from then on nothing is written there",
        arguments: PollerKind.allCases, sentByteCounts)
    func revoked(kind: PollerKind, sentFirst: Int) throws {
        let loop = try kind.makeLoop()
        let pair = try SocketPair()
        let owner = PatternOwner(placeSizes: [200_000], gap: 1)
        let stream = try loop.openStream(pair.descriptor, owner: owner)
        // One byte, after which there is a place.
        #expect(pair.write(Pattern.bytes(0..<1)) == 1)
        try runUntilDrained(loop, pair)
        var end = 1 + pair.write(Pattern.bytes(1..<1 + sentFirst))
        try runUntilDrained(loop, pair)
        owner.tookPlaced(stream.revokePlace())
        #expect(owner.isIntact && owner.offset == end)
        #expect(stream.revokePlace() == 0, "what was counted once")

        // The owner has no place any more; the memory is somebody else's now.
        owner.offersPlace = false
        owner.memory.initializeMemory(as: UInt8.self, repeating: PatternOwner.canary)
        end += pair.write(Pattern.bytes(end..<end + 150_000))
        owner.changed = { [unowned loop] in if $0.offset == end { loop.stop() } }
        try loop.run(limitSeconds: 10)
        #expect(owner.isIntact)
        #expect(owner.memory.allSatisfy { $0 == PatternOwner.canary })

        // And it can offer another one.
        owner.offersPlace = true
        let more = end + pair.write(Pattern.bytes(end..<end + 40_000))
        owner.changed = { [unowned loop] in if $0.offset == more { loop.stop() } }
        loop.add(Restless { [unowned loop] in if pair.isDrained { loop.stop() } })
        try loop.run(limitSeconds: 10)
        owner.tookPlaced(stream.revokePlace())
        #expect(owner.isIntact && owner.offset == more)
        stream.close()
    }

    @Test("After close nothing is told, and nothing is written", arguments: PollerKind.allCases, sentByteCounts)
    func closed(kind: PollerKind, sentFirst: Int) throws {
        let loop = try kind.makeLoop()
        let pair = try SocketPair()
        let owner = PatternOwner(placeSizes: [200_000], gap: 1)
        let stream = try loop.openStream(pair.descriptor, owner: owner)
        #expect(pair.write(Pattern.bytes(0..<1 + sentFirst)) == 1 + sentFirst)
        try runUntilDrained(loop, pair)
        let receivedCount = owner.receivedCount
        stream.close()
        owner.memory.initializeMemory(as: UInt8.self, repeating: PatternOwner.canary)
        #expect(pair.write([UInt8](repeating: 0xEE, count: 100_000)) == 100_000)
        pair.closeHalf()
        try runTurns(loop, 20)
        #expect(owner.memory.allSatisfy { $0 == PatternOwner.canary })
        #expect(owner.receivedCount == receivedCount && owner.ends.isEmpty)
        // The bytes are still the socket's: nobody has taken them.
        var byte: UInt8 = 0
        #expect(recv(pair.descriptor, &byte, 1, 0) == 1 && byte == 0xEE)
    }

    @Test(
        "A stream that is closed while bytes for it have come already hears nothing of them",
        arguments: PollerKind.allCases)
    func closedBetween(kind: PollerKind) throws {
        let loop = try kind.makeLoop()
        let pairs = [try SocketPair(), try SocketPair()]
        let owners = [PatternOwner(), PatternOwner()]
        var streams: [any ByteStream] = []
        for (pair, owner) in zip(pairs, owners) {
            streams.append(try loop.openStream(pair.descriptor, owner: owner))
            #expect(pair.write(Pattern.bytes(0..<10)) == 10)
            // Whoever is told first closes both.
            owner.changed = { _ in
                for stream in streams { stream.close() }
                streams = []
            }
        }
        try withExtendedLifetime(pairs) { try runTurns(loop, 20) }
        #expect(owners.map(\.offset).sorted() == [0, 10])
    }

    @Test(
        "Streams that are closed with bytes on the way take nothing from those that come after",
        arguments: PollerKind.allCases)
    func nothingUsedUp(kind: PollerKind) throws {
        let loop = try kind.makeLoop()
        for _ in 0..<200 { try closeWithBytesOnTheWay(loop) }
        // Many more get theirs in as few turns as ever.
        let turnCount = try turnsToReceive(loop, streamCount: 20)
        #expect(turnCount < 8)
    }

    /// Two streams, of which whoever is told first closes both.
    private func closeWithBytesOnTheWay(_ loop: EventLoop) throws {
        let first = try SocketPair()
        let second = try SocketPair()
        let owner = PatternOwner()
        let group = StreamGroup()
        owner.changed = { [unowned loop] _ in
            group.close()
            loop.stop()
        }
        group.streams.append(try loop.openStream(first.descriptor, owner: owner))
        group.streams.append(try loop.openStream(second.descriptor, owner: owner))
        let count = first.write(Pattern.bytes(0..<1)) + second.write(Pattern.bytes(0..<1))
        try loop.run(limitSeconds: 10)
        #expect(count == 2)
        withExtendedLifetime((first, second)) {}
    }

    private func turnsToReceive(_ loop: EventLoop, streamCount: Int) throws -> Int {
        let group = StreamGroup()
        let owner = CountingOwner()
        for _ in 0..<streamCount {
            let pair = try SocketPair()
            group.pairs.append(pair)
            group.streams.append(try loop.openStream(pair.descriptor, owner: owner))
            _ = pair.write([1])
        }
        let turns = TurnCounter()
        loop.add(turns)
        try runTurns(loop) { owner.byteCount == streamCount }
        group.close()
        return turns.count
    }

    @Test("What comes after close stays in the socket", arguments: PollerKind.allCases)
    func leftAlone(kind: PollerKind) throws {
        let loop = try kind.makeLoop()
        let pair = try SocketPair()
        let owner = PatternOwner()
        let stream = try loop.openStream(pair.descriptor, owner: owner)
        try runTurns(loop, 3)
        stream.close()
        #expect(pair.write([7]) == 1)
        try runTurns(loop, 3)
        var byte: UInt8 = 0
        #expect(recv(pair.descriptor, &byte, 1, 0) == 1 && byte == 7)
    }

    @Test("A loop that goes with a receive under way leaves the memory alone", arguments: PollerKind.allCases)
    func loopGone(kind: PollerKind) throws {
        let pair = try SocketPair()
        let owner = PatternOwner(placeSizes: [200_000], gap: 1)
        var stream: (any ByteStream)?
        do {
            let loop = try kind.makeLoop()
            stream = try loop.openStream(pair.descriptor, owner: owner)
            #expect(pair.write(Pattern.bytes(0..<1)) == 1)
            try runUntilDrained(loop, pair)
        }
        #expect(pair.write([UInt8](repeating: 0xEE, count: 100_000)) == 100_000)
        #expect(owner.memory.allSatisfy { $0 == PatternOwner.canary })
        withExtendedLifetime(stream) {}
    }
}

private final class StreamGroup {
    var pairs: [SocketPair] = []
    var streams: [any ByteStream] = []

    func close() {
        for stream in streams { stream.close() }
        streams = []
    }
}

private final class CountingOwner: ByteStreamOwner {
    private(set) var byteCount = 0

    var place: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: nil, count: 0) }
    func received(placedByteCount: Int, batch: UnsafeRawBufferPointer) { byteCount += batch.count }
    func receiveEnded(_ code: CInt) {}
    func canSend() {}
    func hungUp() {}
}
