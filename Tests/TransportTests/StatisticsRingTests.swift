// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing
import Transport

@Suite("StatisticsRing")
struct StatisticsRingTests {
    private final class Asked: Sendable {
        private let value = Atomic<Int>(0)

        func note() { value.add(1, ordering: .relaxed) }
        var count: Int { value.load(ordering: .relaxed) }
    }

    private func sample(_ number: Int) -> LatencySample {
        var sample = LatencySample()
        sample.session = UInt64(number)
        sample[.handler] = UInt64(number) &* 3
        return sample
    }

    @Test("what finds no room is counted and gone; what had room comes out in order, and then there is room again")
    func overflow() {
        let ring = StatisticsRing {}
        for number in 0..<(StatisticsRing.capacity + 10) { ring.push(sample(number)) }
        #expect(ring.lostCount == 10)
        var numbers: [Int] = []
        ring.drain { numbers.append(Int($0.session)) }
        #expect(numbers == Array(0..<StatisticsRing.capacity))
        ring.push(sample(7))
        var last: [UInt64] = []
        ring.drain { last.append($0[.handler]) }
        #expect(last == [21])
        #expect(ring.lostCount == 10)
    }

    @Test("a ring that is half full asks once to be emptied, and again only after that was done")
    func asking() {
        let asked = Asked()
        let ring = StatisticsRing { asked.note() }
        for number in 1..<(StatisticsRing.capacity / 2) { ring.push(sample(number)) }
        #expect(asked.count == 0)
        for number in 0..<StatisticsRing.capacity { ring.push(sample(number)) }
        #expect(asked.count == 1)
        ring.drain { _ in }
        for number in 1..<(StatisticsRing.capacity / 2) { ring.push(sample(number)) }
        #expect(asked.count == 1)
        ring.push(sample(0))
        #expect(asked.count == 2)
    }

    @Test("a writer and two readers at once: every sample comes out whole, once and in order, or is counted as lost")
    func concurrency() {
        let ring = StatisticsRing {}
        let total = 300_000
        let isDone = Atomic<Bool>(false)
        let seen = Mutex<(count: Int, last: Int, torn: Int, disordered: Int)>((0, -1, 0, 0))
        let group = DispatchGroup()
        @Sendable func drain() {
            ring.drain { sample in
                seen.withLock { seen in
                    seen.count += 1
                    if sample[.handler] != sample.session &* 3 { seen.torn += 1 }
                    if Int(sample.session) <= seen.last { seen.disordered += 1 }
                    seen.last = Int(sample.session)
                }
            }
        }
        for _ in 0..<2 {
            Thread.detachNewThread(in: group) { while !isDone.load(ordering: .acquiring) { drain() } }
        }
        for number in 0..<total { ring.push(sample(number)) }
        isDone.store(true, ordering: .releasing)
        group.wait()
        drain()
        let result = seen.withLock { $0 }
        #expect(result.torn == 0)
        #expect(result.disordered == 0)
        #expect(UInt64(result.count) + ring.lostCount == UInt64(total))
    }
}

extension Thread {
    fileprivate static func detachNewThread(in group: DispatchGroup, _ body: @escaping @Sendable () -> Void) {
        group.enter()
        detachNewThread {
            body()
            group.leave()
        }
    }
}
