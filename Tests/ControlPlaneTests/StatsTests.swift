// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import Synchronization
import Testing
import Transport

@Suite("Statistics")
struct StatsTests {
    private static let unit = UnitName(targetName: "b", lun: 3, device: "d3")

    /// Samples on their way, as a loop leaves them.
    private final class Source: Sendable {
        private let samples = Mutex<[LatencySample]>([])

        func add(_ sample: LatencySample, count: Int = 1) {
            samples.withLock { $0 += [LatencySample](repeating: sample, count: count) }
        }

        func drain(_ body: (LatencySample) -> Void) {
            samples.withLock { samples in
                for each in samples { body(each) }
                samples = []
            }
        }
    }

    private let source = Source()
    private static let first = UnitName(targetName: "a", lun: 0, device: "d0")
    private let statistics = ServerStatistics(
        sampleInterval: 64, units: [SeenUnit(first), SeenUnit(unit)], now: 100)

    init() {
        let source = source
        statistics.attach({ source.drain($0) }, unitNames: { [Self.first, Self.unit] })
    }

    private func sample(
        _ nanoseconds: UInt64, _ stage: LatencyStage = .handler, session: UInt64 = 1, unit: UInt32 = 1
    ) -> LatencySample {
        var sample = LatencySample()
        sample.session = session
        sample.unit = unit
        sample[stage] = nanoseconds
        return sample
    }

    private func input(commands: UInt64 = 0, read: UInt64 = 0, sessions: [UInt64] = []) -> StatisticsInput {
        var unit = UnitCounters()
        unit.commandCount = commands
        unit.readByteCount = read
        var input = StatisticsInput()
        input.units = [Self.unit: unit]
        input.counters = ["commands": commands, "receiveCalls": commands / 4, "receivedBytes": commands * 48]
        input.sessions = sessions.map { number in
            var names = SessionStatistics()
            names.tsih = UInt16(truncatingIfNeeded: number)
            names.initiator = "iqn.\(number)"
            return StatisticsInput.Session(number: number, names: names, counters: unit)
        }
        return input
    }

    // MARK: Times

    @Test(
        "Percentiles of a known distribution are true to one in a hundred, the mean and the longest exactly",
        arguments: [1, 1000, 1_000_000] as [UInt64])
    func percentiles(unit: UInt64) {
        // 1 to 10,000 units, each once, in a scattered order: 7 and 10,000 have no common divisor.
        let values = (0..<10_000).map { (UInt64($0) * 7 % 10_000 + 1) * unit }
        for value in values { source.add(sample(value)) }
        let latency = statistics.report(input(), .look, now: 101).all
        #expect(latency.samples == 10_000)
        #expect(latency.meanNanoseconds == 5000.5 * Double(unit))
        #expect(latency.maxNanoseconds == 10_000 * unit)
        let found = [latency.p50Nanoseconds, latency.p90Nanoseconds, latency.p99Nanoseconds, latency.p999Nanoseconds]
        for (value, wanted) in zip(found, [5000, 9000, 9900, 9990]) {
            let relative = Double(value) / Double(UInt64(wanted) * unit)
            #expect((0.99...1.01).contains(relative), "\(value) for \(UInt64(wanted) * unit)")
        }
    }

    @Test("Stages add up to the whole, in means and in shares")
    func stages() {
        for number in 1...500 as ClosedRange<UInt64> {
            var sample = sample(number * 1000)
            for (index, stage) in LatencyStage.allCases.enumerated() {
                sample[stage] = number * UInt64(index + 1) * 100
            }
            source.add(sample)
        }
        let latency = statistics.report(input(), .look, now: 101).all
        #expect(latency.stages.map(\.stage) == LatencyStage.allCases.map { "\($0)" })
        #expect(latency.stages.count == LatencyStage.count)
        let mean = latency.stages.map(\.meanNanoseconds).reduce(0, +)
        #expect(abs(mean - latency.meanNanoseconds) < 0.001)
        #expect(abs(latency.stages.map(\.share).reduce(0, +) - 1) < 1e-9)
        #expect(latency.stages.last?.share == 7.0 / 28)
        let p99 = Double(latency.stages.last?.p99Nanoseconds ?? 0) / (495 * 700)
        #expect((0.9...1.1).contains(p99), "\(p99)")
    }

    @Test("A time beyond all that is tracked counts, and is told as it was")
    func extreme() {
        source.add(sample(1 << 62))
        source.add(sample(0), count: 3)
        let latency = statistics.report(input(), .look, now: 101).all
        #expect(latency.samples == 4)
        #expect(latency.maxNanoseconds == 1 << 62)
        #expect(latency.p50Nanoseconds < 64)
        #expect(latency.buckets.last?.samples == 3)
    }

    @Test("Buckets count what took at most so long")
    func buckets() {
        source.add(sample(9_000), count: 5)
        source.add(sample(150_000), count: 4)
        source.add(sample(3_000_000_000))
        let buckets = statistics.report(input(), .look, now: 101).all.buckets
        #expect(buckets.first == LatencyBucket(upToNanoseconds: 10_000, samples: 5))
        #expect(buckets.first { $0.upToNanoseconds == 100_000 }?.samples == 5)
        #expect(buckets.first { $0.upToNanoseconds == 200_000 }?.samples == 9)
        #expect(buckets.last == LatencyBucket(upToNanoseconds: 10_000_000_000, samples: 10))
        #expect(zip(buckets, buckets.dropFirst()).allSatisfy { $0.samples <= $1.samples })
    }

    // MARK: Whose

    @Test("A sample counts for its LUN, its session and the whole; one of no LUN of ours counts for the others")
    func attribution() {
        source.add(sample(1000), count: 2)
        source.add(sample(2000, session: 2, unit: 0), count: 3)
        source.add(sample(9000, session: 2, unit: LatencySample.noUnit))
        source.add(sample(9000, session: 9, unit: 77))
        let report = statistics.report(input(sessions: [1, 2]), .look, now: 101)
        #expect(report.luns.map(\.target) == ["a", "b"])
        #expect(report.luns.map(\.lun) == [0, 3])
        #expect(report.luns.map(\.latency.samples) == [3, 2])
        #expect(report.luns.map(\.latency.meanNanoseconds) == [2000, 1000])
        #expect(report.sessions.map(\.latency.samples) == [2, 4])
        #expect(report.all.samples == 7)
    }

    @Test("Two devices behind one number are told apart, and one that nobody sees any more is not told of")
    func devices() {
        let names = ["d3", "d9", "d4"].map { UnitName(targetName: "b", lun: 3, device: $0) }
        let source = source
        let statistics = ServerStatistics(
            sampleInterval: 1, units: [SeenUnit(names[0]), SeenUnit(names[2], isUsual: false)], now: 100)
        statistics.attach({ source.drain($0) }, unitNames: { names })
        for (number, count) in [3, 5, 7].enumerated() { source.add(sample(1000, unit: UInt32(number)), count: count) }
        var input = StatisticsInput()
        for (number, name) in names.enumerated() {
            var counters = UnitCounters()
            counters.commandCount = UInt64(number + 1) * 100
            input.units[name] = counters
        }
        let report = statistics.report(input, .look, now: 101)
        #expect(report.luns.map(\.lun) == [3, 3] && report.luns.map(\.device) == [nil, "d4"])
        #expect(report.luns.map(\.activity.commands) == [100, 300])
        #expect(report.luns.map(\.latency.samples) == [3, 7])
        #expect(report.all.samples == 15)
        #expect(report.table().contains("b (d4)"))
        let metrics = OpenMetrics.text(ServerReport(), report)
        #expect(metrics.contains(#"martlet_lun_latency_seconds_count{target="b",lun="3"} 3"#), "\(metrics)")
        #expect(metrics.contains(#"martlet_lun_latency_seconds_count{target="b",lun="3",device="d4"} 7"#))
    }

    @Test("Memory has a limit: sessions beyond it are timed only once others have been idle")
    func limit() {
        for number in 1...1000 as ClosedRange<UInt64> { source.add(sample(1000, session: number)) }
        let numbers = Array(1...1000 as ClosedRange<UInt64>)
        let early = statistics.report(input(sessions: numbers), .look, now: 101)
        #expect(early.sessions.filter { $0.latency.samples > 0 }.count == 128)
        #expect(early.all.samples == 1000)
        source.add(sample(1000, session: 1))
        source.add(sample(1000, session: 1000))
        statistics.drain(now: 200)
        let late = statistics.report(input(sessions: numbers), .look, now: 200)
        #expect(late.sessions.filter { $0.latency.samples > 0 }.count == 128)
        #expect(late.sessions.first?.latency.samples == 2)
        #expect(late.sessions.last?.latency.samples == 1)
    }

    @Test("What is known of a session goes with it")
    func gone() {
        source.add(sample(1000, session: 5))
        #expect(statistics.report(input(sessions: [5]), .look, now: 101).sessions[0].latency.samples == 1)
        #expect(statistics.report(input(), .look, now: 102).sessions.isEmpty)
        #expect(statistics.report(input(sessions: [5]), .look, now: 103).sessions[0].latency.samples == 0)
    }

    // MARK: Since when

    @Test("Rates are those since the last call; counts go on until they are reset; looking changes nothing")
    func rates() {
        let first = statistics.report(input(commands: 1000, read: 1 << 20), .call, now: 110)
        #expect(first.luns[1].activity.commandsPerSecond == 100)
        #expect(first.luns[1].activity.readBytesPerSecond == 0x1p20 / 10)
        for _ in 0..<3 {
            let look = statistics.report(input(commands: 1500), .look, now: 120)
            #expect(look.luns[1].activity.commandsPerSecond == 50)
            #expect(look.luns[1].activity.commands == 1500)
        }
        source.add(sample(1000))
        let reset = statistics.report(input(commands: 2000), .reset, now: 120)
        #expect(reset.seconds == 20)
        #expect(reset.rateSeconds == 10)
        #expect(reset.luns[1].activity.commands == 2000)
        #expect(reset.all.samples == 1)
        #expect(reset.dataPath.receivesPerCommand == 0.25)
        #expect(reset.dataPath.bytesPerReceive == 192)
        let after = statistics.report(input(commands: 2030), .call, now: 123)
        #expect(after.seconds == 3)
        #expect(after.luns[1].activity.commands == 30)
        #expect(after.luns[1].activity.commandsPerSecond == 10)
        #expect(after.counters["commands"] == 30)
        #expect(after.all == LatencyReport())
        #expect(after.luns[1].latency == LatencyReport())
    }

    @Test("Counters that go back, because a loop did not answer in time, are nothing and not something huge")
    func backwards() {
        _ = statistics.report(input(commands: 1000), .reset, now: 110)
        let report = statistics.report(input(commands: 10), .call, now: 110)
        #expect(report.luns[1].activity.commands == 0)
        #expect(report.luns[1].activity.commandsPerSecond == 0)
        #expect(report.counters["commands"] == 0)
        #expect(report.dataPath == DataPathReport())
    }

    @Test("Reports and samples may come from any thread: no sample is lost or counted twice")
    func concurrency() async {
        let ring = StatisticsRing {}
        let statistics = statistics
        let sample = sample(1000)
        let input = input()
        statistics.attach({ ring.drain($0) }, unitNames: { [Self.first, Self.unit] })
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 0..<20_000 {
                    ring.push(sample)
                    if number % 1000 == 0 { await Task.yield() }
                }
            }
            for _ in 0..<3 {
                group.addTask {
                    for step in 0..<50 {
                        _ = statistics.report(input, .look, now: 101 + Double(step))
                        await Task.yield()
                    }
                }
            }
        }
        let report = statistics.report(input, .look, now: 200)
        #expect(report.all.samples + ring.lostCount == 20_000)
        #expect(report.luns[1].latency.samples == report.all.samples)
    }
}
