// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Transport

/// The marks of adaptive coalescing, in virtual time: 512-byte reads over 1 Gb/s. What the parties pay is set in
/// `SimulationCosts`; the benchmark `Benchmarks/coalesce.sh` measures the same on a real network stack.
@Suite("Coalescing, simulated")
struct CoalescingSimulationTests {
    struct Cell: Sendable, CustomTestStringConvertible {
        let depth: Int
        let handler: SimulationHandler
        let delayMicroseconds: Int

        var testDescription: String { "depth \(depth), \(handler), \(delayMicroseconds) µs each way" }
    }

    static let cells: [Cell] = [1, 2, 4, 8, 16, 32, 64, 128, 256].flatMap { depth in
        [SimulationHandler.inline, .later].flatMap { handler in
            // The longer way only where it changes what bounds the rate.
            ([8, 64].contains(depth) ? [50, 100] : [50]).map {
                Cell(depth: depth, handler: handler, delayMicroseconds: $0)
            }
        }
    }

    /// The same at each run, so that a mark is not missed by the luck of a run; MARTLET_SEED sets another.
    static let seed = ProcessInfo.processInfo.environment["MARTLET_SEED"].flatMap { UInt64($0) } ?? 1

    @Test(
        "adaptive is within 3 % of the best fixed setting to depth 16, and never below turn or classic",
        arguments: cells)
    func marks(_ cell: Cell) {
        let seed = Self.seed
        func result(_ policy: CoalescingPolicy) -> SimulationResult {
            CoalescingSimulation(
                .closed(depth: cell.depth), cell.handler, policy,
                link: .delayed(microseconds: cell.delayMicroseconds), seed: seed
            ).run(responseCount: cell.depth > 16 ? 40_000 : 100_000)
        }
        let (off, turn, adaptive, classic) = (
            result(.off), result(.turn), result(.adaptive(.standard)), result(.classic)
        )
        #expect(adaptive.iops >= 0.97 * turn.iops, "seed \(seed)")
        // At low depths the classic rule is sending singly, which the latency below is compared with.
        #expect(adaptive.iops >= (cell.depth > 16 ? 1 : 0.97) * classic.iops, "seed \(seed)")
        if cell.depth <= 16 {
            #expect(adaptive.meanLatency <= 1.03 * min(off.meanLatency, turn.meanLatency), "seed \(seed)")
        }
        if cell.depth >= 64 { #expect(adaptive.iops >= 1.6 * off.iops, "seed \(seed)") }
        if cell.depth == 1 {
            #expect(adaptive.counters.holdCount == 0)
            #expect(adaptive.counters.trialCount == 0)
            #expect(adaptive.meanLatency == turn.meanLatency, "seed \(seed)")
        }
    }

    @Test(
        "an initiator that sends by its own clock is hardly slower than with turn",
        arguments: [
            SimulationLoad.steady(perSecond: 20_000), .steady(perSecond: 60_000),
            .bursts(size: 8, intervalMicroseconds: 200), .bursts(size: 64, intervalMicroseconds: 500),
        ], [SimulationHandler.inline, .later])
    func ownClock(_ load: SimulationLoad, _ handler: SimulationHandler) {
        let (turn, adaptive, seed) = turnAndAdaptive(load, handler)
        #expect(adaptive.meanLatency <= 1.05 * turn.meanLatency, "seed \(seed)")
        #expect(adaptive.latency99 <= 1.25 * turn.latency99, "seed \(seed)")
    }

    @Test(
        "a load that comes and goes is served as with turn",
        arguments: [
            SimulationLoad.onOff(depth: 4, onMicroseconds: 20_000, offMicroseconds: 20_000),
            .onOff(depth: 16, onMicroseconds: 3_000, offMicroseconds: 3_000),
            .onOff(depth: 128, onMicroseconds: 5_000, offMicroseconds: 2_000),
        ], [SimulationHandler.inline, .later])
    func comesAndGoes(_ load: SimulationLoad, _ handler: SimulationHandler) {
        let (turn, adaptive, seed) = turnAndAdaptive(load, handler)
        #expect(adaptive.iops >= 0.97 * turn.iops, "seed \(seed)")
        #expect(adaptive.meanLatency <= 1.03 * turn.meanLatency, "seed \(seed)")
    }

    @Test("where full segments are worth waiting for, holding is found and kept", arguments: [64, 128])
    func holdingPays(_ depth: Int) throws {
        let seed = Self.seed
        let link = SimulationLink(nanosecondsPerByte: 20, delay: 50_000)
        let policy = CoalescingPolicy.adaptive(try CoalescingBounds(maximumHoldMicroseconds: 100))
        func result(_ policy: CoalescingPolicy) -> SimulationResult {
            CoalescingSimulation(.closed(depth: depth), .later, policy, link: link, seed: seed)
                .run(responseCount: 200_000)
        }
        let (turn, adaptive) = (result(.turn), result(policy))
        #expect(adaptive.level.rawValue >= CoalescingLearner.Level.halfHold.rawValue, "seed \(seed)")
        #expect(adaptive.iops >= 1.02 * turn.iops, "seed \(seed)")
        #expect(adaptive.sendsPerResponse <= 0.5 * turn.sendsPerResponse, "seed \(seed)")
        // Most holds bring something, and none is longer than the bound and the timer's delay.
        #expect(adaptive.counters.fruitfulHoldCount * 10 >= adaptive.counters.holdCount * 9, "seed \(seed)")
    }

    @Test("the classic rule gathers at deep queues with an inline handler, and not below depth 17")
    func classicGathers() {
        for (depth, gathers) in [(1, false), (16, false), (256, true)] {
            let link = SimulationLink.delayed(microseconds: 50)
            let off = CoalescingSimulation(.closed(depth: depth), .inline, .off, link: link, seed: 1)
                .run(responseCount: 20_000)
            let classic = CoalescingSimulation(.closed(depth: depth), .inline, .classic, link: link, seed: 1)
                .run(responseCount: 20_000)
            #expect((classic.iops > 1.3 * off.iops) == gathers, "depth \(depth)")
            #expect(classic.iops >= 0.99 * off.iops, "depth \(depth)")
        }
    }

    private func turnAndAdaptive(
        _ load: SimulationLoad, _ handler: SimulationHandler
    ) -> (SimulationResult, SimulationResult, UInt64) {
        let seed = Self.seed
        func result(_ policy: CoalescingPolicy) -> SimulationResult {
            CoalescingSimulation(load, handler, policy, link: SimulationLink(), seed: seed).run(responseCount: 60_000)
        }
        return (result(.turn), result(.adaptive(.standard)), seed)
    }
}
