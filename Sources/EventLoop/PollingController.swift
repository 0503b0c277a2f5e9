// SPDX-License-Identifier: Apache-2.0

/// Decides how a loop waits: a value that is told times and counts, and reads no clock.
///
/// To wait in the kernel costs a wake-up when the event comes; to look again and again costs the time until it comes.
/// So in the adaptive mode a loop looks when events mostly come sooner than a wake-up takes (`SpinJudge`), within a
/// budget of vain looking; and when there is much to do all the time it lets work gather, for a time that it learns
/// (`GatherJudge`). A wait that follows a turn without work is always a sleep, so that an idle loop costs nothing.
public struct PollingController {
    /// All times in nanoseconds.
    public enum Wait: Equatable, Sendable {
        /// Until something happens.
        case sleep
        /// Look without sleeping for so long; when nothing has come by then, sleep.
        case spin(nanoseconds: UInt64)
        /// Look at nothing for so long, then look once.
        case timedSleep(nanoseconds: UInt64)
    }

    /// What ended a wait.
    public enum Outcome: Equatable, Sendable {
        /// The first look found work: there was nothing to wait for.
        case workWasThere
        case workCame
        /// The time was over.
        case nothing
    }

    /// A loop that never sleeps looks so long in one go.
    public static let endless = UInt64.max

    public private(set) var counters = PollingCounters()

    private let settings: PollingSettings
    private var budget: SpinBudget
    private var spinJudge = SpinJudge()
    private var gatherJudge: GatherJudge

    public init(settings: PollingSettings, now: UInt64) {
        self.settings = settings
        budget = SpinBudget(percent: settings.budgetPercent, now: now)
        gatherJudge = GatherJudge(now: now)
    }

    /// Whether there is anything to decide; a loop that only ever sleeps needs neither clock nor counts.
    public var isOff: Bool { settings.mode == .off }

    /// There is nothing left to do at `now`: how to wait. `workCount`: what has been done since the last wait, in
    /// commands or other units of work.
    public mutating func plan(now: UInt64, workCount: Int) -> Wait {
        switch settings.mode {
        case .off: return .sleep
        case .busy:
            counters.spinCount += 1
            return .spin(nanoseconds: Self.endless)
        case .adaptive: break
        }
        let gathered = gatherJudge.isGathering
        gatherJudge.worked(workCount, now: now)
        if gathered != gatherJudge.isGathering { counters.modeChangeCount += 1 }
        guard workCount > 0 else { return .sleep }
        if gatherJudge.isGathering {
            counters.timedSleepCount += 1
            return .timedSleep(nanoseconds: gatherJudge.intervalNanoseconds)
        }
        guard spinJudge.wantsSpin(), budget.allows(SpinJudge.limitNanoseconds, now: now) else { return .sleep }
        counters.spinCount += 1
        return .spin(nanoseconds: SpinJudge.limitNanoseconds)
    }

    /// A wait that was planned so has taken `nanoseconds` and is over at `now`. A spin in vain is told of first, then the
    /// sleep that follows it.
    public mutating func waited(_ wait: Wait, nanoseconds: UInt64, outcome: Outcome, now: UInt64) {
        gatherJudge.rested(nanoseconds)
        switch wait {
        case .sleep: spinJudge.slept(nanoseconds)
        case .timedSleep: break
        case .spin:
            switch outcome {
            case .workWasThere: break
            case .workCame: counters.paidSpinCount += 1
            case .nothing:
                counters.vainSpinNanoseconds += nanoseconds
                budget.spend(nanoseconds)
            }
            guard settings.mode == .adaptive else { return }
            let spun = spinJudge.isSpinning
            spinJudge.spun(nanoseconds, outcome: outcome, now: now)
            if spun != spinJudge.isSpinning { counters.modeChangeCount += 1 }
        }
    }
}

/// What came of the decisions, since the loop's start.
public struct PollingCounters: Equatable, Sendable {
    public var spinCount: UInt64 = 0
    /// Spins that something ended which was not there at their beginning.
    public var paidSpinCount: UInt64 = 0
    /// Time of the spins in which nothing came.
    public var vainSpinNanoseconds: UInt64 = 0
    public var timedSleepCount: UInt64 = 0
    /// Times that the loop has begun or ceased to spin, or to let work gather.
    public var modeChangeCount: UInt64 = 0

    public init() {}

    public mutating func add(_ other: PollingCounters) {
        spinCount += other.spinCount
        paidSpinCount += other.paidSpinCount
        vainSpinNanoseconds += other.vainSpinNanoseconds
        timedSleepCount += other.timedSleepCount
        modeChangeCount += other.modeChangeCount
    }
}

/// Keeps vain looking below a share of one processor in every second, wherever the second begins: what has gathered
/// and what comes in during a second are together no more than that share of it.
struct SpinBudget {
    private static let secondNanoseconds: Int64 = 1_000_000_000
    /// Of the share of a second: what may gather. The rest comes in bit by bit.
    private static let gatheredPart: Int64 = 10

    /// Nanoseconds that may be spent now; below 0 after a spin that took longer than it was to, because its thread had
    /// lost the processor.
    private var left: Int64 = 0
    private let capacity: Int64
    private let perSecond: Int64
    private var filledAt: UInt64

    init(percent: Int, now: UInt64) {
        let share = Self.secondNanoseconds / 100 * Int64(percent)
        capacity = share / Self.gatheredPart
        perSecond = share - capacity
        filledAt = now
    }

    mutating func allows(_ nanoseconds: UInt64, now: UInt64) -> Bool {
        // More than a second fills it whatever its level: the product stays small.
        let elapsed = min(Int64(clamping: now &- filledAt), 2 * Self.secondNanoseconds)
        let gain = perSecond * (elapsed / 1000) / (Self.secondNanoseconds / 1000)
        if gain > 0 {
            left = min(left + gain, capacity)
            filledAt = now
        }
        return left >= Int64(clamping: nanoseconds)
    }

    mutating func spend(_ nanoseconds: UInt64) { left -= Int64(clamping: nanoseconds) }
}

/// Whether to look without sleeping. It pays when what it saves, a wake-up for each spin in which something comes, is
/// more than the time that spins take. Both are known from spins alone, so while it does not spin it now and then
/// tries one.
struct SpinJudge {
    /// What a wake-up costs: to leave the processor, to be woken and to have it again. A constant, because a loop cannot
    /// see how long ago the event came that woke it.
    static let wakeUpNanoseconds: UInt64 = 8_000
    /// The spin is given up then: whatever comes later, no more than twice the best cost is paid.
    static let limitNanoseconds = wakeUpNanoseconds

    /// It begins when it saves a third more than it takes, and ends when it saves a quarter less.
    private static let beginWeights = (saved: 3, taken: 4)
    private static let endWeights = (saved: 4, taken: 3)
    /// Spins that the averages look back on.
    private static let averagedCount = 64
    /// One wait in so many is tried as a spin, when sleeps are short enough for one to be of use; fewer and fewer, down
    /// to the second number, as long as nothing comes of it.
    private static let trialInterval = 16
    private static let longestTrialInterval = 1024
    private static let longestSleepToTry = 4 * wakeUpNanoseconds

    private(set) var isSpinning = false
    /// Averages, in nanoseconds times `averagedCount`.
    private var saved = 0
    private var taken = Int(limitNanoseconds) * averagedCount
    /// Nanoseconds times 8.
    private var averageSleep = longestSleepToTry * 16
    private var currentTrialInterval = trialInterval
    private var waitsUntilTrial = trialInterval
    private var pause = PollingPause(first: 100_000_000, longest: 12_800_000_000)

    mutating func wantsSpin() -> Bool {
        if isSpinning { return true }
        guard averageSleep / 8 < Self.longestSleepToTry else { return false }
        waitsUntilTrial -= 1
        guard waitsUntilTrial == 0 else { return false }
        waitsUntilTrial = currentTrialInterval
        return true
    }

    mutating func slept(_ nanoseconds: UInt64) {
        // One long sleep, between two bursts, does not make all sleeps long.
        averageSleep = averageSleep - averageSleep / 8 + min(nanoseconds, 8 * Self.longestSleepToTry)
    }

    mutating func spun(_ nanoseconds: UInt64, outcome: PollingController.Outcome, now: UInt64) {
        // A sleep would have ended as soon: nothing is learned.
        guard outcome != .workWasThere else { return }
        saved += (outcome == .workCame ? Int(Self.wakeUpNanoseconds) : 0) - saved / Self.averagedCount
        currentTrialInterval =
            outcome == .workCame ? Self.trialInterval : min(2 * currentTrialInterval, Self.longestTrialInterval)
        taken += Int(min(nanoseconds, Self.limitNanoseconds)) - taken / Self.averagedCount
        let weights = isSpinning ? Self.endWeights : Self.beginWeights
        let isWorthwhile = saved * weights.saved > taken * weights.taken
        guard isWorthwhile != isSpinning, isSpinning || pause.isOver(now: now) else { return }
        isSpinning = isWorthwhile
        if isSpinning { pause.began(now: now) } else { pause.ended(now: now) }
    }
}

/// Keeps what did not pay from being tried again and again: after a stay that was too short to be worth its beginning
/// there is a pause, twice as long each time, until a stay was worthwhile.
struct PollingPause {
    private static let worthwhileStay: UInt64 = 1_000_000_000

    /// All times in nanoseconds.
    private let first: UInt64
    private let longest: UInt64
    private var next: UInt64
    private var until: UInt64 = 0
    private var beganAt: UInt64 = 0

    init(first: UInt64, longest: UInt64) {
        self.first = first
        self.longest = longest
        next = first
    }

    func isOver(now: UInt64) -> Bool { now >= until }

    mutating func began(now: UInt64) { beganAt = now }

    mutating func ended(now: UInt64) {
        guard now &- beganAt < Self.worthwhileStay else {
            next = first
            return
        }
        until = now + next
        next = min(2 * next, longest)
    }
}
