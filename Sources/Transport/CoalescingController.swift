// SPDX-License-Identifier: Apache-2.0

/// Decides whether the responses of a connection leave one by one, at the end of the turn, or wait for more.
///
/// Holding can pay only while something is about to join: a completion (`inFlight`), or a request of an initiator
/// that has more commands outstanding than what is queued answers. An initiator whose commands are all answered by
/// what is held sends nothing more until it gets it; so it is never held then. What does pay is learnt
/// (`CoalescingLearner`); each hold ends by its deadline at the latest.
///
/// A value without clock and socket. One for each connection; belongs to its loop's thread.
package struct CoalescingController: Sendable {
    package enum Decision: Sendable, Equatable {
        case send
        /// Keep what is queued. Ask again at the end of the next turn that has something of this connection, and at
        /// this time of the clock that `now` is taken from, at the latest.
        case hold(until: UInt64)
    }

    /// Responses that are not held any longer, whatever their size: half of the coalescer's slots, so that a held
    /// batch never makes it send in the middle of a turn that adds as many.
    package static let responseLimit = ResponseCoalescer.slotCount / 2
    /// Fewer commands than this at the server at once, and there is nothing to gather.
    static let minimumDepth = 4
    /// More than this, and the server has no time for a send for each.
    static let splittingDepth = 32
    /// So many responses of a turn leave singly at most. The others gather: the turn is not one of few commands.
    static let singleSendLimit = 8
    /// Turns without a sign of pipelining after which the initiator is taken not to pipeline. Many, as an inline
    /// handler leaves few signs; a hold in vain is a stronger sign to the contrary.
    static let pipeliningMemoryTurns = 2_048
    /// The depth is the largest of the last one to two of so many turns.
    static let depthWindowTurns = 1_024
    /// Holds in a row to which nothing was added, after which holding is given up until a trial says otherwise.
    static let barrenHoldLimit = 8
    /// A pause of the load: what is measured over it says nothing of holding.
    static let pauseNanoseconds: UInt64 = 1_000_000
    /// The mean interval of turns moves by an eighth of the difference at each turn.
    private static let intervalShift: UInt64 = 3

    private let policy: CoalescingPolicy
    private let bounds: CoalescingBounds
    /// Adaptive, and with a bound above 0.
    private let mayHold: Bool
    private var learner: CoalescingLearner
    private var ownCounters = CoalescingCounters()

    // The hold that runs. `heldSince` counts only while `isHolding`.
    package private(set) var isHolding = false
    private var heldSince: UInt64 = 0
    private var deadline: UInt64 = 0
    private var responsesWhenHeld = 0
    private var lastQueued = 0
    private var lastInFlight = 0
    private var singleSendCount = 0
    private var barrenHoldCount = 0

    // What has been seen of the initiator.
    private var pipeliningMemory = 0
    private var depth = 0
    private var previousDepth = 0
    private var depthTurn = 0
    private var lastEvent: UInt64 = 0
    /// Between turns that brought a request or a completion.
    private var meanInterval = pauseNanoseconds

    package init(_ policy: CoalescingPolicy, learner: CoalescingLearner = CoalescingLearner()) {
        self.learner = learner
        sendsEachResponse = policy.sendsEachResponse
        self.policy = policy
        if case .adaptive(let bounds) = policy {
            self.bounds = bounds
            mayHold = bounds.maximumHoldNanoseconds > 0
        } else {
            bounds = .standard
            mayHold = false
        }
    }

    /// Whether a response is to go to the socket as soon as it is queued. May change at any call.
    package private(set) var sendsEachResponse: Bool

    /// Whether `turnEnded` is to be called at the end of each turn that made responses, also when all of them have left
    /// already: `adaptive` learns from it, and leaves sending singly by it.
    package var asksAtTurnEnd: Bool { !policy.sendsEachResponse }

    package var counters: CoalescingCounters {
        var counters = ownCounters
        counters.trialCount = learner.trialCount
        counters.changeCount = learner.changeCount
        return counters
    }

    /// What has been learnt to pay best.
    package var level: CoalescingLearner.Level { learner.level }

    /// The end of a turn in which requests came, responses were queued or sent, or a hold may end.
    ///
    /// `now` is the time when the turn began, in nanoseconds. `queuedResponses` and `queuedByteCount` are what would
    /// leave, held ones included; `inFlight` are commands that handlers have not completed yet.
    package mutating func turnEnded(
        now: UInt64, queuedResponses: Int, queuedByteCount: Int, inFlight: Int, requestsThisTurn: Int
    ) -> Decision {
        guard mayHold else {
            ownCounters.sentByPolicyCount &+= 1
            return .send
        }
        // Answered at once, requests are in none of the two counts any more.
        let outstanding = max(queuedResponses &+ inFlight, requestsThisTurn)
        if outstanding < 2 && pipeliningMemory == 0 {
            ownCounters.sentUnpipelinedCount &+= 1
            return .send
        }
        if requestsThisTurn > 0 || queuedResponses > lastQueued || inFlight != lastInFlight {
            observe(now: now, outstanding: outstanding)
        }
        lastQueued = queuedResponses
        lastInFlight = inFlight
        if learner.isDue { learner.advance(now: now, depth: knownDepth, range: worthTrying) }
        sendsEachResponse = learner.activeLevel == .response
        singleSendCount = 0
        if isHolding && now >= deadline { return deadlineCame(queuedResponses, inFlight) }
        return decide(now, queuedResponses, queuedByteCount, inFlight)
    }

    /// A send took what was queued, or a part of it: `responses` of them, `byteCount` bytes.
    package mutating func sent(now: UInt64, responses: Int, byteCount: Int) {
        ownCounters.sendCount &+= 1
        ownCounters.responseCount &+= UInt64(responses)
        ownCounters.byteCount &+= UInt64(byteCount)
        guard mayHold else { return }
        lastQueued = 0
        learner.sent(responses: responses)
        if sendsEachResponse {
            singleSendCount += 1
            if singleSendCount == Self.singleSendLimit { sendsEachResponse = false }
        }
        guard isHolding else { return }
        isHolding = false
        ownCounters.heldNanoseconds &+= now > heldSince ? now - heldSince : 0
        if responses > responsesWhenHeld {
            ownCounters.fruitfulHoldCount &+= 1
            barrenHoldCount = 0
        }
    }

    // MARK: What is seen

    private var knownDepth: Int { max(depth, previousDepth) }

    private mutating func observe(now: UInt64, outstanding: Int) {
        pipeliningMemory = outstanding > 1 ? Self.pipeliningMemoryTurns : pipeliningMemory - 1
        depth = max(depth, outstanding)
        depthTurn &+= 1
        if depthTurn == Self.depthWindowTurns {
            depthTurn = 0
            previousDepth = depth
            depth = outstanding
        }
        let interval = now > lastEvent ? now - lastEvent : 0
        lastEvent = now
        if interval >= Self.pauseNanoseconds {
            learner.interrupted()
        } else {
            meanInterval = meanInterval &- (meanInterval >> Self.intervalShift) &+ (interval >> Self.intervalShift)
        }
    }

    /// Sending singly can pay only where few commands come together, and holding can gather something only where
    /// turns come more often than it lasts.
    private var worthTrying: ClosedRange<CoalescingLearner.Level> {
        let holds = knownDepth >= Self.minimumDepth && meanInterval <= bounds.maximumHoldNanoseconds
        let splits = knownDepth <= Self.splittingDepth
        return (splits ? .response : .turn)...(holds ? .fullHold : .turn)
    }

    // MARK: Holding

    private func holdNanoseconds(_ level: CoalescingLearner.Level) -> UInt64 {
        level == .fullHold ? bounds.maximumHoldNanoseconds : bounds.maximumHoldNanoseconds / 2
    }

    private mutating func decide(
        _ now: UInt64, _ queuedResponses: Int, _ queuedByteCount: Int, _ inFlight: Int
    ) -> Decision {
        let level = learner.activeLevel
        if !level.isHold && !isHolding {
            ownCounters.sentUnpaidCount &+= 1
            return .send
        }
        if queuedByteCount >= bounds.byteLimit || queuedResponses >= Self.responseLimit {
            ownCounters.sentLimitCount &+= 1
            return .send
        }
        if pipeliningMemory == 0 {
            ownCounters.sentUnpipelinedCount &+= 1
            return .send
        }
        if inFlight == 0 && queuedResponses >= knownDepth {
            ownCounters.sentAllAnsweredCount &+= 1
            return .send
        }
        let end = isHolding ? deadline : now &+ holdNanoseconds(level)
        if now &+ meanInterval > end {
            ownCounters.sentNothingExpectedCount &+= 1
            return .send
        }
        if queuedResponses == 0 { return .send }
        if !isHolding {
            isHolding = true
            heldSince = now
            deadline = end
            responsesWhenHeld = queuedResponses
            ownCounters.holdCount &+= 1
        }
        return .hold(until: deadline)
    }

    private mutating func deadlineCame(_ queuedResponses: Int, _ inFlight: Int) -> Decision {
        ownCounters.deadlineCount &+= 1
        guard queuedResponses <= responsesWhenHeld else { return .send }
        // Nothing came although there was time for it: what is here is all that the initiator has outstanding.
        depth = queuedResponses &+ inFlight
        previousDepth = depth
        barrenHoldCount += 1
        if barrenHoldCount >= Self.barrenHoldLimit {
            barrenHoldCount = 0
            learner.giveUp()
        }
        return .send
    }
}
