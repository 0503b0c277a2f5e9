// SPDX-License-Identifier: Apache-2.0

import EventLoop

/// A loop in virtual time: who sends, what things cost, and the controller under test.
struct PollingSimulation {
    /// When the next units of work arrive.
    enum Source {
        /// Arrivals come whatever the loop does: nanoseconds between the last and the next, at a time.
        case open((_ now: UInt64) -> UInt64)
        /// So many units are under way; each comes back this long after its answer.
        case closed(depth: Int, roundTripNanoseconds: () -> UInt64)
    }

    // What a loop on an ordinary machine pays, in nanoseconds.
    var turnCost: UInt64 = 3_000
    var workCost: UInt64 = 1_000
    var lookCost: UInt64 = 500
    var wakeUpCost: UInt64 = 8_000

    private(set) var controller: PollingController
    private(set) var now: UInt64 = 1_000_000_000
    private let source: Source
    /// Arrivals that have not been taken, the earliest first.
    private var arrivals: [UInt64] = []
    private var lastArrival: UInt64 = 0

    // What was observed.
    private(set) var workCount = 0
    /// From arrival to answer, of all units.
    private(set) var totalLatency: UInt64 = 0
    private(set) var busyNanoseconds: UInt64 = 0
    private(set) var waitCounts = (sleep: 0, spin: 0, timedSleep: 0)
    private(set) var timedSleeps: [UInt64] = []
    /// Ends and lengths of spins in vain.
    private(set) var vainSpins: [(end: UInt64, nanoseconds: UInt64)] = []
    private(set) var lastWait = PollingController.Wait.sleep

    init(_ mode: PollingMode, budgetPercent: Int = 100, source: Source) {
        var settings = PollingSettings()
        settings.mode = mode
        settings.budgetPercent = budgetPercent
        controller = PollingController(settings: settings, now: now)
        self.source = source
        switch source {
        case .open: lastArrival = now
        case .closed(let depth, _): arrivals = Array(repeating: now, count: depth)
        }
    }

    /// Runs on for `seconds`, or until nothing will ever come again; false in that case.
    @discardableResult
    mutating func run(seconds: Double) -> Bool {
        let end = now + UInt64(seconds * 1e9)
        while now < end {
            let count = turn()
            guard wait(after: count) else { return false }
        }
        return true
    }

    private mutating func turn() -> Int {
        refill(until: now)
        let count = arrivals.prefix { $0 <= now }.count
        let taken = arrivals.prefix(count)
        arrivals.removeFirst(count)
        let cost = turnCost + UInt64(count) * workCost
        now += cost
        busyNanoseconds += cost
        workCount += count
        for arrival in taken { totalLatency += now - arrival }
        switch source {
        case .open: break
        case .closed(_, let roundTrip):
            for _ in 0..<count { arrivals.append(now + roundTrip()) }
            arrivals.sort()
        }
        return count
    }

    /// Lets an open source go on until it has something to come after `time`.
    private mutating func refill(until time: UInt64) {
        guard case .open(let gap) = source else { return }
        while lastArrival <= time {
            let next = gap(lastArrival)
            lastArrival = next == .max ? .max : lastArrival + next
            if next != .max { arrivals.append(lastArrival) }
        }
    }

    private mutating func wait(after count: Int) -> Bool {
        refill(until: now)
        let plan = controller.plan(now: now, workCount: count)
        lastWait = plan
        switch plan {
        case .sleep:
            waitCounts.sleep += 1
            return slept()
        case .timedSleep(let nanoseconds):
            waitCounts.timedSleep += 1
            timedSleeps.append(nanoseconds)
            now += nanoseconds
            refill(until: now)
            busyNanoseconds += lookCost
            controller.waited(
                plan, nanoseconds: nanoseconds,
                outcome: arrivals.first.map { $0 <= now } == true ? .workCame : .nothing,
                now: now)
            return true
        case .spin(let limit):
            waitCounts.spin += 1
            let wasThere = arrivals.first.map { $0 <= now } ?? false
            let gap = arrivals.first.map { max($0, now + lookCost) - now } ?? .max
            if gap == .max && limit == PollingController.endless { return false }
            let spun = min(gap, limit)
            now += spun
            busyNanoseconds += spun
            if gap > limit { vainSpins.append((now, spun)) }
            let outcome: PollingController.Outcome = wasThere ? .workWasThere : gap <= limit ? .workCame : .nothing
            controller.waited(plan, nanoseconds: spun, outcome: outcome, now: now)
            if gap <= limit { return true }
            lastWait = .sleep
            return slept()
        }
    }

    private mutating func slept() -> Bool {
        guard let next = arrivals.first else { return false }
        let begin = now
        now = next <= now ? now + lookCost : next + wakeUpCost
        busyNanoseconds += next <= begin ? lookCost : wakeUpCost
        controller.waited(.sleep, nanoseconds: now - begin, outcome: .workCame, now: now)
        return true
    }

    // MARK: Results

    func rate(seconds: Double) -> Double { Double(workCount) / seconds }

    var meanLatencyNanoseconds: Double { Double(totalLatency) / Double(max(1, workCount)) }

    var busyNanosecondsPerWork: Double { Double(busyNanoseconds) / Double(max(1, workCount)) }

    /// The largest share of any second that went to spins in vain.
    var worstVainShare: Double {
        var worst: UInt64 = 0
        var sum: UInt64 = 0
        var first = 0
        for each in vainSpins {
            sum += each.nanoseconds
            // A spin counts with all its length as long as any of it lies within the second.
            while vainSpins[first].end + 1_000_000_000 <= each.end {
                sum -= vainSpins[first].nanoseconds
                first += 1
            }
            worst = max(worst, sum)
        }
        return Double(worst) / 1e9
    }
}
