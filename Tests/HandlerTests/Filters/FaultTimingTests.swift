// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

/// When commands end.
@Suite("When the filter fault lets commands go")
struct FaultTimingTests {
    private let memory = MemoryDevice()
    private let clock = ContinuousClock()

    @Test("A delayed command takes at least its time, before or after the store is asked", arguments: ["start", "end"])
    func delay(point: String) throws {
        let filter = try FaultFilter("delay=20ms,delay-at=\(point)", over: memory)
        defer { filter.close() }
        let finishers = Finishers(count: 1)
        let begin = clock.now
        finishers.startAll(on: filter)
        #expect(memory.asked.count == (point == "start" ? 0 : 1))
        #expect(finishers.order(of: 1) == [0])
        #expect(clock.now - begin >= .milliseconds(20))
        #expect(memory.asked.count == 1)
        #expect(filter.count("faultDelays") == 1)
    }

    @Test("Delays run side by side: a hundred commands wait no longer than one")
    func parallelDelays() throws {
        let filter = try FaultFilter("delay=100ms", over: memory)
        defer { filter.close() }
        let finishers = Finishers(count: 100)
        let begin = clock.now
        finishers.startAll(on: filter)
        #expect(finishers.order(of: 100).sorted() == Array(0..<100))
        let time = clock.now - begin
        #expect(time >= .milliseconds(100) && time < .seconds(5))
    }

    @Test("A store that is woken at the end of a turn is woken for delayed commands, too")
    func turns() throws {
        let filter = try FaultFilter("delay=1ms", over: memory)
        let finishers = Finishers(count: 1)
        finishers.startAll(on: filter)
        #expect(finishers.order(of: 1) == [0])
        filter.close()
        #expect(memory.turnCount == 2)
    }

    @Test("A hung command does not end, its neighbours do, and it is let go as a failure")
    func hang() throws {
        let filter = try FaultFilter("hang=100%,for=1", over: memory)
        defer { filter.close() }
        let finishers = Finishers(count: 5)
        finishers.startAll(on: filter)
        #expect(finishers.order(of: 4) == [1, 2, 3, 4])
        filter.release()
        #expect(finishers.order(of: 5) == [1, 2, 3, 4, 0])
        #expect(finishers.requests[0].outcome == .failed(.checkCondition, .commandAborted))
        #expect(memory.asked.count == 4)
        #expect(filter.count("faultHangs") == 1)
        // From now on nothing hangs.
        let later = Finishers(count: 3)
        later.startAll(on: try FaultFilter("hang=100%", over: filter).released)
        #expect(later.order(of: 3).count == 3)
    }

    @Test("A hung command ends by itself after `release`")
    func hangWithRelease() throws {
        let filter = try FaultFilter("hang=100%,release=20ms", over: memory)
        defer { filter.close() }
        let begin = clock.now
        #expect(TestRequest(.flush).run(on: filter) == .failed(.checkCondition, .commandAborted))
        #expect(clock.now - begin >= .milliseconds(20))
    }

    @Test("Closing lets go whatever is held: hung, delayed for an hour, or gathered")
    func close() throws {
        for options in [
            "hang=100%", "delay=3600s", "delay=3600s,delay-at=end", "late=100%,late-by=3600s",
            "reorder=9,reorder-hold=3600s",
        ] {
            let filter = try FaultFilter(options, over: MemoryDevice())
            let finishers = Finishers(count: 7)
            finishers.startAll(on: filter)
            let begin = clock.now
            filter.close()
            filter.close()
            #expect(finishers.order(of: 7).sorted() == Array(0..<7), "\(options)")
            #expect(clock.now - begin < .seconds(10))
        }
    }

    @Test("Closing waits for what the store still has")
    func closeWaits() throws {
        memory.ending = .deferred
        let filter = try FaultFilter("delay=1us", over: memory)
        let finishers = Finishers(count: 3)
        finishers.startAll(on: filter)
        #expect(memory.waits(for: 3))
        let closed = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            filter.close()
            closed.signal()
        }
        #expect(closed.wait(timeout: .now() + 0.05) == .timedOut)
        memory.completeAll()
        #expect(closed.wait(timeout: .now() + 30) == .success)
        #expect(finishers.order(of: 3).count == 3)
    }

    @Test("Completions leave in the order that the plan gives each gathering, each exactly once")
    func reorder() throws {
        let filter = try FaultFilter("reorder=8,reorder-hold=3600s,seed=21", over: memory)
        let plan = FaultPlan(try FaultOptions(text: "reorder=8"), seed: 21)
        let finishers = Finishers(count: 24)
        for batch in 0..<3 {
            let numbers = 8 * batch..<8 * batch + 8
            for number in numbers { finishers.start(number, on: filter) }
            let order = finishers.order(of: numbers.upperBound).dropFirst(numbers.lowerBound)
            let expected = plan.order(batch: UInt64(batch), count: 8).map { $0 + numbers.lowerBound }
            #expect(order.sorted() == Array(numbers))
            // The last one completes the gathering: it may end before its start has returned, and then notes it itself.
            #expect(order.filter { $0 != numbers.last } == expected.filter { $0 != numbers.last })
        }
        filter.close()
        #expect(filter.count("faultReorders") == 24)
    }

    @Test("A gathering that nobody completes leaves when its time is over")
    func reorderHold() throws {
        let filter = try FaultFilter("reorder=8,reorder-hold=10ms", over: memory)
        defer { filter.close() }
        let begin = clock.now
        let finishers = Finishers(count: 3)
        finishers.startAll(on: filter)
        #expect(finishers.order(of: 3).sorted() == [0, 1, 2])
        #expect(clock.now - begin >= .milliseconds(10))
    }

    @Test("A late completion comes after those of commands that began later")
    func late() throws {
        let filter = try FaultFilter("late=100%,late-by=50ms,max=1", over: memory)
        defer { filter.close() }
        let finishers = Finishers(count: 20)
        finishers.startAll(on: filter)
        #expect(finishers.order(of: 20) == Array(1..<20) + [0])
        #expect(filter.count("faultLates") == 1)
    }

    @Test("More commands at once than children were made for all end once")
    func depth() throws {
        let filter = try FaultFilter("delay=10ms", over: memory)
        let count = 3 * ChildPool<FaultFilter>.usualCount
        for _ in 0..<2 {
            let finishers = Finishers(count: count)
            finishers.startAll(on: filter)
            #expect(finishers.order(of: count).sorted() == Array(0..<count))
        }
        filter.close()
    }
}

extension FaultFilter {
    fileprivate var released: FaultFilter {
        release()
        return self
    }
}
