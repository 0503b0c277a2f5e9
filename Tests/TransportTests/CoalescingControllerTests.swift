// SPDX-License-Identifier: Apache-2.0

import Testing
import Transport

@Suite("CoalescingController")
struct CoalescingControllerTests {
    static let holding = CoalescingLearner(fixedLevel: .fullHold)
    static let bound: UInt64 = 30_000

    /// A controller that holds for the whole bound, and has just seen eight commands come together every 5 µs.
    private func warm(
        _ bounds: CoalescingBounds = .standard, inFlight: Int = 4, until end: UInt64 = 1_000_000
    ) -> CoalescingController {
        var controller = CoalescingController(.adaptive(bounds), learner: Self.holding)
        for now in stride(from: 5_000, through: end, by: 5_000) {
            _ = controller.turnEnded(
                now: now, queuedResponses: 8 - inFlight, queuedByteCount: 4_480, inFlight: inFlight,
                requestsThisTurn: 8)
            controller.sent(now: now, responses: 8 - inFlight, byteCount: 4_480)
        }
        return controller
    }

    @Test(
        "the fixed policies send at the end of each turn, or at once",
        arguments: [
            (CoalescingPolicy.off, true), (.turn, false), (.classic, true),
        ])
    func fixedPolicies(_ policy: CoalescingPolicy, _ sendsEach: Bool) {
        var controller = CoalescingController(policy)
        #expect(controller.sendsEachResponse == sendsEach)
        #expect(controller.asksAtTurnEnd == !sendsEach)
        for turn in 1...100 {
            let decision = controller.turnEnded(
                now: UInt64(turn) * 1_000, queuedResponses: turn, queuedByteCount: turn * 560, inFlight: turn,
                requestsThisTurn: turn)
            #expect(decision == .send)
            #expect(controller.sendsEachResponse == sendsEach)
        }
        #expect(controller.counters.sentByPolicyCount == 100)
        #expect(controller.counters.holdCount == 0)
    }

    @Test("one command at a time is never held, whatever has been learnt", arguments: CoalescingLearner.Level.allCases)
    func depthOne(_ level: CoalescingLearner.Level) {
        var controller = CoalescingController(.adaptive(.standard), learner: CoalescingLearner(fixedLevel: level))
        for turn in 1...10_000 {
            let decision = controller.turnEnded(
                now: UInt64(turn) * 20_000, queuedResponses: 1, queuedByteCount: 560, inFlight: 0, requestsThisTurn: 1)
            #expect(decision == .send)
            controller.sent(now: UInt64(turn) * 20_000, responses: 1, byteCount: 560)
        }
        #expect(controller.counters.holdCount == 0)
        #expect(controller.counters.sentUnpipelinedCount == 10_000)
    }

    @Test("when a deep queue becomes one command at a time, one hold in vain is the last")
    func depthFalls() {
        var controller = warm()
        var now: UInt64 = 1_000_000
        var holdCount = 0
        for _ in 0..<1_000 {
            now += 100_000
            if case .hold(let until) = controller.turnEnded(
                now: now, queuedResponses: 1, queuedByteCount: 560, inFlight: 0, requestsThisTurn: 1)
            {
                holdCount += 1
                now = until
                let decision = controller.turnEnded(
                    now: now, queuedResponses: 1, queuedByteCount: 560, inFlight: 0, requestsThisTurn: 0)
                #expect(decision == .send)
            }
            controller.sent(now: now, responses: 1, byteCount: 560)
        }
        #expect(holdCount <= 1)
    }

    @Test("a hold ends at its deadline, and asking again does not move it")
    func deadline() throws {
        var controller = warm()
        let start: UInt64 = 1_005_000
        func ask(_ now: UInt64, _ queued: Int) -> CoalescingController.Decision {
            controller.turnEnded(
                now: now, queuedResponses: queued, queuedByteCount: queued * 560, inFlight: 4, requestsThisTurn: 1)
        }
        #expect(ask(start, 1) == .hold(until: start + Self.bound))
        #expect(ask(start + 5_000, 2) == .hold(until: start + Self.bound))
        #expect(ask(start + 10_000, 3) == .hold(until: start + Self.bound))
        #expect(ask(start + Self.bound, 3) == .send)
        controller.sent(now: start + Self.bound, responses: 3, byteCount: 1_680)
        #expect(!controller.isHolding)
        #expect(controller.counters.deadlineCount == 1)
        #expect(controller.counters.fruitfulHoldCount >= 1)
    }

    @Test("nothing is held when the next turn is not expected before the deadline")
    func nothingExpected() {
        var controller = warm()
        let before = controller.counters.sentNothingExpectedCount
        var decisions: [CoalescingController.Decision] = []
        for now in stride(from: UInt64(2_000_000), to: 4_000_000, by: 100_000) {
            decisions.append(
                controller.turnEnded(
                    now: now, queuedResponses: 1, queuedByteCount: 560, inFlight: 4, requestsThisTurn: 1))
            controller.sent(now: now, responses: 1, byteCount: 560)
        }
        #expect(decisions.suffix(10).allSatisfy { $0 == .send })
        #expect(controller.counters.sentNothingExpectedCount > before)
    }

    @Test("all outstanding commands answered: sent at once, as their initiator waits")
    func allAnswered() {
        var controller = warm(inFlight: 0)
        let decision = controller.turnEnded(
            now: 1_005_000, queuedResponses: 8, queuedByteCount: 4_480, inFlight: 0, requestsThisTurn: 8)
        #expect(decision == .send)
        #expect(controller.counters.sentAllAnsweredCount > 0)
    }

    @Test(
        "bytes and responses have limits",
        arguments: [
            (queued: 1, byteCount: 65_536), (queued: CoalescingController.responseLimit, byteCount: 7_000),
        ])
    func limits(queued: Int, byteCount: Int) {
        var controller = warm()
        let before = controller.counters.sentLimitCount
        let decision = controller.turnEnded(
            now: 1_005_000, queuedResponses: queued, queuedByteCount: byteCount, inFlight: 500, requestsThisTurn: 1)
        #expect(decision == .send)
        #expect(controller.counters.sentLimitCount == before + 1)
        let below = controller.turnEnded(
            now: 1_005_000, queuedResponses: queued / 2 + 1, queuedByteCount: byteCount - 1, inFlight: 500,
            requestsThisTurn: 1)
        #expect(below != .send)
    }

    @Test("a bound of 0 makes adaptive do what turn does")
    func boundZero() throws {
        var controller = warm(try CoalescingBounds(maximumHoldMicroseconds: 0))
        let decision = controller.turnEnded(
            now: 1_005_000, queuedResponses: 1, queuedByteCount: 560, inFlight: 7, requestsThisTurn: 1)
        #expect(decision == .send)
        #expect(!controller.sendsEachResponse)
        #expect(controller.counters.holdCount == 0)
    }

    @Test("sending singly ends for the turn after a few, and begins again with the next")
    func singleSends() {
        var controller = CoalescingController(
            .adaptive(.standard), learner: CoalescingLearner(fixedLevel: .response))
        _ = controller.turnEnded(
            now: 1_000, queuedResponses: 2, queuedByteCount: 1_120, inFlight: 0, requestsThisTurn: 2)
        controller.sent(now: 1_000, responses: 2, byteCount: 1_120)
        var singleCount = 0
        while controller.sendsEachResponse && singleCount < 100 {
            controller.sent(now: 2_000, responses: 1, byteCount: 560)
            singleCount += 1
        }
        #expect((4...16).contains(singleCount))
        #expect(controller.asksAtTurnEnd)
        _ = controller.turnEnded(
            now: 2_000, queuedResponses: 9, queuedByteCount: 5_040, inFlight: 0, requestsThisTurn: 20)
        #expect(controller.sendsEachResponse)
    }

    @Test("what is held, sent and gained is counted")
    func counters() {
        var controller = CoalescingController(.adaptive(.standard), learner: Self.holding)
        var now: UInt64 = 0
        for _ in 0..<100 {
            now += 5_000
            if controller.turnEnded(
                now: now, queuedResponses: 1, queuedByteCount: 560, inFlight: 7, requestsThisTurn: 1) == .send
            {
                controller.sent(now: now, responses: 1, byteCount: 560)
                continue
            }
            now += 5_000
            _ = controller.turnEnded(
                now: now, queuedResponses: 4, queuedByteCount: 2_240, inFlight: 4, requestsThisTurn: 3)
            controller.sent(now: now, responses: 4, byteCount: 2_240)
        }
        let counters = controller.counters
        #expect(counters.sendCount == 100)
        #expect(counters.holdCount > 50)
        #expect(counters.fruitfulHoldCount == counters.holdCount)
        #expect(counters.heldNanoseconds == counters.holdCount * 5_000)
        #expect(counters.responseCount == counters.holdCount * 4 + (100 - counters.holdCount))
        #expect(counters.byteCount == counters.responseCount * 560)
        #expect(counters.responsesPerSend == Double(counters.responseCount) / 100)

        var sum = CoalescingCounters()
        #expect(sum.responsesPerSend == 0)
        sum.add(counters)
        sum.add(counters)
        #expect(sum.heldNanoseconds == 2 * counters.heldNanoseconds)
        #expect(sum.responsesPerSend == counters.responsesPerSend)
    }

    @Test("a clock that stands still or steps back breaks nothing")
    func strangeClock() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix(state: seed)
        var controller = CoalescingController(.adaptive(.standard))
        for _ in 0..<200_000 {
            let now = UInt64.random(in: 0...40_000_000, using: &generator)
            let queued = Int.random(in: 0...300, using: &generator)
            let decision = controller.turnEnded(
                now: now, queuedResponses: queued, queuedByteCount: queued * 560,
                inFlight: Int.random(in: 0...300, using: &generator),
                requestsThisTurn: Int.random(in: 0...300, using: &generator))
            if decision == .send { controller.sent(now: now, responses: queued, byteCount: queued * 560) }
        }
        #expect(controller.counters.sendCount > 0, "seed \(seed)")
    }
}
