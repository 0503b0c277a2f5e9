// SPDX-License-Identifier: Apache-2.0

import Testing
import Transport

@Suite("CoalescingLearner")
struct CoalescingLearnerTests {
    private typealias Level = CoalescingLearner.Level
    private static let everything = Level.response ... .fullHold

    /// Lets turns of `batch` responses pass, each taking as long as `rate` of its level says; counts those in trials
    /// of another level than the one in use.
    private func run(
        _ learner: inout CoalescingLearner, responses: Int, batch: Int = 4, depth: Int = 16,
        range: ClosedRange<CoalescingLearner.Level> = everything, noise: Double = 0,
        generator: inout SplitMix, rate: (CoalescingLearner.Level) -> Double
    ) -> Int {
        var now: UInt64 = 1
        var challenged = 0
        for _ in 0..<(responses / batch) {
            let level = learner.activeLevel
            if level != learner.level { challenged += batch }
            let scatter = 1 + noise * (Double.random(in: -1...1, using: &generator))
            now += UInt64(5_000 * Double(batch) * scatter / rate(level))
            let sends = level == .response ? batch : 1
            for _ in 0..<sends { learner.sent(responses: batch / sends) }
            if learner.isDue { learner.advance(now: now, depth: depth, range: range) }
        }
        return challenged
    }

    @Test("what is 5 % better is found, whatever it is", arguments: [Level.response, .halfHold, .fullHold])
    func findsTheBetter(_ best: CoalescingLearner.Level) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix(state: seed)
        var learner = CoalescingLearner()
        _ = run(&learner, responses: 3_000_000, noise: 0.25, generator: &generator) { $0 == best ? 1.05 : 1 }
        #expect(learner.level == best, "seed \(seed)")
        #expect(learner.changeCount >= 1)
    }

    @Test("a gain within the hysteresis changes nothing", arguments: [1.0, 1.005, 1.01])
    func staysPut(_ gain: Double) {
        var generator = SplitMix(state: 1)
        var learner = CoalescingLearner()
        _ = run(&learner, responses: 3_000_000, generator: &generator) { $0 == .turn ? 1 : gain }
        #expect(learner.level == .turn)
        #expect(learner.changeCount == 0)
        #expect(learner.trialCount >= 3)
    }

    /// Seeds are fixed: a small share of all seeds does change something, and finds back later.
    @Test("noise alone changes next to nothing")
    func noise() {
        var strayCount = 0
        for seed in 1...20 {
            var generator = SplitMix(state: UInt64(seed))
            var learner = CoalescingLearner()
            _ = run(&learner, responses: 500_000, batch: 1, noise: 1, generator: &generator) { _ in 1 }
            if learner.changeCount > 0 { strayCount += 1 }
        }
        #expect(strayCount <= 2)
    }

    @Test("when what was better is better no longer, turn comes back", arguments: [Level.response, .fullHold])
    func comesBack(_ best: CoalescingLearner.Level) {
        var generator = SplitMix(state: 2)
        var learner = CoalescingLearner()
        _ = run(&learner, responses: 1_000_000, generator: &generator) { $0 == best ? 1.1 : 1 }
        #expect(learner.level == best)
        _ = run(&learner, responses: 3_000_000, generator: &generator) { _ in 1 }
        #expect(learner.level == .turn)
    }

    @Test("exploring costs less than one response in a hundred, and clear losers are hardly tried")
    func exploringIsRare() {
        var generator = SplitMix(state: 3)
        var close = CoalescingLearner()
        _ = run(&close, responses: 500_000, generator: &generator) { _ in 1 }
        #expect(run(&close, responses: 2_000_000, generator: &generator) { _ in 1 } < 20_000)
        var far = CoalescingLearner()
        #expect(run(&far, responses: 2_000_000, generator: &generator) { $0 == .turn ? 1 : 0.6 } < 4_000)
        #expect(far.level == .turn)
    }

    @Test("levels out of range are not tried")
    func range() {
        var generator = SplitMix(state: 4)
        var learner = CoalescingLearner()
        let challenged = run(&learner, responses: 1_000_000, range: .turn ... .turn, generator: &generator) { _ in 1 }
        #expect(challenged == 0)
        #expect(learner.trialCount == 0)
    }

    @Test(
        "at deep queues a hold that saves sends at the same rate is taken, at shallow ones not",
        arguments: [
            (16, false), (64, true),
        ])
    func economy(_ depth: Int, _ holds: Bool) {
        var learner = CoalescingLearner()
        var now: UInt64 = 1
        for _ in 0..<200_000 {
            let batch = learner.activeLevel > .turn ? 8 : 4
            now += UInt64(5_000 * batch)
            learner.sent(responses: batch)
            if learner.isDue { learner.advance(now: now, depth: depth, range: .turn ... .fullHold) }
        }
        #expect((learner.level > .turn) == holds)
    }

    @Test("pauses of the load spoil a measurement; after many the trial is given up")
    func interruptions() {
        var learner = CoalescingLearner()
        var now: UInt64 = 1
        func pass(_ responses: Int) {
            for _ in 0..<responses {
                now += 5_000
                learner.sent(responses: 1)
                if learner.isDue { learner.advance(now: now, depth: 8, range: Self.everything) }
            }
        }
        learner.interrupted()
        #expect(!learner.isInTrial)
        pass(1_200)
        #expect(learner.isInTrial)
        for _ in 0..<20 {
            pass(50)
            learner.interrupted()
        }
        #expect(!learner.isInTrial)
        #expect(learner.level == .turn)
        #expect(learner.activeLevel == .turn)
    }

    @Test("giving up returns to turn at once")
    func givingUp() {
        var generator = SplitMix(state: 5)
        var learner = CoalescingLearner()
        _ = run(&learner, responses: 1_000_000, generator: &generator) { $0 == .fullHold ? 1.2 : 1 }
        #expect(learner.level == .fullHold)
        learner.giveUp()
        #expect(learner.level == .turn)
        #expect(learner.activeLevel == .turn)
    }
}
