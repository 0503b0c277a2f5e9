// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing

@Suite("TimerQueue")
struct TimerQueueTests {
    @Test("timers come out in the order of their deadlines, equal ones in the order they went in")
    func order() {
        var generator = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 0...UInt64.max, using: &generator)
        var state = SplitMix(state: seed)
        var queue = TimerQueue()
        var fired: [(deadline: UInt64, number: Int)] = []
        for number in 0..<500 {
            let deadline = state.next() % 50
            _ = queue.add(deadline: deadline) { fired.append((deadline, number)) }
        }
        while let action = queue.takeDue(now: 1000) { action() }
        #expect(fired.count == 500, "seed \(seed)")
        let isOrdered = zip(fired, fired.dropFirst()).allSatisfy { ($0.deadline, $0.number) < ($1.deadline, $1.number) }
        #expect(isOrdered, "seed \(seed)")
    }

    @Test("nothing is due before its deadline")
    func notEarly() {
        var queue = TimerQueue()
        _ = queue.add(deadline: 10) {}
        #expect(queue.takeDue(now: 9) == nil)
        #expect(queue.nextDeadline == 10)
        #expect(queue.takeDue(now: 10) != nil)
        #expect(queue.nextDeadline == nil)
    }

    @Test("a cancelled timer does not fire, whether first in line or not", arguments: [0, 1, 2])
    func cancel(which: Int) {
        var queue = TimerQueue()
        var fired: [Int] = []
        let identifiers = (0..<3).map { number in queue.add(deadline: UInt64(number)) { fired.append(number) } }
        queue.cancel(identifiers[which])
        while let action = queue.takeDue(now: 100) { action() }
        #expect(fired == [0, 1, 2].filter { $0 != which })
        #expect(queue.nextDeadline == nil)
    }

    @Test("what a cancelled timer held is let go at once, although others are due before it")
    func cancelLetsGo() {
        var queue = TimerQueue()
        _ = queue.add(deadline: 1) {}
        var held: Held? = Held()
        weak let watched = held
        let timer = queue.add(deadline: 2) { [held] in _ = held }
        held = nil
        #expect(watched != nil)
        queue.cancel(timer)
        #expect(watched == nil)
        #expect(queue.nextDeadline == 1)
    }

    @Test("cancelling what has fired changes nothing")
    func cancelLate() {
        var queue = TimerQueue()
        let first = queue.add(deadline: 1) {}
        _ = queue.takeDue(now: 1)
        queue.cancel(first)
        _ = queue.add(deadline: 2) {}
        #expect(queue.nextDeadline == 2)
    }
}

private final class Held {}

/// A small generator, so that a failure can be repeated from its seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
