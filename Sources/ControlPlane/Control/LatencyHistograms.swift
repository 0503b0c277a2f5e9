// SPDX-License-Identifier: Apache-2.0

internal import Histogram
internal import Transport

/// The times of many commands: the whole and each stage. About 60 KiB, whatever is recorded.
final class LatencyHistograms {
    /// Two digits: the percentiles that people quote are true to one in a hundred.
    private var total = Histogram<UInt64>(
        lowestDiscernibleValue: lowestNanoseconds, highestTrackableValue: highestNanoseconds,
        numberOfSignificantValueDigits: .two)
    /// One digit: where the time goes, not how much it is.
    private var stages = [Histogram<UInt64>](
        repeating: Histogram(
            lowestDiscernibleValue: lowestNanoseconds, highestTrackableValue: highestNanoseconds,
            numberOfSignificantValueDigits: .one),
        count: LatencyStage.count)
    private var stageSums = [UInt64](repeating: 0, count: LatencyStage.count)
    private var longestNanoseconds: UInt64 = 0
    /// Seconds of whichever clock the caller uses.
    var lastUse = 0.0

    /// Below, a clock reading is the larger part.
    private static let lowestNanoseconds: UInt64 = 32
    /// 275 seconds: longer than initiators wait. What took longer counts as this.
    private static let highestNanoseconds: UInt64 = 1 << 38

    /// For machines that add up and draw: 1, 2 and 5 of each power of ten, from 10 microseconds to 10 seconds.
    static let bucketBounds: [UInt64] = {
        var bounds: [UInt64] = []
        var decade: UInt64 = 10_000
        while decade < 10_000_000_000 {
            bounds += [decade, 2 * decade, 5 * decade]
            decade *= 10
        }
        return bounds + [decade]
    }()

    func record(_ sample: LatencySample) {
        let whole = sample.totalNanoseconds
        total.record(min(whole, Self.highestNanoseconds))
        longestNanoseconds = max(longestNanoseconds, whole)
        for stage in LatencyStage.allCases {
            let part = sample[stage]
            stages[stage.rawValue].record(min(part, Self.highestNanoseconds))
            stageSums[stage.rawValue] &+= part
        }
    }

    func report() -> LatencyReport {
        var report = LatencyReport()
        guard total.totalCount > 0 else { return report }
        let sum = stageSums.reduce(0, &+)
        report.samples = total.totalCount
        report.meanNanoseconds = Double(sum) / Double(total.totalCount)
        report.p50Nanoseconds = total.valueAtPercentile(50)
        report.p90Nanoseconds = total.valueAtPercentile(90)
        report.p99Nanoseconds = total.valueAtPercentile(99)
        report.p999Nanoseconds = total.valueAtPercentile(99.9)
        report.maxNanoseconds = longestNanoseconds
        report.stages = LatencyStage.allCases.map { stageReport($0, sum: sum) }
        report.buckets = Self.bucketBounds.map {
            LatencyBucket(upToNanoseconds: $0, samples: total.count(within: 0...$0))
        }
        return report
    }

    private func stageReport(_ stage: LatencyStage, sum: UInt64) -> StageReport {
        var report = StageReport()
        report.stage = "\(stage)"
        report.meanNanoseconds = Double(stageSums[stage.rawValue]) / Double(total.totalCount)
        report.p99Nanoseconds = stages[stage.rawValue].valueAtPercentile(99)
        report.share = sum == 0 ? 0 : Double(stageSums[stage.rawValue]) / Double(sum)
        return report
    }
}

/// Histograms by name, of which only so many are kept: memory has a limit whatever peers do.
struct HistogramTable<Name: Hashable> {
    private var entries: [Name: LatencyHistograms] = [:]

    /// Together at most 8 MiB.
    static var limit: Int { 128 }
    /// One that was used since is not given up for another.
    private static var idleSeconds: Double { 10 }

    /// Nil when there is no room: all others are in use.
    mutating func entry(_ name: Name, now: Double) -> LatencyHistograms? {
        if let entry = entries[name] {
            entry.lastUse = now
            return entry
        }
        if entries.count >= Self.limit {
            guard let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }),
                now - oldest.value.lastUse >= Self.idleSeconds
            else { return nil }
            entries[oldest.key] = nil
        }
        let entry = LatencyHistograms()
        entry.lastUse = now
        entries[name] = entry
        return entry
    }

    func report(_ name: Name) -> LatencyReport { entries[name]?.report() ?? LatencyReport() }

    mutating func keep(only names: Set<Name>) { entries = entries.filter { names.contains($0.key) } }
}
