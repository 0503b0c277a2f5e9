// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Foundation
import Testing

/// The controller in virtual time, under loads of every shape.
@Suite("PollingController")
struct PollingControllerTests {
    /// Gaps of a Poisson process.
    private static func poisson(meanNanoseconds: Double, seed: UInt64) -> PollingSimulation.Source {
        var numbers = SeededNumbers(seed: seed)
        return .open { _ in
            UInt64(-log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &numbers)) * meanNanoseconds)
        }
    }

    /// One sender whose next command comes after a time without memory.
    private static func moody(meanNanoseconds: Double, seed: UInt64) -> PollingSimulation.Source {
        guard case .open(let gap) = poisson(meanNanoseconds: meanNanoseconds, seed: seed) else { return steady(1) }
        return .closed(depth: 1) { gap(0) }
    }

    private static func steady(_ perSecond: UInt64) -> PollingSimulation.Source {
        .open { _ in 1_000_000_000 / perSecond }
    }

    // MARK: The modes that do not learn

    @Test("off always sleeps")
    func off() {
        var simulation = PollingSimulation(.off, source: .closed(depth: 1) { 2_000 })
        simulation.run(seconds: 1)
        #expect(simulation.waitCounts.spin == 0)
        #expect(simulation.waitCounts.timedSleep == 0)
        #expect(simulation.controller.counters == PollingCounters())
    }

    @Test("busy never sleeps, whatever the budget says")
    func busy() {
        var simulation = PollingSimulation(.busy, budgetPercent: 0, source: Self.steady(100))
        simulation.run(seconds: 1)
        #expect(simulation.waitCounts.sleep == 0)
        #expect(simulation.waitCounts.spin > 90)
        #expect(simulation.controller.counters.paidSpinCount == simulation.controller.counters.spinCount)
    }

    // MARK: Spinning

    @Test("one command at a time that comes back sooner than a wake-up takes is awaited by looking")
    func shortRoundTrip() {
        let source = PollingSimulation.Source.closed(depth: 1) { 5_000 }
        var sleeping = PollingSimulation(.off, source: source)
        var adaptive = PollingSimulation(.adaptive, source: source)
        sleeping.run(seconds: 5)
        adaptive.run(seconds: 5)
        #expect(adaptive.rate(seconds: 5) > 1.7 * sleeping.rate(seconds: 5))
        let counters = adaptive.controller.counters
        #expect(counters.modeChangeCount == 1)
        #expect(counters.paidSpinCount == counters.spinCount)
        #expect(counters.vainSpinNanoseconds == 0)
    }

    @Test("commands that come back later than that are slept for", arguments: [12_000, 20_000, 50_000, 1_000_000])
    func longRoundTrip(roundTripNanoseconds: UInt64) {
        let source = PollingSimulation.Source.closed(depth: 1) { roundTripNanoseconds }
        var sleeping = PollingSimulation(.off, source: source)
        var adaptive = PollingSimulation(.adaptive, source: source)
        sleeping.run(seconds: 2)
        adaptive.run(seconds: 2)
        #expect(adaptive.controller.counters.modeChangeCount == 0)
        // What the trials cost.
        #expect(adaptive.busyNanosecondsPerWork < 1.05 * sleeping.busyNanosecondsPerWork)
        #expect(adaptive.rate(seconds: 2) > 0.99 * sleeping.rate(seconds: 2))
    }

    @Test("work in no order: it looks when the mean gap is short, and sleeps when it is long", arguments: [1, 2, 3])
    func randomGaps(seed: UInt64) {
        var short = PollingSimulation(.adaptive, source: Self.moody(meanNanoseconds: 4_500, seed: seed))
        short.run(seconds: 3)
        var long = PollingSimulation(.adaptive, source: Self.moody(meanNanoseconds: 20_000, seed: seed))
        long.run(seconds: 3)
        #expect(long.controller.counters.modeChangeCount == 0, "seed \(seed)")
        #expect(Double(long.waitCounts.spin) < 0.07 * Double(long.waitCounts.sleep), "seed \(seed)")
        #expect(short.controller.counters.modeChangeCount == 1, "seed \(seed)")
        #expect(short.waitCounts.spin > 10 * short.waitCounts.sleep, "seed \(seed): \(short.waitCounts)")
    }

    @Test(
        "whatever the rate, the mode does not flap",
        arguments: [4_000, 5_000, 6_000, 7_000, 8_000, 9_000, 10_000, 11_000, 12_000, 14_000, 16_000, 20_000], [7, 8])
    func noFlapping(meanGapNanoseconds: Int, seed: UInt64) {
        for source in [Self.poisson, Self.moody] {
            var simulation = PollingSimulation(.adaptive, source: source(Double(meanGapNanoseconds), seed))
            simulation.run(seconds: 10)
            #expect(
                simulation.controller.counters.modeChangeCount <= 20,
                "seed \(seed): \(simulation.controller.counters)")
        }
    }

    // MARK: The budget

    /// Round trips that make spins pay on average while three in ten are in vain.
    private static func tempting(seed: UInt64) -> PollingSimulation.Source {
        var numbers = SeededNumbers(seed: seed)
        return .closed(depth: 1) { Int.random(in: 0..<10, using: &numbers) < 7 ? 700 : 9_000 }
    }

    @Test("no second has more vain looking than the budget allows", arguments: [0, 1, 5, 10])
    func budget(percent: Int) {
        var simulation = PollingSimulation(.adaptive, budgetPercent: percent, source: Self.tempting(seed: 11))
        simulation.run(seconds: 6)
        #expect(simulation.worstVainShare <= Double(percent) / 100)
        #expect((simulation.waitCounts.spin == 0) == (percent == 0))
        // The bound is the budget's doing: without it there is twice as much.
        var free = PollingSimulation(.adaptive, budgetPercent: 100, source: Self.tempting(seed: 11))
        free.run(seconds: 6)
        #expect(free.worstVainShare > 2 * Double(percent) / 100)
    }

    // MARK: Idle

    @Test(
        "when nothing comes any more, the loop sleeps after one spin or one timed sleep",
        arguments: [PollingMode.off, .adaptive], [3_000, 6_000, 9_000, 30_000])
    func idle(mode: PollingMode, gapNanoseconds: UInt64) {
        let last: UInt64 = 3_000_000_000
        var simulation = PollingSimulation(
            mode, source: .open { now in now < last ? gapNanoseconds : .max })
        let isStillRunning = simulation.run(seconds: 60)
        #expect(!isStillRunning, "it never came to rest")
        #expect(simulation.lastWait == .sleep)
        #expect(simulation.now < last + 1_000_000)
    }

    @Test("a loop that only its timers wake does not spin")
    func timers() {
        var settings = PollingSettings()
        settings.mode = .adaptive
        var controller = PollingController(settings: settings, now: 0)
        var now: UInt64 = 0
        for _ in 0..<10_000 {
            #expect(controller.plan(now: now, workCount: 0) == .sleep)
            now += 3_000
            controller.waited(.sleep, nanoseconds: 3_000, outcome: .nothing, now: now)
        }
    }

    // MARK: Gathering

    @Test(
        "below the rate of the two it never lets work gather, above it does",
        arguments: [(100_000, false), (200_000, true)])
    func threshold(perSecond: UInt64, gathers: Bool) {
        var simulation = PollingSimulation(.adaptive, source: Self.steady(perSecond))
        simulation.workCost = 500
        simulation.turnCost = 2_000
        simulation.run(seconds: 2)
        #expect((simulation.waitCounts.timedSleep > 0) == gathers)
        #expect(simulation.timedSleeps.allSatisfy { (5_000...150_000).contains($0) })
    }

    @Test(
        "a steady high rate is served for less processor time, and the mode stays",
        arguments: [150_000, 200_000, 300_000])
    func steadyHigh(perSecond: UInt64) {
        func simulate(_ mode: PollingMode) -> PollingSimulation {
            var simulation = PollingSimulation(mode, source: Self.steady(perSecond))
            simulation.workCost = 500
            simulation.turnCost = 2_000
            simulation.run(seconds: 5)
            return simulation
        }
        let sleeping = simulate(.off)
        let adaptive = simulate(.adaptive)
        #expect(adaptive.busyNanosecondsPerWork < 0.6 * sleeping.busyNanosecondsPerWork)
        // It may have looked before it gathered.
        #expect(adaptive.controller.counters.modeChangeCount <= 2)
        #expect(Double(adaptive.workCount) > 0.999 * Double(sleeping.workCount))
        // Nobody waits longer than the longest interval and the turn after it.
        #expect(adaptive.meanLatencyNanoseconds < 150_000)
    }

    @Test("a sender who waits for answers is not slowed down for long", arguments: [1, 2, 3, 4, 8, 32, 128])
    func closedLoops(depth: Int) {
        let source = PollingSimulation.Source.closed(depth: depth) { 2_000 }
        func simulate(_ mode: PollingMode) -> PollingSimulation {
            var simulation = PollingSimulation(mode, source: source)
            simulation.turnCost = 1_500
            simulation.run(seconds: 20)
            return simulation
        }
        let sleeping = simulate(.off)
        let adaptive = simulate(.adaptive)
        #expect(adaptive.rate(seconds: 20) > 0.97 * sleeping.rate(seconds: 20))
        // Each failed attempt makes the next wait twice as long.
        #expect(adaptive.controller.counters.modeChangeCount <= 14, "\(adaptive.controller.counters)")
    }

    @Test("on and off: what a burst begins ends with it, and soon it is left alone")
    func onOff() {
        // Tenths of a second, every other one at 250,000 a second.
        let source = PollingSimulation.Source.open { now in
            now / 100_000_000 % 2 == 0 ? 4_000 : 100_000_000 - now % 100_000_000
        }
        var simulation = PollingSimulation(.adaptive, source: source)
        simulation.turnCost = 1_500
        simulation.run(seconds: 20)
        #expect(simulation.waitCounts.timedSleep > 0)
        #expect(simulation.controller.counters.modeChangeCount <= 14, "\(simulation.controller.counters)")
    }

    @Test("a step of the load ends or resets what was learned within five hundredths of a second")
    func steps() {
        let begin: UInt64 = 1_000_000_000
        // A rate for each second: the last is a fall to an ordinary one.
        let gaps: [UInt64] = [5_000, 5_000, 1_800, 1_800, 20_000, 20_000]
        var simulation = PollingSimulation(
            .adaptive, source: .open { now in gaps[min(Int((now - begin) / 1_000_000_000), gaps.count - 1)] })
        simulation.workCost = 300
        simulation.turnCost = 2_000
        simulation.run(seconds: 2)
        let learned = simulation.timedSleeps.count
        #expect(simulation.timedSleeps.last.map { $0 > 5_000 } == true, "nothing was learned")
        simulation.run(seconds: 0.05)
        #expect(simulation.timedSleeps[learned...].contains(5_000), "the step up was not noticed")
        simulation.run(seconds: 1.95)
        simulation.run(seconds: 0.05)
        let atFall = simulation.timedSleeps.count
        simulation.run(seconds: 1.5)
        #expect(simulation.timedSleeps.count == atFall, "it went on after the step down")
        // To gather and not to gather; it may have looked before, and ceased after.
        #expect(simulation.controller.counters.modeChangeCount <= 4)
    }

    @Test("an hour without work, or a clock that stands still, is no trouble")
    func oddClocks() {
        var settings = PollingSettings()
        settings.mode = .adaptive
        var controller = PollingController(settings: settings, now: 0)
        let hour: UInt64 = 3_600_000_000_000
        for now in [0, 0, 0, hour, hour, 2 * hour, 100 * hour] as [UInt64] {
            for count in [0, 1, 1 << 40] {
                let plan = controller.plan(now: now, workCount: count)
                controller.waited(plan, nanoseconds: hour, outcome: count > 0 ? .workCame : .nothing, now: now)
            }
        }
        #expect(controller.counters.spinCount < 100)
    }
}
