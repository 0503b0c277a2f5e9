// SPDX-License-Identifier: Apache-2.0

internal import EventLoop

/// What one event loop has done.
public struct LoopCounters: Sendable, Equatable {
    /// Position of the loop among those of the server.
    public var loop = 0
    public var connectionCount = 0
    public var turnCount: UInt64 = 0
    /// Turns that began with a wait that could block.
    public var sleepCount: UInt64 = 0
    /// Turns that found nothing to do.
    public var spuriousTurnCount: UInt64 = 0
    /// System calls of other threads that woke the loop.
    public var wakeUpCount: UInt64 = 0
    /// Times that the loop looked on for a while instead of sleeping, and those in which work came.
    public var spinCount: UInt64 = 0
    public var paidSpinCount: UInt64 = 0
    /// Nanoseconds of those in which none came.
    public var vainSpinNanoseconds: UInt64 = 0
    /// Short sleeps in which work gathered.
    public var timedSleepCount: UInt64 = 0
    /// Changes of the way to wait.
    public var pollingModeChangeCount: UInt64 = 0
    /// Commands that were timed.
    public var sampledCommandCount: UInt64 = 0
    /// Of those, the ones that statistics never saw.
    public var lostSampleCount: UInt64 = 0

    public init() {}

    init(of context: LoopContext, connectionCount: Int) {
        self.connectionCount = connectionCount
        turnCount = context.loop.turnCount
        sleepCount = context.loop.sleepCount
        spuriousTurnCount = context.loop.spuriousTurnCount
        wakeUpCount = context.loop.handle.wakeUpCount
        let polling = context.loop.pollingCounters
        spinCount = polling.spinCount
        paidSpinCount = polling.paidSpinCount
        vainSpinNanoseconds = polling.vainSpinNanoseconds
        timedSleepCount = polling.timedSleepCount
        pollingModeChangeCount = polling.modeChangeCount
        sampledCommandCount = context.latencies.sampledCount
        lostSampleCount = context.latencies.lostCount
    }

    mutating func add(_ other: LoopCounters) {
        connectionCount += other.connectionCount
        turnCount += other.turnCount
        sleepCount += other.sleepCount
        spuriousTurnCount += other.spuriousTurnCount
        wakeUpCount += other.wakeUpCount
        spinCount += other.spinCount
        paidSpinCount += other.paidSpinCount
        vainSpinNanoseconds += other.vainSpinNanoseconds
        timedSleepCount += other.timedSleepCount
        pollingModeChangeCount += other.pollingModeChangeCount
        sampledCommandCount += other.sampledCommandCount
        lostSampleCount += other.lostSampleCount
    }
}

/// A counter that only grows, as people and machines read it.
public struct NamedCounter: Sendable, Equatable {
    /// Stable; ends with the unit where there is one.
    public let name: String
    public let value: UInt64
    /// A sentence.
    public let meaning: String

    public init(_ name: String, _ value: UInt64, _ meaning: String) {
        self.name = name
        self.value = value
        self.meaning = meaning
    }
}

extension ServerSnapshot {
    /// Everything that the data path counts, in the order in which it is shown. A new counter is a field where it is
    /// counted, its line in `add`, and a row here.
    public var namedCounters: [NamedCounter] { commandCounters + coalescingCounters + loopCounters }

    private var commandCounters: [NamedCounter] {
        var unit = UnitCounters()
        for each in units.values { unit.add(each) }
        return [
            NamedCounter("commands", unit.commandCount, "SCSI commands that ended."),
            NamedCounter("receiveCalls", counters.receiveCallCount, "System calls that received."),
            NamedCounter("receivedBytes", counters.receivedByteCount, "Bytes received."),
            NamedCounter("receivedPDUs", counters.receivedPDUCount, "PDUs received."),
            NamedCounter("sendCalls", counters.sendCallCount, "System calls that sent."),
            NamedCounter("sentBytes", counters.sentByteCount, "Bytes sent."),
            NamedCounter("sentPDUs", counters.sentPDUCount, "PDUs sent."),
        ]
    }

    private var coalescingCounters: [NamedCounter] {
        let coalescing = counters.coalescing
        return [
            NamedCounter("heldSends", coalescing.holdCount, "Ends of turns that held responses for more to join them."),
            NamedCounter("fruitfulHolds", coalescing.fruitfulHoldCount, "Holds that responses joined before the send."),
            NamedCounter("holdDeadlines", coalescing.deadlineCount, "Holds that lasted as long as they may."),
            NamedCounter("heldNanoseconds", coalescing.heldNanoseconds, "Time for which responses were held."),
            NamedCounter("sendsByPolicy", coalescing.sentByPolicyCount, "Sends because the policy never holds."),
            NamedCounter(
                "sendsUnpipelined", coalescing.sentUnpipelinedCount, "Sends because the initiator waits for responses."),
            NamedCounter("sendsUnpaid", coalescing.sentUnpaidCount, "Sends because holding was not seen to pay."),
            NamedCounter(
                "sendsAllAnswered", coalescing.sentAllAnsweredCount,
                "Sends because all that is outstanding is answered."),
            NamedCounter(
                "sendsNothingExpected", coalescing.sentNothingExpectedCount,
                "Sends because nothing more was expected in time."),
            NamedCounter("sendsAtLimit", coalescing.sentLimitCount, "Sends because enough had gathered."),
            NamedCounter("coalescingTrials", coalescing.trialCount, "Comparisons of one way to gather with another."),
            NamedCounter("coalescingChanges", coalescing.changeCount, "Changes of the way to gather."),
        ]
    }

    private var loopCounters: [NamedCounter] {
        var loop = LoopCounters()
        for each in loops { loop.add(each) }
        return [
            NamedCounter("turns", loop.turnCount, "Turns of the event loops."),
            NamedCounter("sleeps", loop.sleepCount, "Turns that began with a wait that could block."),
            NamedCounter("spuriousTurns", loop.spuriousTurnCount, "Turns that found nothing to do."),
            NamedCounter("wakeUps", loop.wakeUpCount, "System calls of other threads that woke a loop."),
            NamedCounter("spins", loop.spinCount, "Times that a loop looked on instead of sleeping."),
            NamedCounter("paidSpins", loop.paidSpinCount, "Of those, the ones in which work came."),
            NamedCounter("vainSpinNanoseconds", loop.vainSpinNanoseconds, "Time of those in which none came."),
            NamedCounter("timedSleeps", loop.timedSleepCount, "Short sleeps in which work gathered."),
            NamedCounter("pollingChanges", loop.pollingModeChangeCount, "Changes of the way to wait."),
            NamedCounter("sampledCommands", loop.sampledCommandCount, "Commands that were timed."),
            NamedCounter("lostSamples", loop.lostSampleCount, "Timed commands that found no room in the statistics."),
        ]
    }
}
