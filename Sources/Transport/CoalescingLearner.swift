// SPDX-License-Identifier: Apache-2.0

/// Learns how far to gather by comparing: now and then it lets another way alternate with the one in use, over a few
/// thousand responses, and takes what moved more responses in the same time.
///
/// The rate of responses is what an initiator with a bounded queue feels, and the only thing a server can see of its
/// latency: such an initiator sends the next command when a response arrives. Where the rate does not depend on the
/// way (the initiator sends by its own clock), gathering within the turn stays.
///
/// Events in, decisions out; the caller brings the time.
package struct CoalescingLearner: Sendable {
    /// How far responses gather. What lies further on saves more sends and makes the first response wait longer.
    package enum Level: Int, Sendable, CaseIterable, Comparable {
        /// Each response leaves at once: pays where few commands come together and the server has time.
        case response
        /// At the end of the turn.
        case turn
        case halfHold
        case fullHold

        package static func < (one: Level, other: Level) -> Bool { one.rawValue < other.rawValue }

        var isHold: Bool { self > .turn }
        /// From `turn`, which is the rule unless something else has been seen to be better.
        var strangeness: Int { abs(rawValue - Level.turn.rawValue) }
        var next: Level { Level(rawValue: rawValue + 1) ?? .response }
    }

    /// After a short glance, which spares the load a challenger that is far behind, a trial measures each side this
    /// many times, in turn, so that a drift of the load favours neither.
    package static let pairCount = 8
    static let glanceDivisor = 4
    /// What is not clear then is measured further, up to so many pairs.
    static let pairLimit = 3 * pairCount
    /// Responses of one measurement, and of the time before it in which the pipeline settles.
    static let measuredResponseCount = 384
    static let settlingResponseCount = 128
    /// Deep queues take longer to settle: at least so many times the depth.
    static let measuredDepths = 4
    static let settlingDepths = 2
    static let depthCap = 256

    /// To go further away from `turn` the rate must be better by this much; to come back to it, it may be worse by
    /// this much. Between the two lies the hysteresis: noise keeps what is in use.
    package static let leavingMustGain = 0.012
    package static let returningMayLose = -0.01
    /// And in either case by so many standard errors, as the pairs scatter.
    static let leavingErrors = 3.5
    static let promisingErrors = 1.5
    static let stayingErrors = 2.0
    /// A challenger that falls behind so clearly is not measured to the end: after the glance, and after each pair.
    static let hopeless: [Double] = [0.85, 0.90, 0.92, 0.94, 0.95, 0.96, 0.97, 0.97]
    /// At deep queues, this share of the sends saved at an equal rate is a gain too: the server's time.
    package static let economyOfSends = 2.0 / 3.0
    package static let economyDepth = 32
    static let economyMayLose = 0.995
    /// Sends per response of `turn`, where sending singly could be better.
    static let sendsWorthSplitting = 0.2...0.97

    /// Responses before the first trial.
    static let firstRestResponseCount = 1_024
    /// Between trials so many times what the last one took: a challenger runs for less than one response in a
    /// hundred. The first round, which has to find out where it is, rests less.
    static let restFactor = 64
    static let firstRestFactor = 32
    /// After a gain that was not clear enough: the same challenger is tried again soon.
    static let nearMissRestFactor = 8
    /// Trials that change nothing double the rest, so many times at most.
    static let restDoublingLimit = 4
    /// One that was ended as hopeless after its glance.
    private static let shortestTrialResponseCount = 2 * (settlingResponseCount + measuredResponseCount / glanceDivisor)
    /// Measurements spoilt by pauses of the load before a trial is given up.
    static let interruptionLimit = 8

    private enum Phase {
        case resting
        case settling
        case measuring
    }

    /// What has been seen to pay best.
    package private(set) var level = Level.turn
    package private(set) var trialCount: UInt64 = 0
    package private(set) var changeCount: UInt64 = 0

    private var phase = Phase.resting
    private var challenger = Level.turn
    private var isChallengerRunning = false
    private var nextChallenger = Level.response
    private var responseCount = 0
    private var phaseTarget = firstRestResponseCount
    private var sendCount = 0
    private var measurementStart: UInt64 = 0
    private var isGlance = false
    private var pair = 0
    private var gains = Gains()
    private var interruptionCount = 0
    private var trialResponseCount = 0
    private var restDoublings = 0
    private var isFixed = false
    private var depth = 0
    /// Of the level in use, and of the challenger.
    private var known = Sums()
    private var tried = Sums()
    private var lastKnown = Sums()

    private struct Sums: Sendable {
        var nanoseconds = 0.0
        var responses = 0.0
        var sends = 0.0

        /// 0 where nothing was measured.
        var rate: Double { nanoseconds > 0 ? responses / nanoseconds : 0 }
        var sendsPerResponse: Double { responses > 0 ? sends / responses : 1 }

        mutating func add(_ other: Sums) {
            nanoseconds += other.nanoseconds
            responses += other.responses
            sends += other.sends
        }
    }

    /// What the challenger gained in each pair, without the best and the worst of them: an interruption of either
    /// party spoils one pair, not the trial.
    private struct Gains: Sendable {
        var count = 0.0
        var sum = 0.0
        var squareSum = 0.0
        var least = Double.infinity
        var greatest = -Double.infinity

        mutating func add(_ gain: Double) {
            count += 1
            sum += gain
            squareSum += gain * gain
            least = min(least, gain)
            greatest = max(greatest, gain)
        }

        var mean: Double { (sum - least - greatest) / (count - 2) }

        /// Whether the mean is so many of its standard errors away from nothing.
        func isClear(_ errors: Double) -> Bool {
            let left = count - 2
            let meanSquare = (squareSum - least * least - greatest * greatest) / left
            let variance = max(0, meanSquare - mean * mean) * left / (left - 1)
            // Squares on both sides: no call of a library for a root.
            return mean * mean > errors * errors * variance / left
        }
    }

    package init() {}

    /// Keeps to one level and learns nothing.
    package init(fixedLevel: Level) {
        level = fixedLevel
        phaseTarget = .max
        isFixed = true
    }

    /// What applies now: the level in use, or the one that is being tried.
    package var activeLevel: Level { isChallengerRunning ? challenger : level }
    package var isInTrial: Bool { phase != .resting }

    package mutating func sent(responses: Int) {
        responseCount &+= responses
        sendCount &+= 1
    }

    /// Whether `advance` has anything to do.
    package var isDue: Bool { responseCount >= phaseTarget }

    /// The end of a turn, when `isDue`. Of the levels, only those in `range` could pay at all, as things are: no other
    /// is tried.
    package mutating func advance(now: UInt64, depth: Int, range: ClosedRange<Level>) {
        switch phase {
        case .resting:
            // Asked again at each turn from here on, until there is something to try.
            beginTrial(depth: depth, range: range)
        case .settling:
            phase = .measuring
            measurementStart = now
            let target = max(Self.measuredResponseCount, Self.measuredDepths * self.depth)
            begin(responseTarget: isGlance ? target / Self.glanceDivisor : target)
        case .measuring:
            endMeasurement(now: now)
        }
    }

    /// The load paused: what is being measured says nothing.
    package mutating func interrupted() {
        guard phase != .resting else { return }
        interruptionCount += 1
        if interruptionCount > Self.interruptionLimit { return endTrial(changesTo: level) }
        settle()
    }

    /// Holding has stopped to bring anything: do not wait for a trial to say so.
    package mutating func giveUp() {
        guard !isFixed else { return }
        if phase == .resting { trialResponseCount = Self.shortestTrialResponseCount }
        endTrial(changesTo: .turn)
    }

    // MARK: A trial

    private mutating func beginTrial(depth: Int, range: ClosedRange<Level>) {
        var candidate = nextChallenger
        for _ in Level.allCases {
            if candidate != level && range.contains(candidate) { break }
            candidate = candidate.next
        }
        guard candidate != level && range.contains(candidate) else { return }
        challenger = candidate
        nextChallenger = candidate.next
        self.depth = min(depth, Self.depthCap)
        trialCount &+= 1
        responseCount = 0
        trialResponseCount = 0
        interruptionCount = 0
        isGlance = true
        restart()
    }

    private mutating func restart() {
        pair = 0
        gains = Gains()
        known = Sums()
        tried = Sums()
        isChallengerRunning = false
        settle()
    }

    private mutating func settle() {
        phase = .settling
        begin(responseTarget: isGlance ? Self.settlingResponseCount : settlingTarget)
    }

    private var settlingTarget: Int { max(Self.settlingResponseCount, Self.settlingDepths * depth) }

    private mutating func begin(responseTarget: Int) {
        trialResponseCount &+= responseCount
        responseCount = 0
        sendCount = 0
        phaseTarget = responseTarget
    }

    private mutating func endMeasurement(now: UInt64) {
        let measured = Sums(
            nanoseconds: Double(max(1, now &- measurementStart)), responses: Double(responseCount),
            sends: Double(sendCount))
        if isChallengerRunning {
            tried.add(measured)
            let ratio = tried.rate / known.rate
            if isGlance {
                isGlance = false
                return ratio < Self.hopeless[0] ? endTrial(changesTo: level) : restart()
            }
            gains.add(measured.rate / lastKnown.rate - 1)
            pair += 1
            if pair % Self.pairCount == 0 {
                if let newLevel = verdict(ratio) { return endTrial(changesTo: newLevel) }
            } else if pair < Self.pairCount && ratio < Self.hopeless[pair] {
                return endTrial(changesTo: level)
            }
        } else {
            known.add(measured)
            lastKnown = measured
            // Where a send takes many responses, or one anyway, there is no need to try sending them singly.
            if challenger == .response && !Self.sendsWorthSplitting.contains(known.sendsPerResponse) {
                return endTrial(changesTo: level)
            }
        }
        isChallengerRunning.toggle()
        settle()
    }

    /// What the pairs so far say; nil when more are to be measured.
    private func verdict(_ ratio: Double) -> Level? {
        let (longer, shorter, longerRatio) = challenger > level ? (tried, known, ratio) : (known, tried, 1 / ratio)
        let savesSends = savesSends(longer, over: shorter, ratio: longerRatio)
        if challenger.strangeness < level.strangeness {
            // Saving sends at the same rate keeps a hold, as it may bring one.
            let loses = gains.mean < Self.returningMayLose && gains.isClear(Self.stayingErrors)
            return loses || (level > challenger && savesSends) ? level : challenger
        }
        let saves = challenger > level && savesSends
        let isPromising = gains.mean > Self.leavingMustGain && gains.isClear(Self.promisingErrors)
        guard saves || isPromising else { return level }
        // What looks like a gain must still look so when twice as much has been measured.
        if pair == Self.pairCount { return nil }
        if saves || gains.isClear(Self.leavingErrors) { return challenger }
        return pair < Self.pairLimit ? nil : level
    }

    /// `ratio` is the rate of `longer` over that of `shorter`.
    private func savesSends(_ longer: Sums, over shorter: Sums, ratio: Double) -> Bool {
        depth >= Self.economyDepth && ratio > Self.economyMayLose
            && longer.sendsPerResponse < Self.economyOfSends * shorter.sendsPerResponse
    }

    private mutating func endTrial(changesTo newLevel: Level) {
        if phase != .resting { trialResponseCount &+= responseCount }
        var rest = trialCount < Level.allCases.count ? Self.firstRestFactor : Self.restFactor
        if newLevel != level {
            level = newLevel
            changeCount &+= 1
            restDoublings = 0
        } else if isNearMiss {
            rest = Self.nearMissRestFactor
            nextChallenger = challenger
        } else if level == .turn && rest == Self.restFactor {
            rest <<= restDoublings
            restDoublings = min(restDoublings + 1, Self.restDoublingLimit)
        }
        // The rule is asked for at every other trial while something else is in use.
        if level != .turn && challenger != .turn { nextChallenger = .turn }
        phase = .resting
        isChallengerRunning = false
        responseCount = 0
        phaseTarget = trialResponseCount * rest
    }

    /// The trial that ends was measured to an end, and went to the challenger, though not clearly.
    private var isNearMiss: Bool {
        phase == .measuring && !isGlance && pair >= Self.pairCount && challenger.strangeness >= level.strangeness
            && gains.mean > Self.leavingMustGain
    }
}
