// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// Something that waits for a descriptor.
public protocol EventSource: AnyObject {
    /// In the loop's thread. May add, change and remove registrations, its own too.
    func ready(_ readiness: Readiness)
}

/// What a loop does besides descriptors: work that other threads put in place, and the end of each turn.
public protocol TurnWork: AnyObject {
    /// Whether `drain` would find something. Asked before the loop sleeps, after it has said that it must be woken.
    var hasPending: Bool { get }

    /// Takes what other threads have put in place.
    func drain()

    /// All that was ready has been worked off: time to send what was gathered.
    func turnEnded()

    /// Nanoseconds of the monotonic clock at which there is to be a turn at the latest, whatever happens; `UInt64.max`
    /// for none. Asked before the loop sleeps.
    var deadline: UInt64 { get }
}

extension TurnWork {
    public var deadline: UInt64 { .max }
}

/// A thread's loop: waits for descriptors, runs those that are ready, then timers and mailboxes, then ends the turn.
///
/// Everything but `handle` belongs to the thread that calls `run`.
@safe public final class EventLoop {
    public let handle: LoopHandle
    /// Nanoseconds of the monotonic clock when this turn began: one reading for all that happens in it.
    public private(set) var now: UInt64

    /// Where streams over readiness receive to: one for all of them, so that it stays in the cache.
    let batchBuffer: UnsafeMutableRawBufferPointer

    /// Turns, and those of them that began with a wait that could block, or that found nothing to do.
    public private(set) var turnCount: UInt64 = 0
    public private(set) var sleepCount: UInt64 = 0
    public private(set) var spuriousTurnCount: UInt64 = 0

    /// Units of work, such as commands, that the loop's users have done since its start: whoever does them counts them
    /// here, and the loop learns from their rate how to wait.
    public var workCount: UInt64 = 0

    private let poller: any Poller
    private var polling: PollingController
    /// Events that the poller told since the last wait was planned, and `workCount` then.
    private var eventCount = 0
    private var plannedWorkCount: UInt64 = 0
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var timers = TimerQueue()
    private var timer: LoopTimer
    private var work: [any TurnWork] = []
    private var isStopping = false

    private struct Slot {
        /// Tells events of an earlier registration from those of this one.
        var generation: UInt32
        var descriptor: CInt
        var source: (any EventSource)?
    }

    /// A descriptor that the loop watches.
    public struct Registration {
        fileprivate let token: UInt64
    }

    /// The wake-up's own token: no slot has it.
    private static let wakeToken = UInt64.max
    /// The timer's; neither has any slot this one.
    private static let timerToken = UInt64.max - 1

    public init(
        handle: LoopHandle, poller: any Poller, polling: PollingSettings = PollingSettings()
    ) throws(SystemError) {
        self.handle = handle
        self.poller = poller
        now = clinux_monotonic_nanoseconds()
        self.polling = PollingController(settings: polling, now: now)
        timer = try LoopTimer()
        unsafe batchBuffer = .allocate(byteCount: ReceiveBudget.largest, alignment: 4096)
        try poller.add(handle.descriptor, interest: .readable, token: Self.wakeToken)
        try poller.add(timer.descriptor, interest: .readable, token: Self.timerToken)
    }

    deinit {
        timer.close()
        unsafe batchBuffer.deallocate()
    }

    // MARK: Descriptors

    public func register(
        _ descriptor: CInt, interest: Readiness, source: any EventSource
    ) throws(SystemError) -> Registration {
        let index = freeSlots.popLast() ?? slots.count
        if index == slots.count { slots.append(Slot(generation: 0, descriptor: -1, source: nil)) }
        slots[index].generation &+= 1
        let token = UInt64(slots[index].generation) << 32 | UInt64(index)
        do {
            try poller.add(descriptor, interest: interest, token: token)
        } catch {
            freeSlots.append(index)
            throw error
        }
        slots[index].descriptor = descriptor
        slots[index].source = source
        return Registration(token: token)
    }

    public func setInterest(_ interest: Readiness, of registration: Registration) throws(SystemError) {
        guard let index = index(of: registration.token) else { return }
        try poller.modify(slots[index].descriptor, interest: interest, token: registration.token)
    }

    /// Before the descriptor is closed. Events of this turn that have not been told yet are not told any more.
    public func remove(_ registration: Registration) {
        guard let index = index(of: registration.token) else { return }
        poller.remove(slots[index].descriptor)
        slots[index].source = nil
        slots[index].descriptor = -1
        slots[index].generation &+= 1
        freeSlots.append(index)
    }

    private func index(of token: UInt64) -> Int? {
        let index = Int(token & 0xFFFF_FFFF)
        guard index < slots.count, slots[index].generation == UInt32(token >> 32) else { return nil }
        return index
    }

    /// A byte stream over the connected, non-blocking socket `descriptor`, receiving from now on.
    public func openStream(
        _ descriptor: CInt, owner: any ByteStreamOwner
    ) throws(SystemError) -> any ByteStream {
        if let stream = try poller.openStream(descriptor, owner: owner) { return stream }
        return try ReadyStream(descriptor, loop: self, owner: owner)
    }

    // MARK: Timers and work

    public func schedule(afterMilliseconds delay: UInt64, _ action: @escaping () -> Void) -> TimerQueue.Identifier {
        timers.add(deadline: clinux_monotonic_nanoseconds() + delay * 1_000_000, action)
    }

    public func cancel(_ timer: TimerQueue.Identifier) { timers.cancel(timer) }

    public func add(_ work: any TurnWork) { self.work.append(work) }

    /// The loop returns from `run` at the end of this turn.
    public func stop() { isStopping = true }

    // MARK: The loop

    public func run() throws(SystemError) {
        clinux_set_timer_slack(Self.timerSlackNanoseconds)
        while !isStopping {
            if polling.isOff {
                try wait()
            } else {
                try waitAsPlanned()
            }
            turnCount &+= 1
            if turnEventCount == wakeUpCount && !hasOwnWork { spuriousTurnCount &+= 1 }
            turnEventCount = 0
            wakeUpCount = 0
            runTimers()
            handle.drain()
            for each in work { each.drain() }
            for each in work { each.turnEnded() }
        }
        // What was stopped can be run again.
        isStopping = false
    }

    /// Sleeps until something happens. Returns whether something has.
    @discardableResult
    private func wait() throws(SystemError) -> Bool {
        handle.willSleep()
        return try look(timeoutNanoseconds: timeout())
    }

    private func look(timeoutNanoseconds: UInt64?) throws(SystemError) -> Bool {
        let count = try poller.wait(
            timeoutNanoseconds: timeoutNanoseconds, awake: { awake() }, ready: { dispatch($0) })
        if count == 0 { awake() }
        if timeoutNanoseconds != 0 { sleepCount &+= 1 }
        eventCount += count
        turnEventCount += count
        return count > 0
    }

    private func dispatch(_ event: ReadyDescriptor) {
        if event.token == Self.wakeToken {
            wakeUpCount += 1
            handle.clearSignal()
        } else if event.token == Self.timerToken {
            timer.told()
        } else if let index = index(of: event.token) {
            slots[index].source?.ready(event.readiness)
        }
    }

    /// Events of this turn, and those of them that only woke the loop.
    private var turnEventCount = 0
    private var wakeUpCount = 0

    /// There is something to do besides descriptors.
    private var hasOwnWork: Bool {
        if hasPending { return true }
        guard let deadline = timers.nextDeadline else { return false }
        return deadline <= now
    }

    /// The first thing in a turn: from here on nobody needs to wake us.
    private func awake() {
        handle.isAwake()
        now = clinux_monotonic_nanoseconds()
    }

    /// Nanoseconds that the loop may sleep; nil: until something happens.
    private func timeout() -> UInt64? {
        if hasPending { return 0 }
        if let next = timers.nextDeadline { timer.cover(next) }
        let deadline = workDeadline
        if deadline == .max { return nil }
        let current = clinux_monotonic_nanoseconds()
        return deadline <= current ? 0 : deadline - current
    }

    private var hasPending: Bool {
        if handle.hasWork { return true }
        for each in work where each.hasPending { return true }
        return false
    }

    /// When there is to be a turn at the latest.
    private var deadline: UInt64? {
        let deadline = min(timers.nextDeadline ?? .max, workDeadline)
        return deadline == .max ? nil : deadline
    }

    private var workDeadline: UInt64 {
        var deadline = UInt64.max
        for each in work { deadline = min(deadline, each.deadline) }
        return deadline
    }

    private func runTimers() {
        guard let deadline = timers.nextDeadline, deadline <= now else { return }
        while let action = timers.takeDue(now: now) { action() }
    }

    // MARK: Waiting as planned

    /// The kernel may let a thread sleep longer by so much; its own 50 microseconds are more than most of our deadlines.
    private static let timerSlackNanoseconds: UInt = 1_000

    public var pollingCounters: PollingCounters { polling.counters }

    private func waitAsPlanned() throws(SystemError) {
        let begin = clinux_monotonic_nanoseconds()
        let remaining = foundPending() ? 0 : deadline.map { $0 <= begin ? 0 : $0 - begin } ?? .max
        guard remaining > 0 else {
            _ = try look(timeoutNanoseconds: 0)
            return
        }
        let done = Int(clamping: workCount &- plannedWorkCount)
        let plan = polling.plan(now: begin, workCount: max(done, eventCount))
        plannedWorkCount = workCount
        eventCount = 0
        let outcome: PollingController.Outcome =
            switch plan {
            case .sleep: try wait() ? .workCame : .nothing
            case .spin(let nanoseconds): try spin(since: begin, nanoseconds: min(nanoseconds, remaining))
            case .timedSleep(let nanoseconds): try sleep(nanoseconds: min(nanoseconds, remaining))
            }
        polling.waited(plan, nanoseconds: now &- begin, outcome: outcome, now: now)
        guard case .spin(let planned) = plan, outcome == .nothing, now &- begin >= planned else { return }
        let sleepBegin = now
        let foundLater = try wait()
        polling.waited(.sleep, nanoseconds: now &- sleepBegin, outcome: foundLater ? .workCame : .nothing, now: now)
    }

    /// Looks again and again. The handle counts as awake all the while: whoever leaves work need not wake us, because
    /// we look into the mailboxes each time. A sleep that follows says first that it must be woken.
    private func spin(since begin: UInt64, nanoseconds: UInt64) throws(SystemError) -> PollingController.Outcome {
        if try look(timeoutNanoseconds: 0) || foundPending() { return .workWasThere }
        while now &- begin < nanoseconds {
            if try look(timeoutNanoseconds: 0) || foundPending() { return .workCame }
        }
        return .nothing
    }

    /// Sleeps whatever happens. The handle counts as awake, as in a spin: it is a short time, and the turn that follows
    /// looks into the mailboxes.
    private func sleep(nanoseconds: UInt64) throws(SystemError) -> PollingController.Outcome {
        clinux_sleep(nanoseconds)
        return try look(timeoutNanoseconds: 0) || foundPending() ? .workCame : .nothing
    }

    /// What other threads have left is work as well.
    private func foundPending() -> Bool {
        guard hasPending else { return false }
        eventCount += 1
        return true
    }
}
