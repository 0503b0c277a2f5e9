// SPDX-License-Identifier: Apache-2.0

import CLinux
import EventLoop
import Synchronization
import Testing

/// The loop itself in every polling mode: what it promises does not depend on how it waits.
@Suite("EventLoop's ways to wait")
struct PollingLoopTests {
    /// A mode, and how much work each event stands for: enough makes an adaptive loop let work gather.
    struct Way: CustomTestStringConvertible, Sendable {
        let mode: PollingMode
        let workPerEvent: UInt64
        var testDescription: String { "\(mode.rawValue), \(workPerEvent)" }

        var settings: PollingSettings {
            var settings = PollingSettings()
            settings.mode = mode
            settings.budgetPercent = 100
            return settings
        }

        static let all = [
            Way(mode: .off, workPerEvent: 1), Way(mode: .adaptive, workPerEvent: 1),
            Way(mode: .adaptive, workPerEvent: 100), Way(mode: .busy, workPerEvent: 1),
        ]
    }

    @Test(
        "no wake-up is lost: many threads each wait for an answer before they ask again", .timeLimit(.minutes(1)),
        arguments: PollerKind.allCases, Way.all)
    func wakeUps(kind: PollerKind, way: Way) throws {
        let handle = try LoopHandle()
        let loop = try EventLoop(handle: handle, poller: kind.make(), polling: way.settings)
        let stop = LoopBox(loop: loop)
        let senderCount = 3
        let askCount = 3_000
        let tally = Tally(senderCount: senderCount)
        var threads: [LoopThread] = []
        for sender in 0..<senderCount {
            threads.append(
                try LoopThread(name: "asker\(sender)") {
                    var numbers = SeededNumbers(seed: UInt64(sender))
                    let answer = Semaphore()
                    for _ in 0..<askCount {
                        handle.execute {
                            stop.loop.workCount += way.workPerEvent
                            tally.answered.add(1, ordering: .relaxed)
                            answer.signal()
                        }
                        answer.wait()
                        // Pauses of all lengths, so that the next question meets the loop in every state.
                        pause(UInt64.random(in: 0..<20_000, using: &numbers))
                    }
                    if tally.running.subtract(1, ordering: .sequentiallyConsistent).newValue == 0 {
                        handle.execute { stop.loop.stop() }
                    }
                })
        }
        try loop.run()
        for thread in threads { thread.join() }
        #expect(tally.answered.load(ordering: .relaxed) == senderCount * askCount)
    }

    @Test("descriptors are told in every mode", .timeLimit(.minutes(1)), arguments: PollerKind.allCases, Way.all)
    func descriptors(kind: PollerKind, way: Way) throws {
        let loop = try EventLoop(handle: LoopHandle(), poller: kind.make(), polling: way.settings)
        let pair = try EchoPair()
        let far = pair.far
        let roundCount = 2_000
        let echo = Echo(descriptor: pair.near, loop: loop, workPerEvent: way.workPerEvent)
        let registration = try loop.register(pair.near, interest: .readable, source: echo)
        let peer = try LoopThread(name: "peer") {
            var byte: UInt8 = 0
            for _ in 0..<roundCount {
                guard CLinux.write(far, &byte, 1) == 1, CLinux.read(far, &byte, 1) == 1 else { break }
            }
            shutdown(far, clinux_shut_wr)
        }
        try loop.run()
        peer.join()
        loop.remove(registration)
        #expect(echo.count == roundCount)
        withExtendedLifetime(pair) {}
    }

    @Test("timers are on time in every mode: in order, and none early", arguments: PollerKind.allCases, Way.all)
    func timers(kind: PollerKind, way: Way) throws {
        let loop = try EventLoop(handle: LoopHandle(), poller: kind.make(), polling: way.settings)
        let begin = clinux_monotonic_nanoseconds()
        var order: [UInt64] = []
        for delay in [30, 10, 20] as [UInt64] {
            _ = loop.schedule(afterMilliseconds: delay) {
                order.append(delay)
                #expect(clinux_monotonic_nanoseconds() - begin >= delay * 1_000_000)
                if order.count == 3 { loop.stop() }
            }
        }
        try loop.run()
        #expect(order == [10, 20, 30])
    }

    @Test("a deadline of the turn's work ends any wait", arguments: Way.all)
    func deadlines(way: Way) throws {
        let loop = try EventLoop(handle: LoopHandle(), poller: EpollPoller(), polling: way.settings)
        let work = DeadlineWork(loop: loop)
        loop.add(work)
        try loop.run()
        #expect(work.turnCount == DeadlineWork.turns)
        #expect(!work.wasLate)
    }

    // MARK: With a scripted poller

    @Test("while it looks nobody needs to wake it: work left meanwhile is found without a signal")
    func noSignalWhileSpinning() throws {
        var settings = PollingSettings()
        settings.mode = .busy
        let handle = try LoopHandle()
        let poller = ScriptedPoller()
        let loop = try EventLoop(handle: handle, poller: poller, polling: settings)
        let stop = LoopBox(loop: loop)
        poller.script = { call, timeout in
            #expect(timeout == 0)
            if call == 5 { handle.execute { stop.loop.stop() } }
            return 0
        }
        try loop.run()
        #expect(poller.callCount == 5)
        #expect(!poller.isWakeUpSignalled)
    }

    @Test("a loop that sleeps is signalled once, however many leave work")
    func oneSignal() throws {
        let handle = try LoopHandle()
        let poller = ScriptedPoller()
        let loop = try EventLoop(handle: handle, poller: poller)
        let stop = LoopBox(loop: loop)
        poller.script = { _, timeout in
            #expect(timeout == nil)
            for _ in 0..<10 { handle.execute { stop.loop.stop() } }
            return 0
        }
        try loop.run()
        #expect(poller.wakeUpCount == 1)
    }

    @Test("an idle adaptive loop sleeps without end after one wait in vain", arguments: [1, 1_000_000])
    func idle(workPerEvent: UInt64) throws {
        var settings = PollingSettings()
        settings.mode = .adaptive
        let handle = try LoopHandle()
        let poller = ScriptedPoller()
        let loop = try EventLoop(handle: handle, poller: poller, polling: settings)
        let stop = LoopBox(loop: loop)
        let busyUntil = clinux_monotonic_nanoseconds() + 60_000_000
        var restful: [UInt64?] = []
        poller.script = { _, timeout in
            if clinux_monotonic_nanoseconds() < busyUntil {
                stop.loop.workCount += workPerEvent
                return 1
            }
            restful.append(timeout)
            if timeout == nil { handle.execute { stop.loop.stop() } }
            return 0
        }
        try loop.run()
        #expect(restful.last == .some(nil))
        #expect(loop.pollingCounters.vainSpinNanoseconds < 10_000_000)
        if workPerEvent > 1 { #expect(loop.pollingCounters.timedSleepCount > 0) }
    }
}

// MARK: Parts

private func pause(_ nanoseconds: UInt64) {
    let end = clinux_monotonic_nanoseconds() + nanoseconds
    while clinux_monotonic_nanoseconds() < end {}
}

private final class Tally: Sendable {
    let running: Atomic<Int>
    let answered = Atomic<Int>(0)

    init(senderCount: Int) { running = Atomic(senderCount) }
}

/// The loop is touched in its own thread only: by work that it runs itself.
private struct LoopBox: @unchecked Sendable {
    let loop: EventLoop
}

private final class Semaphore: @unchecked Sendable {
    private let descriptor = eventfd(0, clinux_efd_cloexec)

    deinit { close(descriptor) }

    func signal() { eventfd_write(descriptor, 1) }

    func wait() {
        var count: eventfd_t = 0
        eventfd_read(descriptor, &count)
    }
}

private final class EchoPair {
    let near: CInt
    let far: CInt

    init() throws {
        var ends: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, clinux_sock_stream, 0, &ends) == 0)
        near = ends[0]
        far = ends[1]
        try #require(clinux_set_nonblocking(near) == 0)
    }

    deinit {
        close(near)
        close(far)
    }
}

private final class Echo: EventSource {
    private(set) var count = 0
    private let descriptor: CInt
    private let loop: EventLoop
    private let workPerEvent: UInt64

    init(descriptor: CInt, loop: EventLoop, workPerEvent: UInt64) {
        self.descriptor = descriptor
        self.loop = loop
        self.workPerEvent = workPerEvent
    }

    func ready(_ readiness: Readiness) {
        var byte: UInt8 = 0
        guard CLinux.read(descriptor, &byte, 1) == 1 else { return loop.stop() }
        count += 1
        loop.workCount += workPerEvent
        #expect(CLinux.write(descriptor, &byte, 1) == 1)
    }
}

/// Wants a turn two milliseconds after each.
private final class DeadlineWork: TurnWork {
    static let turns = 20
    private static let interval: UInt64 = 2_000_000
    private static let tolerance: UInt64 = 1_000_000_000

    private(set) var turnCount = 0
    private(set) var wasLate = false
    private(set) var deadline: UInt64
    private let loop: EventLoop

    init(loop: EventLoop) {
        self.loop = loop
        deadline = loop.now + Self.interval
    }

    var hasPending: Bool { false }

    func drain() {}

    func turnEnded() {
        guard loop.now >= deadline else { return }
        // Another program may have the processor; an endless wait would be caught.
        wasLate = wasLate || loop.now - deadline > Self.tolerance
        turnCount += 1
        deadline = loop.now + Self.interval
        if turnCount == Self.turns { loop.stop() }
    }
}

/// Returns what its script says, and knows whether the loop has been signalled.
private final class ScriptedPoller: Poller {
    var script: (_ call: Int, _ timeoutNanoseconds: UInt64?) -> Int = { _, _ in 0 }
    private(set) var callCount = 0
    private var wakeUp: CInt = -1

    /// A loop's first descriptor is the one that wakes it.
    func add(_ descriptor: CInt, interest: Readiness, token: UInt64) throws(SystemError) {
        if wakeUp < 0 { wakeUp = descriptor }
    }

    func modify(_ descriptor: CInt, interest: Readiness, token: UInt64) throws(SystemError) {}

    func remove(_ descriptor: CInt) {}

    func wait(
        timeoutNanoseconds: UInt64?, awake: () -> Void, ready: (ReadyDescriptor) -> Void
    ) throws(SystemError) -> Int {
        callCount += 1
        let count = script(callCount, timeoutNanoseconds)
        if count > 0 { awake() }
        return count
    }

    var isWakeUpSignalled: Bool { wakeUpCount > 0 }

    /// How often it has been signalled; taken.
    var wakeUpCount: UInt64 {
        var count: eventfd_t = 0
        return eventfd_read(wakeUp, &count) == 0 ? count : 0
    }
}
