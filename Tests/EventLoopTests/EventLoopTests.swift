// SPDX-License-Identifier: Apache-2.0

import CLinux
import EventLoop
import Synchronization
import Testing

@Suite("EventLoop")
struct EventLoopTests {
    @Test("a descriptor that became readable is told once a turn until it is read", arguments: PollerKind.allCases)
    func levelTriggered(kind: PollerKind) throws {
        let loop = try EventLoop(handle: LoopHandle(), poller: kind.make())
        let pipe = try Pipe()
        let source = CountingSource { source in
            if source.count == 3 {
                pipe.readAll()
                loop.stop()
            }
        }
        let registration = try loop.register(pipe.readEnd, interest: .readable, source: source)
        pipe.write(1)
        try withExtendedLifetime(pipe) { try loop.run() }
        #expect(source.count == 3)
        loop.remove(registration)
    }

    @Test("what was removed in a turn is not told in that turn any more", arguments: PollerKind.allCases)
    func removedMeanwhile(kind: PollerKind) throws {
        let loop = try EventLoop(handle: LoopHandle(), poller: kind.make())
        let pipes = [try Pipe(), try Pipe()]
        for pipe in pipes { pipe.write(1) }
        var registrations: [EventLoop.Registration] = []
        var told = 0
        let source = CountingSource { _ in
            told += 1
            // Whoever is first removes both.
            for registration in registrations { loop.remove(registration) }
            registrations = []
            loop.stop()
        }
        for pipe in pipes {
            registrations.append(try loop.register(pipe.readEnd, interest: .readable, source: source))
        }
        try withExtendedLifetime(pipes) { try loop.run() }
        #expect(told == 1)
    }

    @Test("an old registration does not speak for a new one in its place", arguments: PollerKind.allCases)
    func generations(kind: PollerKind) throws {
        let loop = try EventLoop(handle: LoopHandle(), poller: kind.make())
        let pipe = try Pipe()
        let source = CountingSource { _ in loop.stop() }
        let old = try loop.register(pipe.readEnd, interest: .readable, source: source)
        loop.remove(old)
        let new = try loop.register(pipe.readEnd, interest: .readable, source: source)
        loop.remove(old)
        pipe.write(1)
        try withExtendedLifetime(pipe) { try loop.run() }
        #expect(source.count == 1)
        loop.remove(new)
    }

    @Test("interest can be withdrawn and given again", arguments: PollerKind.allCases)
    func interest(kind: PollerKind) throws {
        let loop = try EventLoop(handle: LoopHandle(), poller: kind.make())
        let pipe = try Pipe()
        let source = CountingSource { _ in loop.stop() }
        let registration = try loop.register(pipe.readEnd, interest: [], source: source)
        pipe.write(1)
        _ = loop.schedule(afterMilliseconds: 20) {
            #expect(source.count == 0)
            try? loop.setInterest(.readable, of: registration)
        }
        try withExtendedLifetime(pipe) { try loop.run() }
        #expect(source.count == 1)
        loop.remove(registration)
    }

    @Test("work from other threads runs in the loop, all of it, in each sender's order", arguments: PollerKind.allCases)
    func mailbox(kind: PollerKind) throws {
        let handle = try LoopHandle()
        let loop = try EventLoop(handle: handle, poller: kind.make())
        let senders = 4
        let each = 2_000
        let state = Mutex((received: [Int](repeating: 0, count: senders), isOrdered: true))
        let stop = StopBox(loop: loop)
        var threads: [LoopThread] = []
        for sender in 0..<senders {
            threads.append(
                try LoopThread(name: "sender\(sender)") {
                    for number in 0..<each {
                        handle.execute {
                            let isDone = state.withLock { state in
                                if state.received[sender] != number { state.isOrdered = false }
                                state.received[sender] += 1
                                return state.received.allSatisfy { $0 == each }
                            }
                            if isDone { stop.loop.stop() }
                        }
                    }
                })
        }
        try loop.run()
        for thread in threads { thread.join() }
        let result = state.withLock { $0 }
        #expect(result.isOrdered)
        #expect(result.received == Array(repeating: each, count: senders))
    }

    @Test("timers run by their deadlines while descriptors are quiet", arguments: PollerKind.allCases)
    func timers(kind: PollerKind) throws {
        let loop = try EventLoop(handle: LoopHandle(), poller: kind.make())
        var order: [Int] = []
        _ = loop.schedule(afterMilliseconds: 30) {
            order.append(3)
            loop.stop()
        }
        _ = loop.schedule(afterMilliseconds: 10) { order.append(1) }
        let never = loop.schedule(afterMilliseconds: 20) { order.append(2) }
        loop.cancel(never)
        try loop.run()
        #expect(order == [1, 3])
    }

    @Test(
        "a turn that is due in a fraction of a millisecond comes then, and not before", arguments: PollerKind.allCases)
    func shortDeadlines(kind: PollerKind) throws {
        let loop = try kind.makeLoop()
        let work = ShortNaps(loop: loop)
        loop.add(work)
        try loop.run(limitSeconds: 10)
        // On a busy machine most may come late; that none comes in time would show that time is counted in milliseconds.
        #expect(work.durations.allSatisfy { $0 >= ShortNaps.nanoseconds })
        #expect(try #require(work.durations.min()) < 900_000)
    }

    @Test("the work of a turn is drained before its end, and the end comes once a turn", arguments: PollerKind.allCases)
    func turns(kind: PollerKind) throws {
        let loop = try EventLoop(handle: LoopHandle(), poller: kind.make())
        let work = RecordingWork(loop: loop)
        loop.add(work)
        try loop.run()
        #expect(work.calls == ["drain", "end", "drain", "end", "drain", "end"])
    }
}

// MARK: Parts

private final class CountingSource: EventSource {
    var count = 0
    private let body: (CountingSource) -> Void

    init(_ body: @escaping (CountingSource) -> Void) { self.body = body }

    func ready(_ readiness: Readiness) {
        count += 1
        body(self)
    }
}

private final class RecordingWork: TurnWork {
    var calls: [String] = []
    private unowned let loop: EventLoop

    init(loop: EventLoop) { self.loop = loop }

    var hasPending: Bool { true }

    func drain() { calls.append("drain") }

    func turnEnded() {
        calls.append("end")
        if calls.count == 6 { loop.stop() }
    }
}

private final class ShortNaps: TurnWork {
    static let nanoseconds: UInt64 = 200_000
    var durations: [UInt64] = []
    private unowned let loop: EventLoop
    private var start = clinux_monotonic_nanoseconds()

    init(loop: EventLoop) { self.loop = loop }

    var hasPending: Bool { false }
    var deadline: UInt64 { start + Self.nanoseconds }
    func drain() {}

    func turnEnded() {
        // A turn may come for other reasons.
        let now = clinux_monotonic_nanoseconds()
        if loop.now >= deadline {
            durations.append(now - start)
            start = now
        }
        if durations.count == 50 { loop.stop() }
    }
}

/// The loop is touched in its own thread only: by work that it runs itself.
private struct StopBox: @unchecked Sendable {
    let loop: EventLoop
}

private final class Pipe {
    let readEnd: CInt
    private let writeEnd: CInt

    init() throws {
        var ends: [CInt] = [-1, -1]
        try #require(pipe(&ends) == 0)
        try #require(ends.allSatisfy { clinux_set_nonblocking($0) == 0 })
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    func write(_ byte: UInt8) {
        var byte = byte
        #expect(CLinux.write(writeEnd, &byte, 1) == 1)
    }

    func readAll() {
        var buffer = [UInt8](repeating: 0, count: 16)
        while CLinux.read(readEnd, &buffer, buffer.count) > 0 {}
    }
}
