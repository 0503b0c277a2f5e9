// SPDX-License-Identifier: Apache-2.0

internal import Histogram
internal import Transport

/// The times of many commands: the whole and each stage. About 60 KiB, whatever is recorded.
struct LatencyHistograms {
    /// Two digits: the percentiles that people quote are true to one in a hundred.
    private var total = Histogram<UInt64>(
        lowestDiscernibleValue: lowestNanoseconds, highestTrackableValue: highestNanoseconds,
        numberOfSignificantValueDigits: .two)
    /// One digit: where the time goes, not how much it is.
    private var stages = InlineArray<7, Histogram<UInt64>>(
        repeating: Histogram(
            lowestDiscernibleValue: lowestNanoseconds, highestTrackableValue: highestNanoseconds,
            numberOfSignificantValueDigits: .one))
    private var stageSums = InlineArray<7, UInt64>(repeating: 0)
    private var longestNanoseconds: UInt64 = 0

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

    mutating func record(_ sample: LatencySample) {
        let whole = sample.totalNanoseconds
        total.record(min(whole, Self.highestNanoseconds))
        longestNanoseconds = max(longestNanoseconds, whole)
        for index in stages.indices {
            let part = sample.nanoseconds(at: index)
            stages[index].record(min(part, Self.highestNanoseconds))
            stageSums[index] &+= part
        }
    }

    mutating func add(_ other: LatencyHistograms) {
        total.add(other.total)
        longestNanoseconds = max(longestNanoseconds, other.longestNanoseconds)
        for index in stages.indices {
            stages[index].add(other.stages[index])
            stageSums[index] &+= other.stageSums[index]
        }
    }

    func report() -> LatencyReport {
        var report = LatencyReport()
        guard total.totalCount > 0 else { return report }
        var sum: UInt64 = 0
        for index in stageSums.indices { sum &+= stageSums[index] }
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

/// Histograms by name, of which only so many are kept: memory has a limit whatever peers do. What is given up, or never
/// found room, is kept as one.
struct HistogramTable<Name: Hashable> {
    private final class Entry {
        var histograms = LatencyHistograms()
        /// Seconds of whichever clock the caller uses.
        var lastUse = 0.0
    }

    private var entries: [Name: Entry] = [:]
    private var others = Entry()
    /// The one before: samples of a drain come in runs.
    private var latest: (name: Name, entry: Entry)?

    /// Together at most 8 MiB.
    static var limit: Int { 128 }
    /// One that was used since is not given up for another.
    private static var idleSeconds: Double { 10 }

    /// `name` nil: nobody's.
    mutating func record(_ sample: LatencySample, _ name: Name?, now: Double) {
        guard let name else { return others.histograms.record(sample) }
        if let latest, latest.name == name, latest.entry.lastUse == now {
            latest.entry.histograms.record(sample)
            return
        }
        guard let entry = entry(name, now: now) else { return others.histograms.record(sample) }
        entry.lastUse = now
        latest = (name, entry)
        entry.histograms.record(sample)
    }

    /// Nil when there is no room: all others are in use.
    private mutating func entry(_ name: Name, now: Double) -> Entry? {
        if let entry = entries[name] { return entry }
        if entries.count >= Self.limit {
            guard let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }),
                now - oldest.value.lastUse >= Self.idleSeconds
            else { return nil }
            remove(oldest.key)
        }
        let entry = Entry()
        entries[name] = entry
        return entry
    }

    private mutating func remove(_ name: Name) {
        guard let entry = entries.removeValue(forKey: name) else { return }
        others.histograms.add(entry.histograms)
        latest = nil
    }

    func report(_ name: Name) -> LatencyReport { entries[name]?.histograms.report() ?? LatencyReport() }

    /// Of all samples.
    func total() -> LatencyReport {
        var sum = others.histograms
        for entry in entries.values { sum.add(entry.histograms) }
        return sum.report()
    }

    mutating func keep(only names: Set<Name>) {
        for name in entries.keys where !names.contains(name) { remove(name) }
    }
}
