// SPDX-License-Identifier: Apache-2.0

/// What a connection's coalescing did.
public struct CoalescingCounters: Sendable, Equatable {
    public var sendCount: UInt64 = 0
    public var responseCount: UInt64 = 0
    public var byteCount: UInt64 = 0

    /// How often the end of a turn kept its responses back.
    public var holdCount: UInt64 = 0
    /// Of these: more responses joined before the send.
    public var fruitfulHoldCount: UInt64 = 0
    /// The sum over all holds, from decision to send.
    public var heldNanoseconds: UInt64 = 0
    /// Holds that the bound ended.
    public var deadlineCount: UInt64 = 0

    // Ends of turns that sent, by the reason why nothing was held, or not any longer.

    /// The policy never holds.
    public var sentByPolicyCount: UInt64 = 0
    /// The initiator has not shown that it sends commands without waiting for responses.
    public var sentUnpipelinedCount: UInt64 = 0
    /// Holding has not been seen to pay.
    public var sentUnpaidCount: UInt64 = 0
    /// All that the initiator has outstanding is answered by what is queued: it waits, too.
    public var sentAllAnsweredCount: UInt64 = 0
    /// Nothing more is expected before the deadline.
    public var sentNothingExpectedCount: UInt64 = 0
    /// Enough has gathered.
    public var sentLimitCount: UInt64 = 0

    /// Comparisons of one way to gather with another, and how often the way changed.
    public var trialCount: UInt64 = 0
    public var changeCount: UInt64 = 0

    public init() {}

    public var responsesPerSend: Double { sendCount == 0 ? 0 : Double(responseCount) / Double(sendCount) }

    public mutating func add(_ other: CoalescingCounters) {
        sendCount &+= other.sendCount
        responseCount &+= other.responseCount
        byteCount &+= other.byteCount
        holdCount &+= other.holdCount
        fruitfulHoldCount &+= other.fruitfulHoldCount
        heldNanoseconds &+= other.heldNanoseconds
        deadlineCount &+= other.deadlineCount
        sentByPolicyCount &+= other.sentByPolicyCount
        sentUnpipelinedCount &+= other.sentUnpipelinedCount
        sentUnpaidCount &+= other.sentUnpaidCount
        sentAllAnsweredCount &+= other.sentAllAnsweredCount
        sentNothingExpectedCount &+= other.sentNothingExpectedCount
        sentLimitCount &+= other.sentLimitCount
        trialCount &+= other.trialCount
        changeCount &+= other.changeCount
    }
}
