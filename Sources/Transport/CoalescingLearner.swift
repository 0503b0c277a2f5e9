// SPDX-License-Identifier: Apache-2.0

/// Learns how long to hold by comparing: now and then it lets another length of hold alternate with the one in use,
/// over a few thousand responses, and takes what moved more responses in the same time.
///
/// The rate of responses is what an initiator with a bounded queue feels, and the only thing a server can see of its
/// latency: such an initiator sends the next command when a response arrives. Where the rate does not depend on
/// holding (the initiator sends by its own clock), the shorter hold wins, as it has the lower latency.
///
/// Events in, decisions out; the caller brings the time.
package struct CoalescingLearner: Sendable {
    /// Level 0 does not hold; each further level holds twice as long as the one before, the last for the whole bound.
    package static let levelCount = 4

    /// A trial measures each side this many times, in turn, so that a drift of the load favours neither.
    package static let pairCount = 4
    /// Responses of one measurement, and of the time before it in which the pipeline settles.
    static let measuredResponseCount = 512
    static let settlingResponseCount = 128
    /// Deep queues take longer to settle: at least so many times the depth.
    static let measuredDepths = 4
    static let settlingDepths = 2
    static let depthCap = 256

    /// A longer hold must be better by this much, and a shorter one may be worse by this much: between the two lies
    /// the hysteresis. Noise keeps what is in use.
    package static let longerMustGain = 1.02
    package static let shorterMayLose = 0.99
    /// A challenger that falls behind so clearly is not measured to the end, by the pairs measured.
    static let hopeless: [Double] = [0.90, 0.95, 0.97]
    /// At deep queues, this share of the sends saved at an equal rate is a gain too: the server's time.
    package static let economyOfSends = 2.0 / 3.0
    package static let economyDepth = 32
    static let economyMayLose = 0.995

    /// Responses before the first trial.
    static let firstRestResponseCount = 1_024
    /// Between trials so many times what the last one took: a challenger runs for less than one response in a
    /// hundred. The first round, which has to find out where it is, rests less.
    static let restFactor = 64
    static let firstRestFactor = 16
    /// Trials that change nothing double the rest, so many times at most.
    static let restDoublingLimit = 4
    /// One that was ended as hopeless after its first pair.
    private static let shortestTrialResponseCount = 2 * (settlingResponseCount + measuredResponseCount)
    /// Measurements spoilt by pauses of the load before a trial is given up.
    static let interruptionLimit = 8

    private enum Phase {
        case resting
        case settling
        case measuring
    }

    /// The length of hold that has been seen to pay best.
    package private(set) var level = 0
    package private(set) var trialCount: UInt64 = 0
    package private(set) var changeCount: UInt64 = 0

    private var phase = Phase.resting
    private var challenger = 0
    private var isChallengerRunning = false
    private var nextChallenger = 1
    private var responseCount = 0
    private var phaseTarget = firstRestResponseCount
    private var sendCount = 0
    private var measurementStart: UInt64 = 0
    private var pair = 0
    private var pairsWon = 0
    private var interruptionCount = 0
    private var trialResponseCount = 0
    private var restDoublings = 0
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

    package init() {}

    /// What applies now: the level in use, or the one that is being tried.
    package var activeLevel: Int { isChallengerRunning ? challenger : level }
    package var isInTrial: Bool { phase != .resting }

    package mutating func sent(responses: Int) {
        responseCount &+= responses
        sendCount &+= 1
    }

    /// Whether `advance` has anything to do.
    package var isDue: Bool { responseCount >= phaseTarget }

    /// The end of a turn, when `isDue`. `mayTry` says that holding could pay at all: nothing is tried otherwise.
    package mutating func advance(now: UInt64, depth: Int, mayTry: Bool) {
        switch phase {
        case .resting:
            // Asked again at each turn from here on, until there is something to try.
            if mayTry { beginTrial(depth: depth) }
        case .settling:
            phase = .measuring
            measurementStart = now
            begin(responseTarget: max(Self.measuredResponseCount, Self.measuredDepths * self.depth))
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
        if phase == .resting { trialResponseCount = Self.shortestTrialResponseCount }
        endTrial(changesTo: 0)
    }

    // MARK: A trial

    private mutating func beginTrial(depth: Int) {
        challenger = nextChallenger == level ? (level + 1) % Self.levelCount : nextChallenger
        nextChallenger = (challenger + 1) % Self.levelCount
        self.depth = min(depth, Self.depthCap)
        trialCount &+= 1
        responseCount = 0
        trialResponseCount = 0
        interruptionCount = 0
        pair = 0
        pairsWon = 0
        known = Sums()
        tried = Sums()
        isChallengerRunning = false
        settle()
    }

    private mutating func settle() {
        phase = .settling
        begin(responseTarget: max(Self.settlingResponseCount, Self.settlingDepths * depth))
    }

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
            if measured.rate > lastKnown.rate { pairsWon += 1 }
            pair += 1
            let ratio = tried.rate / known.rate
            if pair == Self.pairCount { return endTrial(changesTo: verdict(ratio)) }
            if ratio < Self.hopeless[pair - 1] { return endTrial(changesTo: level) }
        } else {
            known.add(measured)
            lastKnown = measured
        }
        isChallengerRunning.toggle()
        settle()
    }

    private func verdict(_ ratio: Double) -> Int {
        guard challenger > level else {
            // Saving sends at the same rate keeps a longer hold, as it may bring one.
            let loses = ratio < Self.shorterMayLose || savesSends(known, over: tried, ratio: 1 / ratio)
            return loses ? level : challenger
        }
        let gains = ratio > Self.longerMustGain && pairsWon >= Self.pairCount - 1
        return gains || savesSends(tried, over: known, ratio: ratio) ? challenger : level
    }

    /// `ratio` is the rate of `longer` over that of `shorter`.
    private func savesSends(_ longer: Sums, over shorter: Sums, ratio: Double) -> Bool {
        depth >= Self.economyDepth && ratio > Self.economyMayLose
            && longer.sendsPerResponse < Self.economyOfSends * shorter.sendsPerResponse
    }

    private mutating func endTrial(changesTo newLevel: Int) {
        if phase != .resting { trialResponseCount &+= responseCount }
        let isFirstRound = trialCount < Self.levelCount
        if newLevel != level {
            level = newLevel
            changeCount &+= 1
            restDoublings = 0
        } else if !isFirstRound {
            restDoublings = min(restDoublings + 1, Self.restDoublingLimit)
        }
        phase = .resting
        isChallengerRunning = false
        responseCount = 0
        phaseTarget = trialResponseCount * (isFirstRound ? Self.firstRestFactor : Self.restFactor) << restDoublings
    }
}
