// SPDX-License-Identifier: Apache-2.0

import CLinux
import EventLoop
import Testing

@Suite("Many streams")
struct ManyStreamsTests {
    @Test(
        "However many streams have bytes at once, each gets its own, within few turns", arguments: PollerKind.allCases,
        [1, 31, 32, 33, 200, 500])
    func allAtOnce(kind: PollerKind, count: Int) throws {
        let loop = try kind.makeLoop()
        var members: [Member] = []
        for salt in 0..<count {
            let member = try Member(loop, salt: salt)
            #expect(member.pair.write(Pattern.bytes(0..<1_000, salt: salt)) == 1_000)
            members.append(member)
        }
        let turns = TurnCounter()
        loop.add(turns)
        try runTurns(loop) { members.allSatisfy { $0.owner.offset == 1_000 } }
        #expect(members.allSatisfy { $0.owner.isIntact && $0.owner.receivedCount == 1 })
        #expect(turns.count <= 4 + count / 8)
        for member in members { member.stream.close() }
    }

    @Test("Five hundred streams that are fed at random lose nothing", arguments: PollerKind.allCases)
    func fedAtRandom(kind: PollerKind) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var numbers = SeededNumbers(seed: seed)
        let loop = try kind.makeLoop()
        let total = 60_000
        let members = try (0..<500).map { try Member(loop, salt: $0, placeSizes: $0 % 5 == 0 ? [200_000] : []) }
        try runTurns(loop) {
            for _ in 0..<100 {
                let member = members.randomElement(using: &numbers)!
                member.feed(min(total - member.sent, Int.random(in: 1...20_000, using: &numbers)))
            }
            guard members.allSatisfy({ $0.sent == total }) else {
                for member in members where member.sent > total / 2 { member.feed(total - member.sent) }
                return false
            }
            return members.allSatisfy { $0.pair.isDrained }
        }
        try runTurns(loop, 3)
        for member in members { member.owner.tookPlaced(member.stream.revokePlace()) }
        #expect(members.allSatisfy { $0.owner.isIntact && $0.owner.offset == total }, "seed \(seed)")
        for member in members { member.stream.close() }
    }

    @Test("A stream in the place of one that was closed hears nothing of it", arguments: PollerKind.allCases)
    func openedAndClosed(kind: PollerKind) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var numbers = SeededNumbers(seed: seed)
        let loop = try kind.makeLoop()
        var members: [Member] = []
        var gone: [(member: Member, receivedCount: Int)] = []
        var salt = 0
        try runTurns(loop) { [unowned loop] in
            for _ in 0..<20 {
                switch Int.random(in: 0..<3, using: &numbers) {
                case 0 where members.count < 50:
                    salt += 1
                    if let member = try? Member(loop, salt: salt, placeSizes: [200_000]) { members.append(member) }
                case 1 where !members.isEmpty:
                    let member = members.remove(at: Int.random(in: 0..<members.count, using: &numbers))
                    // Often with bytes on the way.
                    member.feed(500)
                    member.stream.close()
                    gone.append((member, member.owner.receivedCount))
                default:
                    members.randomElement(using: &numbers)?.feed(Int.random(in: 1...50_000, using: &numbers))
                }
            }
            return salt >= 3_000
        }
        #expect(gone.allSatisfy { $0.member.owner.receivedCount == $0.receivedCount }, "seed \(seed)")
        #expect(gone.allSatisfy { $0.member.owner.isIntact }, "seed \(seed)")
        #expect(members.allSatisfy { $0.owner.isIntact }, "seed \(seed)")
        #expect(gone.count > 1_000)
        for member in members { member.stream.close() }
    }

    private final class Member {
        let pair: SocketPair
        let owner: PatternOwner
        let stream: any ByteStream
        private let salt: Int
        private(set) var sent = 0

        init(_ loop: EventLoop, salt: Int, placeSizes: [Int] = []) throws {
            self.salt = salt
            pair = try SocketPair()
            owner = PatternOwner(placeSizes: placeSizes, salt: salt)
            stream = try loop.openStream(pair.descriptor, owner: owner)
        }

        func feed(_ count: Int) {
            guard count > 0 else { return }
            sent += pair.write(Pattern.bytes(sent..<sent + count, salt: salt))
        }
    }
}
