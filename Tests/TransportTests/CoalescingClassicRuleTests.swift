// SPDX-License-Identifier: Apache-2.0

import Testing
import Transport

@Suite("ClassicNagleRule")
struct CoalescingClassicRuleTests {
    /// Reads so many PDUs and then finds nothing more: what each step says, without those that say nothing.
    private func cycle(_ rule: inout ClassicNagleRule, _ pduCount: Int) -> [ClassicNagleRule.Action] {
        var actions: [ClassicNagleRule.Action] = []
        for _ in 0..<pduCount { actions.append(rule.pduRead()) }
        actions.append(rule.drained())
        return actions.filter { $0 != .none }
    }

    @Test("short cycles never gather", arguments: [0, 1, 16, 95])
    func shortCycles(_ pduCount: Int) {
        var rule = ClassicNagleRule()
        for _ in 0..<100 { #expect(cycle(&rule, pduCount).isEmpty) }
        #expect(!rule.isGathering)
    }

    @Test("one lone cycle above the threshold is not enough; the mean of four has to follow")
    func loneSpike() {
        var rule = ClassicNagleRule()
        #expect(cycle(&rule, 271).isEmpty)
        var other = ClassicNagleRule()
        // 272 PDUs in four cycles are a mean of 68, half of 96 + 40.
        #expect(cycle(&other, 272) == [.gather, .flushAndGather])
    }

    @Test("the fourth cycle of a steady hundred gathers, from its 96th PDU on")
    func steadyHundred() {
        var rule = ClassicNagleRule()
        #expect(cycle(&rule, 90).isEmpty)
        #expect(cycle(&rule, 90).isEmpty)
        for number in 1...95 { #expect(rule.pduRead() == .none, "\(number)") }
        #expect(rule.pduRead() == .gather)
        #expect(rule.isGathering)
        #expect(rule.pduRead() == .none)
        // 97 is below 136: the flush ends it.
        #expect(rule.drained() == .flush)
        #expect(!rule.isGathering)
    }

    @Test("a cycle of 136 is remembered for two more")
    func remembers() {
        var rule = ClassicNagleRule()
        _ = cycle(&rule, 136)
        #expect(cycle(&rule, 136) == [.gather, .flushAndGather])
        #expect(cycle(&rule, 1) == [.flushAndGather])
        #expect(cycle(&rule, 1) == [.flushAndGather])
        #expect(cycle(&rule, 1) == [.flush])
        #expect(cycle(&rule, 1).isEmpty)
    }

    @Test("threshold 0 is never flushed, threshold 1 with margin 0 always, a huge one never gathers")
    func extremes() {
        var zero = ClassicNagleRule(threshold: 0, margin: 0)
        #expect(cycle(&zero, 3) == [.gather])
        #expect(cycle(&zero, 3).isEmpty)
        #expect(zero.isGathering)

        var one = ClassicNagleRule(threshold: 1, margin: 0)
        #expect(cycle(&one, 1) == [.gather, .flushAndGather])
        #expect(cycle(&one, 1) == [.flushAndGather])

        var huge = ClassicNagleRule(threshold: .max, margin: .max)
        #expect(cycle(&huge, 100_000).isEmpty)
    }
}
