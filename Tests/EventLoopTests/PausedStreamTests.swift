// SPDX-License-Identifier: Apache-2.0

import CLinux
import EventLoop
import Testing

@Suite("Paused streams")
struct PausedStreamTests {
    @Test(
        "A stream that is paused and resumed at any moment tells nothing meanwhile and loses nothing",
        arguments: PollerKind.allCases, Transport.allCases)
    func pausedAndResumed(kind: PollerKind, transport: Transport) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var numbers = SeededNumbers(seed: seed)
        let total = 3_000_000
        let loop = try kind.makeLoop()
        let pair = try SocketPair(transport)
        let owner = PatternOwner(placeSizes: [5_000, 300_000, 140_000])
        let stream = try loop.openStream(pair.descriptor, owner: owner)
        let feeder = Feeder(pair, total: total) { Int.random(in: 0...200_000, using: &numbers) }
        loop.add(feeder)
        var toldWhilePaused = 0
        var pauseCount = 0
        owner.changed = { [unowned loop] owner in
            if !stream.isReceiving { toldWhilePaused += 1 }
            if Int.random(in: 0..<4, using: &numbers) == 0 { stream.isReceiving = false }
            if owner.offset == total { loop.stop() }
        }
        loop.add(
            Restless { [unowned loop] in
                if !stream.isReceiving { pauseCount += 1 }
                if Int.random(in: 0..<3, using: &numbers) == 0 { stream.isReceiving.toggle() }
                // The rest may be the beginning of a place.
                if feeder.offset == total, pair.isDrained, stream.isReceiving, !owner.place.isEmpty {
                    owner.tookPlaced(stream.revokePlace())
                    if owner.offset == total { loop.stop() }
                }
            })
        try loop.run(limitSeconds: 30)
        #expect(owner.isIntact, "seed \(seed)")
        #expect(owner.offset == total, "seed \(seed)")
        #expect(toldWhilePaused == 0, "seed \(seed)")
        #expect(pauseCount > 10, "seed \(seed)")
        stream.close()
    }

    @Test("While a stream is paused its peer can soon send no more", arguments: PollerKind.allCases)
    func bounded(kind: PollerKind) throws {
        let loop = try kind.makeLoop()
        let pair = try SocketPair()
        let owner = PatternOwner()
        let stream = try loop.openStream(pair.descriptor, owner: owner)
        try runTurns(loop, 3)
        stream.isReceiving = false
        var sent = 0
        var quietTurns = 0
        try runTurns(loop) {
            let count = pair.write(Pattern.bytes(sent..<sent + 50_000))
            sent += count
            quietTurns = count == 0 ? quietTurns + 1 : 0
            return quietTurns == 20 || sent > 20_000_000
        }
        #expect(sent < 2_000_000)
        #expect(owner.receivedCount == 0)
        stream.isReceiving = true
        owner.changed = { [unowned loop] in if $0.offset == sent { loop.stop() } }
        try loop.run(limitSeconds: 10)
        #expect(owner.isIntact)
        stream.close()
    }

    /// What the peer may do to a stream that is paused before, or after, a receive is under way.
    static let moments = [0, 3]

    @Test(
        "A peer that closes its half of a paused stream is no hang-up; the end is told after the bytes, on resuming",
        arguments: PollerKind.allCases, moments)
    func halfClosed(kind: PollerKind, turnsBefore: Int) throws {
        for transport in Transport.allCases {
            let loop = try kind.makeLoop()
            let pair = try SocketPair(transport)
            let owner = PatternOwner()
            let stream = try loop.openStream(pair.descriptor, owner: owner)
            if turnsBefore > 0 { try runTurns(loop, turnsBefore) }
            stream.isReceiving = false
            if turnsBefore > 0 { #expect(pair.write(Pattern.bytes(0..<1_000)) == 1_000) }
            pair.closeHalf()
            // It sleeps meanwhile: an end that nobody asked for is not told over and over.
            let turns = TurnCounter()
            loop.add(turns)
            _ = loop.schedule(afterMilliseconds: 60) { loop.stop() }
            try loop.run()
            #expect(turns.count < 20)
            #expect(owner.hungUpCount == 0 && owner.ends.isEmpty && owner.offset == 0)
            stream.isReceiving = true
            owner.changed = { [unowned loop] in if !$0.ends.isEmpty { loop.stop() } }
            try loop.run(limitSeconds: 10)
            #expect(owner.ends == [0] && owner.isIntact)
            #expect(owner.offset == (turnsBefore > 0 ? 1_000 : 0))
            stream.close()
        }
    }

    @Test(
        "A peer that goes altogether is told of, although the stream is paused", arguments: PollerKind.allCases, moments
    )
    func gone(kind: PollerKind, turnsBefore: Int) throws {
        for transport in Transport.allCases {
            let loop = try kind.makeLoop()
            let pair = try SocketPair(transport)
            let owner = PatternOwner(placeSizes: [200_000], gap: 1)
            let stream = try loop.openStream(pair.descriptor, owner: owner)
            #expect(pair.write(Pattern.bytes(0..<1)) == 1)
            if turnsBefore > 0 { try runTurns(loop, turnsBefore) }
            stream.isReceiving = false
            try runTurns(loop, 3)
            switch transport {
            case .unix: pair.closePeer()
            case .tcp: pair.reset()
            }
            owner.changed = { [unowned loop] in if $0.hungUpCount > 0 { loop.stop() } }
            try loop.run(limitSeconds: 10)
            #expect(owner.hungUpCount > 0 && owner.ends.isEmpty)
            stream.close()
        }
    }

    @Test(
        "A descriptor nobody waits for, half-closed by the peer, does not keep the loop busy",
        arguments: PollerKind.allCases)
    func noInterest(kind: PollerKind) throws {
        let loop = try kind.makeLoop()
        let pair = try SocketPair()
        let source = RecordingSource()
        let registration = try loop.register(pair.descriptor, interest: [], source: source)
        pair.closeHalf()
        let turns = TurnCounter()
        loop.add(turns)
        _ = loop.schedule(afterMilliseconds: 60) { loop.stop() }
        try loop.run()
        #expect(turns.count < 20)
        #expect(source.told.isEmpty)
        // But that it has gone altogether is told, again and again, and that bytes can be read where that is asked for.
        pair.closePeer()
        try runTurns(loop) { source.told.count >= 3 }
        #expect(source.told.allSatisfy { $0 == .hangup })
        source.told = []
        try loop.setInterest(.readable, of: registration)
        try runTurns(loop) { source.told.count >= 3 }
        #expect(source.told.allSatisfy { $0 == [.hangup, .readable] })
        loop.remove(registration)
        source.told = []
        try runTurns(loop, 5)
        #expect(source.told.isEmpty)
    }
}

final class RecordingSource: EventSource {
    var told: [Readiness] = []

    func ready(_ readiness: Readiness) { told.append(readiness) }
}
