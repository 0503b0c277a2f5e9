// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// Statistics as OpenMetrics. Sessions are left out: what can be a label must be of a bounded number.
extension OpenMetrics {
    static func add(_ statistics: StatisticsReport, to text: inout MetricText) {
        addLoops(statistics.loops, to: &text)
        text.add(
            "martlet_sample_interval", .gauge, "Of so many commands one is timed; 0: none.",
            Double(statistics.sampleInterval))
        text.add(
            "martlet_lost_samples", .counter, "Timed commands that found no room in the statistics.",
            Double(statistics.lostSamples))
        addFaults(statistics.devices, to: &text)
        let timed = statistics.luns.filter { $0.latency.samples > 0 }
        guard !timed.isEmpty else { return }
        text.addHistograms(
            "martlet_lun_latency_seconds", "Times of the commands that were sampled.",
            timed.map { (labels($0), histogram($0.latency)) })
        text.addSummaries(
            "martlet_lun_stage_seconds", "Where the time of the sampled commands went.",
            timed.flatMap { lun in
                lun.latency.stages.map { stage in
                    (
                        labels(lun) + [("stage", stage.stage)],
                        (
                            count: Double(lun.latency.samples),
                            sum: stage.meanNanoseconds * Double(lun.latency.samples) / 1e9
                        )
                    )
                }
            })
    }

    /// Nothing where no device has the filter `fault`. Devices over stores of one name are counted together.
    private static func addFaults(_ devices: [DeviceStatistics], to text: inout MetricText) {
        let prefix = "fault"
        var counts: [String: [String: UInt64]] = [:]
        for device in devices {
            let faults = device.counters.filter { $0.key.hasPrefix(prefix) }
            guard !faults.isEmpty else { continue }
            counts[device.backstore, default: [:]].merge(faults, uniquingKeysWith: +)
        }
        guard !counts.isEmpty else { return }
        let samples = counts.sorted { $0.key < $1.key }.flatMap { device, faults in
            faults.sorted { $0.key < $1.key }.map { name, count in
                MetricText.Sample(
                    labels: [("device", device), ("kind", name.dropFirst(prefix.count).lowercased())],
                    value: Double(count))
            }
        }
        text.add("martlet_device_faults", .counter, "Faults that a filter injected on purpose.", samples)
    }

    private static func labels(_ lun: LUNStatistics) -> [(name: String, value: String)] {
        OpenMetrics.labels(target: lun.target, lun: lun.lun, device: lun.device)
    }

    private static func histogram(_ latency: LatencyReport) -> MetricText.Histogram {
        MetricText.Histogram(
            buckets: latency.buckets.map { (Double($0.upToNanoseconds) / 1e9, Double($0.samples)) },
            count: Double(latency.samples), sum: latency.meanNanoseconds * Double(latency.samples) / 1e9)
    }

    private static func addLoops(_ loops: [LoopStatistics], to text: inout MetricText) {
        func samples(_ value: (LoopStatistics) -> UInt64) -> [MetricText.Sample] {
            loops.map { ([("loop", "\($0.loop)")], Double(value($0))) }
        }
        text.add("martlet_loop_turns", .counter, "Turns of an event loop.", samples(\.turns))
        text.add("martlet_loop_sleeps", .counter, "Turns that began with a wait that could block.", samples(\.sleeps))
        text.add("martlet_loop_spurious_turns", .counter, "Turns that found nothing to do.", samples(\.spuriousTurns))
        text.add(
            "martlet_loop_wake_ups", .counter, "System calls of other threads that woke a loop.", samples(\.wakeUps))
    }
}

extension MetricText {
    typealias Labels = [(name: String, value: String)]

    /// Cumulative buckets, without the last, which holds everything.
    struct Histogram {
        let buckets: [(bound: Double, count: Double)]
        let count: Double
        let sum: Double
    }

    mutating func addHistograms(_ name: String, _ help: String, _ histograms: [(labels: Labels, value: Histogram)]) {
        describe(name, "histogram", help)
        for (labels, histogram) in histograms {
            for bucket in histogram.buckets {
                add(sample: "\(name)_bucket", labels + [("le", "\(bucket.bound)")], bucket.count)
            }
            add(sample: "\(name)_bucket", labels + [("le", "+Inf")], histogram.count)
            add(sample: "\(name)_count", labels, histogram.count)
            add(sample: "\(name)_sum", labels, histogram.sum)
        }
    }

    mutating func addSummaries(
        _ name: String, _ help: String, _ summaries: [(labels: Labels, value: (count: Double, sum: Double))]
    ) {
        describe(name, "summary", help)
        for (labels, summary) in summaries {
            add(sample: "\(name)_count", labels, summary.count)
            add(sample: "\(name)_sum", labels, summary.sum)
        }
    }
}
