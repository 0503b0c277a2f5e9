// SPDX-License-Identifier: Apache-2.0

import HandlerHost
import SCSI
import TargetCore
import Testing

@Suite("What the filter fault decides")
struct FaultPlanTests {
    private static let read = FaultSubject(.read, blocks: 0..<8)
    private static let write = FaultSubject(.write, blocks: 0..<8)
    private static let flush = FaultSubject(.flush)

    private func plan(_ text: String, seed: UInt64 = 1) throws -> FaultPlan {
        FaultPlan(try FaultOptions(text: text), seed: seed)
    }

    private func decisions(_ text: String, _ subject: FaultSubject, count: UInt64, seed: UInt64 = 1) throws
        -> [FaultDecision]
    {
        let plan = try plan(text, seed: seed)
        return (0..<count).map { plan.decide(subject, number: $0) }
    }

    @Test("One seed always decides alike, another one differently")
    func seed() throws {
        let text = "error=10%,delay=1us..1ms,late=10%,hang=5%,short=10%"
        let first = try decisions(text, Self.read, count: 1000, seed: 5)
        #expect(try decisions(text, Self.read, count: 1000, seed: 5) == first)
        #expect(try decisions(text, Self.read, count: 1000, seed: 6) != first)
    }

    @Test(
        "A rate is kept: of a hundred thousand commands as many are met as chance allows",
        arguments: [("0.1%", 0.001), ("1%", 0.01), ("1/3", 1.0 / 3), ("50%", 0.5), ("99%", 0.99), ("100%", 1)],
        [UInt64(1), 2, 0xFFFF_FFFF_FFFF_FFFF])
    func rates(rate: (String, Double), seed: UInt64) throws {
        let count = 100_000.0
        let met = try decisions("error=\(rate.0)", Self.read, count: 100_000, seed: seed).count { $0.ending == .error }
        // Six standard deviations: once in five hundred million.
        let bound = 6 * (count * rate.1 * (1 - rate.1)).squareRoot()
        #expect(abs(Double(met) - count * rate.1) <= bound, "\(met)")
    }

    @Test("Faults of one command are drawn independently of each other, and of the command before")
    func independence() throws {
        let all = try decisions("error=50%,late=50%", Self.read, count: 40_000)
        let both = all.count { $0.ending == .error && $0.isLate }
        #expect(abs(both - 10_000) < 600)
        let inRow = zip(all, all.dropFirst()).count { $0.ending == .error && $1.ending == .error }
        #expect(abs(inRow - 10_000) < 600)
    }

    @Test("Delays lie within their bounds, reach both ends and come where they are asked for")
    func delays() throws {
        let start = try decisions("delay=10us..13us", Self.read, count: 100_000)
        #expect(start.allSatisfy { (10_000...13_000).contains($0.delayNanoseconds) && $0.endDelayNanoseconds == 0 })
        #expect(start.contains { $0.delayNanoseconds < 10_010 } && start.contains { $0.delayNanoseconds > 12_990 })
        let end = try decisions("delay=5ms,delay-at=end", Self.flush, count: 10)
        #expect(end.allSatisfy { $0.delayNanoseconds == 0 && $0.endDelayNanoseconds == 5_000_000 })
        let some = try decisions("delay=5ms,delay-rate=10%", Self.flush, count: 10_000)
        #expect(abs(some.count { $0.delayNanoseconds == 5_000_000 } - 1000) < 200)
    }

    @Test("A late completion waits in addition to a delay at the end, and `withoutFault` takes just that back")
    func late() throws {
        let decision = try decisions("delay=1ms,delay-at=end,late=100%,late-by=3ms", Self.read, count: 1)[0]
        #expect(decision.endDelayNanoseconds == 4_000_000 && decision.isLate)
        #expect(decision.withoutFault.endDelayNanoseconds == 1_000_000 && !decision.withoutFault.isFault)
    }

    @Test("Only what reads is corrupted, only what moves data falls short, only a flush is lost")
    func applicability() throws {
        let all = "corrupt=100%,short=100%,lose-flush"
        #expect(try decisions("corrupt=100%", Self.read, count: 1)[0].ending == .corrupt)
        #expect(try decisions("corrupt=100%", Self.write, count: 1)[0].ending == .own)
        #expect(try decisions("lose-flush", Self.write, count: 1)[0].ending == .own)
        #expect(try decisions(all, Self.flush, count: 1)[0].ending == .loseFlush)
        for operation in FaultOperation.allCases where ![.read, .write, .flush].contains(operation) {
            #expect(try decisions(all, FaultSubject(operation, blocks: 0..<8), count: 1)[0].ending == .own)
        }
        for subject in [Self.read, Self.write] {
            for decision in try decisions("short=100%", subject, count: 1000) {
                guard case .short(let count) = decision.ending else {
                    Issue.record("\(decision)")
                    continue
                }
                #expect(count < 8)
            }
        }
    }

    private static let windows: [(String, UInt64, UInt64, Bool)] = [
        ("after=3", 2, 0, false), ("after=3", 3, 0, true), ("after=3", 1 << 40, 0, true),
        ("after=3,for=2", 4, 0, true), ("after=3,for=2", 5, 0, false), ("for=2", 1, 0, true), ("for=2", 2, 0, false),
        ("after=1s", 0, 999_999_999, false), ("after=1s", 0, 1_000_000_000, true),
        ("after=1s,for=1s", 0, 1_999_999_999, true), ("after=1s,for=1s", 0, 2_000_000_000, false),
        ("for=1s", 9, 999_999_999, true), ("for=1s", 9, 1_000_000_000, false), ("after=2,for=1s", 1, 0, false),
        ("after=2,for=1s", 2, 0, true), ("after=2,for=1s", 2, 1_000_000_000, false),
        ("after=1s,for=5", 4, 1_000_000_000, true), ("after=1s,for=5", 5, 1_000_000_000, false),
    ]

    @Test("Faults begin after so many commands or so long, and last for so many or so long", arguments: windows)
    func window(options: String, number: UInt64, elapsed: UInt64, isActive: Bool) throws {
        let plan = try plan("error=100%,\(options)")
        #expect(plan.isActive(number: number, elapsed: elapsed) == isActive)
        #expect((plan.decide(Self.read, number: number, elapsed: elapsed).ending == .error) == isActive)
    }

    private static let subjects: [(String, FaultSubject, Bool, UInt64?)] = [
        ("on=read", read, true, 0), ("on=read", write, false, nil), ("on=read,write", write, true, 0),
        ("on=flush", flush, true, nil), ("range=0..9", flush, false, nil), ("range=7..9", read, true, 7),
        ("range=8..9", read, false, nil), ("range=0..0", read, true, 0),
        ("range=10..20", FaultSubject(.write, blocks: 0..<11), true, 10),
        ("range=10..20", FaultSubject(.write, blocks: 20..<30), true, 20),
        ("range=10..20", FaultSubject(.write, blocks: 21..<30), false, nil),
        ("range=10..20", FaultSubject(.write, blocks: 15..<15), false, nil),
        ("range=0..18446744073709551615", FaultSubject(.write, blocks: 5..<6), true, 5),
    ]

    @Test("A plan is about the operations and the blocks that it names", arguments: subjects)
    func about(options: String, subject: FaultSubject, isAbout: Bool, lba: UInt64?) throws {
        let plan = try plan("error=100%,\(options)")
        #expect(plan.isAbout(subject) == isAbout)
        if isAbout { #expect(plan.decide(subject, number: 0).lba == lba) }
    }

    private static let commands: [([UInt8], FaultOperation, Range<UInt64>?)] = [
        ([0x08, 0x1F, 0xFF, 0xFF, 0, 0], .read, 0x1F_FFFF..<0x20_00FF),
        ([0x28, 0, 0, 0, 1, 0, 0, 0, 2, 0], .read, 256..<258),
        ([0x2A, 0, 0, 0, 0, 9, 0, 0, 1, 0], .write, 9..<10),
        ([0xA8, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0], .read, 1..<3),
        ([0x8A, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 9, 0, 0], .write, .max ..< .max),
        ([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], .flush, nil), ([0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], .unmap, nil),
        ([0x12, 0, 0, 0, 36, 0], .command, nil), ([0x95, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], .command, nil),
    ]

    @Test("Of a device that is shown CDBs, the CDB tells what a command does", arguments: commands)
    func cdb(bytes: [UInt8], operation: FaultOperation, blocks: Range<UInt64>?) throws {
        let subject = FaultSubject(try #require(CommandDescriptorBlock(bytes)))
        #expect(subject == FaultSubject(operation, blocks: blocks))
    }

    @Test("An order has each position once, is another one for each batch, and the same for the same seed")
    func order() throws {
        let plan = try plan("reorder=8")
        var seen: Set<[Int]> = []
        for batch in 0..<200 {
            let order = plan.order(batch: UInt64(batch), count: 8)
            #expect(order.sorted() == Array(0..<8))
            #expect(order == plan.order(batch: UInt64(batch), count: 8))
            seen.insert(order)
        }
        #expect(seen.count > 190)
        #expect(plan.order(batch: 3, count: 1) == [0] && plan.order(batch: 3, count: 0) == [])
    }

    @Test("What is due first comes first, and of one time what came first")
    func heap() {
        let seed = SeededGenerator.freshSeed
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var heap = DeadlineHeap<Int>(capacity: 4)
        #expect(heap.earliest == nil && heap.removeDue(at: .max) == nil)
        let times = (0..<2000).map { _ in UInt64.random(in: 0..<300, using: &random) }
        for (number, time) in times.enumerated() { heap.insert(number, deadline: time) }
        var taken: [Int] = []
        for now in 0..<UInt64(300) {
            while let number = heap.removeDue(at: now) {
                #expect(times[number] == now)
                taken.append(number)
            }
        }
        #expect(taken == times.indices.sorted { (times[$0], $0) < (times[$1], $1) })
        #expect(heap.count == 0)
    }
}
