// SPDX-License-Identifier: Apache-2.0

/// Whether to let work gather between two turns, and for how long.
///
/// At a high rate a loop that takes each thing as it comes spends its time on turns. One that sleeps a little takes
/// many things in one turn. How long is best depends on who sends: it is learned by changing it and watching first
/// the rate, then the processor time for each unit of work, and, where both stay the same, preferring the shorter time.
///
/// That it pays at all is never taken for granted: when the rate falls as soon as work is made to wait, which it does
/// when its sender waits for answers, it is given up, for longer each time.
struct GatherJudge {
    /// Units of work in a second from which on it is tried; below the second number it ends.
    static let highRate = 120_000
    static let lowRate = 90_000
    /// Nanoseconds.
    static let shortest: UInt64 = 5_000
    static let longest: UInt64 = 150_000

    /// Rates are taken over so long at least.
    private static let windowNanoseconds: UInt64 = 10_000_000
    private static let secondNanoseconds: UInt64 = 1_000_000_000
    /// Windows in a row above the high rate until it begins, and below the low rate until it ends.
    private static let windowsToBegin = 3
    private static let windowsToEnd = 2
    /// Windows after the beginning in which the rate must not fall by a tenth.
    private static let trialWindows = 3
    /// A rate that doubles or halves within two windows is another load: what was learned counts no more.
    private static let stepFactor = 2

    private(set) var isGathering = false
    private(set) var intervalNanoseconds = shortest

    // The window so far.
    private var windowStart: UInt64
    private var windowWork = 0
    private var windowRest: UInt64 = 0

    private var windowsAbove = 0
    private var windowsBelow = 0

    // The stay.
    private var windowsOfStay = 0
    private var rateBefore = 0
    private var pause = PollingPause(first: secondNanoseconds, longest: 64 * secondNanoseconds)

    // The search.
    private var last: Measure?
    private var rateBeforeLast = 0
    private var isGrowing = true
    /// Of the interval, in 1/64.
    private var stepPart = Self.firstStep
    private static let firstStep: UInt64 = 32
    private static let leastStep: UInt64 = 4

    /// One window.
    private struct Measure {
        /// Units of work in a second.
        var rate: Int
        /// Processor nanoseconds for a thousand units of work.
        var cost: Int

        enum Verdict { case better, same, worse }

        /// What differs by less is noise.
        private static let rateNoisePercent = 2
        private static let costNoisePercent = 5

        func compared(to old: Measure) -> Verdict {
            if rate * 100 > old.rate * (100 + Self.rateNoisePercent) { return .better }
            if rate * 100 < old.rate * (100 - Self.rateNoisePercent) { return .worse }
            if cost * 100 < old.cost * (100 - Self.costNoisePercent) { return .better }
            if cost * 100 > old.cost * (100 + Self.costNoisePercent) { return .worse }
            return .same
        }
    }

    init(now: UInt64) { windowStart = now }

    /// So long the loop has waited.
    mutating func rested(_ nanoseconds: UInt64) { windowRest += nanoseconds }

    mutating func worked(_ workCount: Int, now: UInt64) {
        windowWork += workCount
        let elapsed = now &- windowStart
        guard elapsed >= Self.windowNanoseconds else { return }
        let rate = Int(clamping: UInt64(windowWork) * (Self.secondNanoseconds / 1000) / max(1, elapsed / 1000))
        let busy = elapsed - min(elapsed, windowRest)
        let cost = windowWork == 0 ? 0 : Int(clamping: busy * 1000 / UInt64(windowWork))
        windowStart = now
        windowWork = 0
        windowRest = 0
        if isGathering {
            staying(Measure(rate: rate, cost: cost), now: now)
        } else {
            considering(rate, now: now)
        }
    }

    private mutating func considering(_ rate: Int, now: UInt64) {
        windowsAbove = rate >= Self.highRate ? windowsAbove + 1 : 0
        rateBefore = windowsAbove <= 1 ? rate : (rateBefore + rate) / 2
        guard windowsAbove >= Self.windowsToBegin, pause.isOver(now: now) else { return }
        isGathering = true
        pause.began(now: now)
        windowsOfStay = 0
        windowsBelow = 0
        startSearch()
    }

    private mutating func staying(_ measure: Measure, now: UInt64) {
        windowsOfStay += 1
        windowsBelow = measure.rate < Self.lowRate ? windowsBelow + 1 : 0
        let didFall = windowsOfStay <= Self.trialWindows && measure.rate < rateBefore - rateBefore / 10
        if didFall || windowsBelow >= Self.windowsToEnd { return end(now: now) }
        search(measure)
    }

    private mutating func end(now: UInt64) {
        isGathering = false
        windowsAbove = 0
        pause.ended(now: now)
    }

    private mutating func startSearch() {
        intervalNanoseconds = Self.shortest
        last = nil
        rateBeforeLast = 0
        isGrowing = true
        stepPart = Self.firstStep
    }

    private mutating func search(_ measure: Measure) {
        defer { last = measure }
        guard let old = last else { return move() }
        // A step within a window shows half in it and half in the next.
        guard !isStep(old.rate, measure.rate), !isStep(rateBeforeLast, measure.rate) else { return startSearch() }
        rateBeforeLast = old.rate
        switch measure.compared(to: old) {
        case .better: stepPart = min(stepPart + stepPart / 4, Self.firstStep)
        case .same: isGrowing = false
        case .worse:
            isGrowing.toggle()
            stepPart = max(stepPart / 2, Self.leastStep)
        }
        move()
    }

    /// No rate, 0, is no step.
    private func isStep(_ old: Int, _ new: Int) -> Bool {
        old > 0 && (new >= old * Self.stepFactor || new * Self.stepFactor <= old)
    }

    private mutating func move() {
        let step = max(intervalNanoseconds * stepPart / 64, 1_000)
        if isGrowing {
            intervalNanoseconds = min(intervalNanoseconds + step, Self.longest)
        } else {
            intervalNanoseconds = max(intervalNanoseconds - min(step, intervalNanoseconds), Self.shortest)
        }
    }
}
