// SPDX-License-Identifier: Apache-2.0

import Testing
import Transport

@Suite("LatencyRecorder")
struct StatisticsRecorderTests {
    /// A clock that goes on by one with each reading.
    private final class Clock {
        var readings: UInt64 = 0

        func read() -> UInt64 {
            readings += 1
            return readings
        }
    }

    private let clock = Clock()
    private let ring = StatisticsRing {}

    private func recorder(interval: Int, seed: UInt64 = 1) -> LatencyRecorder {
        LatencyRecorder(interval: interval, ring: ring, seed: seed, clock: clock.read)
    }

    private var samples: [LatencySample] {
        var samples: [LatencySample] = []
        ring.drain { samples.append($0) }
        return samples
    }

    private func numbered(_ number: UInt64) -> LatencySample {
        var sample = LatencySample()
        sample.session = number
        return sample
    }

    // MARK: Choosing

    @Test("without sampling no command is due, and the clock is never read")
    func off() {
        let recorder = recorder(interval: 0)
        #expect(!(0..<1_000_000).contains { _ in recorder.isDue() })
        #expect(recorder.sampledCount == 0)
        #expect(clock.readings == 0)
    }

    @Test("an interval of one samples every command")
    func all() {
        let recorder = recorder(interval: 1)
        for _ in 0..<1000 {
            #expect(recorder.isDue())
            #expect(recorder.begin(turn: 0).isSampled)
        }
        #expect(recorder.sampledCount == 1000)
    }

    @Test(
        "one of N commands is sampled on average, at no fixed distance, and only those read the clock",
        arguments: [2, 64, 1024], [1, 0, 0xDEAD_BEEF] as [UInt64])
    func average(interval: Int, seed: UInt64) {
        let recorder = recorder(interval: interval, seed: seed)
        var distances: [Int] = []
        var distance = 0
        for _ in 0..<(interval * 4000) {
            distance += 1
            guard recorder.isDue() else { continue }
            _ = recorder.begin(turn: 0)
            distances.append(distance)
            distance = 0
        }
        #expect((3800...4200).contains(distances.count), "\(distances.count) samples")
        #expect((distances.max() ?? 0) < 2 * interval)
        #expect(Set(distances).count > 1)
        #expect(clock.readings == UInt64(distances.count))
        #expect(recorder.sampledCount == UInt64(distances.count))
    }

    // MARK: Stages

    @Test("the stages of a command add up to its whole time")
    func sum() {
        var stamps = StageStamps()
        stamps.turn = 1000
        stamps.received = 1010
        stamps.dispatched = 1050
        stamps.requestBegan = 1060
        stamps.requestEnded(posted: 1160, now: 1200)
        stamps.requestBegan = 1210
        stamps.requestEnded(posted: 0, now: 1215)
        stamps.queued = 1300
        stamps.sendBegan = 1310
        var sample = LatencySample()
        stamps.durations(sent: 1400, into: &sample)
        #expect(sample[.batch] == 10)
        #expect(sample[.data] == 40)
        #expect(sample[.handler] == 105)
        #expect(sample[.handBack] == 40)
        #expect(sample[.core] == 250 - 145)
        #expect(sample[.coalescing] == 10)
        #expect(sample[.sending] == 90)
        #expect(sample.totalNanoseconds == 400)
    }

    @Test("whatever is missing or out of order among the stamps, no stage is negative and none is counted twice")
    func disorder() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            func any() -> UInt64 { Bool.random(using: &random) ? 0 : .random(in: 1...2000, using: &random) }
            var stamps = StageStamps()
            stamps.received = .random(in: 1...2000, using: &random)
            stamps.turn = .random(in: 1...stamps.received, using: &random)
            stamps.dispatched = any()
            stamps.requestBegan = any()
            stamps.requestEnded(posted: any(), now: any())
            stamps.queued = any()
            stamps.sendBegan = any()
            let sent = UInt64.random(in: 1...2000, using: &random)
            var sample = LatencySample()
            stamps.durations(sent: sent, into: &sample)
            let latest = max(stamps.received, stamps.dispatched, stamps.queued, stamps.sendBegan, sent)
            #expect(sample.totalNanoseconds == latest - stamps.turn, "\(stamps), sent \(sent)")
        }
    }

    @Test("a turn that began after the command was taken does not count against it")
    func lateTurn() {
        let stamps = recorder(interval: 1).begin(turn: .max)
        #expect(stamps.turn == stamps.received)
    }

    // MARK: Responses

    @Test("responses end when their connection has sent so far; connections do not mix")
    func sending() {
        let recorder = recorder(interval: 1)
        var left = LatencyRecorder.Responses()
        var right = LatencyRecorder.Responses()
        for number in 1...3 as ClosedRange<UInt64> {
            recorder.queued(recorder.begin(turn: 0), numbered(number), endByteOffset: number * 100, in: &left)
            recorder.queued(recorder.begin(turn: 0), numbered(number + 10), endByteOffset: number * 10, in: &right)
        }
        recorder.willSend(left)
        recorder.didSend(&left, sentByteCount: 99)
        #expect(samples.isEmpty)
        recorder.didSend(&left, sentByteCount: 299)
        #expect(samples.map(\.session) == [1, 2])
        recorder.willSend(right)
        recorder.didSend(&right, sentByteCount: 30)
        #expect(samples.map(\.session) == [11, 12, 13])
        #expect(right.isEmpty)
        #expect(!left.isEmpty)
        recorder.didSend(&left, sentByteCount: 300)
        #expect(samples.map(\.session) == [3])
        #expect(left.isEmpty)
        #expect(recorder.lostCount == 0)
    }

    @Test("waiting for a peer that does not take its responses is sending, not coalescing")
    func blocked() {
        let recorder = recorder(interval: 1)
        var queue = LatencyRecorder.Responses()
        recorder.queued(recorder.begin(turn: 0), numbered(1), endByteOffset: 100, in: &queue)
        recorder.willSend(queue)
        recorder.didSend(&queue, sentByteCount: 50)
        clock.readings += 1000
        recorder.willSend(queue)
        recorder.didSend(&queue, sentByteCount: 100)
        let sample = samples.first
        #expect(sample?[.coalescing] == 1)
        #expect((sample?[.sending] ?? 0) > 1000)
    }

    @Test("too many responses on their way are counted as lost, and room comes back when a connection ends")
    func room() {
        let recorder = recorder(interval: 1)
        var queue = LatencyRecorder.Responses()
        let limit = LatencyRecorder.responseLimit
        for number in 0..<(limit + 5) {
            recorder.queued(
                recorder.begin(turn: 0), numbered(UInt64(number)), endByteOffset: UInt64(number), in: &queue)
        }
        #expect(recorder.lostCount == 5)
        recorder.forget(&queue)
        #expect(queue.isEmpty)
        #expect(samples.isEmpty)
        for number in 0..<limit {
            recorder.queued(
                recorder.begin(turn: 0), numbered(UInt64(number)), endByteOffset: UInt64(number), in: &queue)
        }
        recorder.willSend(queue)
        recorder.didSend(&queue, sentByteCount: .max)
        #expect(samples.count == limit)
        #expect(recorder.lostCount == 5)
    }
}
