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

    private let poller: any Poller
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var timers = TimerQueue()
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

    public init(handle: LoopHandle, poller: any Poller) throws(SystemError) {
        self.handle = handle
        self.poller = poller
        now = clinux_monotonic_nanoseconds()
        unsafe batchBuffer = .allocate(byteCount: ReceiveBudget.largest, alignment: 4096)
        try poller.add(handle.descriptor, interest: .readable, token: Self.wakeToken)
    }

    deinit { unsafe batchBuffer.deallocate() }

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
        while !isStopping {
            handle.willSleep()
            let eventCount = try poller.wait(
                timeoutNanoseconds: timeout(), awake: { awake() }, ready: { dispatch($0) })
            if eventCount == 0 { awake() }
            runTimers()
            handle.drain()
            for each in work { each.drain() }
            for each in work { each.turnEnded() }
        }
        // What was stopped can be run again.
        isStopping = false
    }

    private func dispatch(_ event: ReadyDescriptor) {
        if event.token == Self.wakeToken {
            handle.clearSignal()
        } else if let index = index(of: event.token) {
            slots[index].source?.ready(event.readiness)
        }
    }

    /// The first thing in a turn: from here on nobody needs to wake us.
    private func awake() {
        handle.isAwake()
        now = clinux_monotonic_nanoseconds()
    }

    /// Nanoseconds that the loop may sleep; nil: until something happens.
    private func timeout() -> UInt64? {
        if handle.hasWork { return 0 }
        var deadline = timers.nextDeadline ?? .max
        for each in work {
            if each.hasPending { return 0 }
            deadline = min(deadline, each.deadline)
        }
        if deadline == .max { return nil }
        let current = clinux_monotonic_nanoseconds()
        return deadline <= current ? 0 : deadline - current
    }

    private func runTimers() {
        guard let deadline = timers.nextDeadline, deadline <= now else { return }
        while let action = timers.takeDue(now: now) { action() }
    }
}
