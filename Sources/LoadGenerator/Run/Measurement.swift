// SPDX-License-Identifier: Apache-2.0

internal import Histogram

/// Latencies of the commands that ended while it was running. Belongs to one thread, then to who joined it.
package final class Measurement {
    /// Latencies are kept in nanoseconds to three digits, of what is above 16 ns.
    private static let longestNanoseconds: UInt64 = 3_600_000_000_000

    package var isRunning = false
    private var reads = Measurement.histogram()
    private var writes = Measurement.histogram()
    private var readNanoseconds: UInt64 = 0
    private var writeNanoseconds: UInt64 = 0
    private var maxNanoseconds: UInt64 = 0
    /// Commands that ended, measured or not.
    package private(set) var endedCount: UInt64 = 0

    package init() {}

    private static func histogram() -> Histogram<UInt64> {
        Histogram(lowestDiscernibleValue: 16, highestTrackableValue: longestNanoseconds)
    }

    @inline(__always)
    func record(nanoseconds: UInt64, isWrite: Bool) {
        endedCount &+= 1
        guard isRunning else { return }
        maxNanoseconds = max(maxNanoseconds, nanoseconds)
        let tracked = min(nanoseconds, Self.longestNanoseconds)
        if isWrite {
            writeNanoseconds &+= nanoseconds
            writes.record(tracked)
        } else {
            readNanoseconds &+= nanoseconds
            reads.record(tracked)
        }
    }

    /// Adds what another thread measured.
    func add(_ other: Measurement) {
        reads.add(other.reads)
        writes.add(other.writes)
        readNanoseconds &+= other.readNanoseconds
        writeNanoseconds &+= other.writeNanoseconds
        maxNanoseconds = max(maxNanoseconds, other.maxNanoseconds)
        endedCount &+= other.endedCount
    }

    package var readCount: UInt64 { reads.totalCount }
    package var writeCount: UInt64 { writes.totalCount }
    package var count: UInt64 { readCount + writeCount }

    /// In microseconds; all zero when nothing was measured.
    var latency: LoadReport.Latency {
        var all = reads
        all.add(writes)
        guard count > 0 else { return LoadReport.Latency(mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0) }
        func percentile(_ percent: Double) -> Double {
            // A bucket's upper end may lie above what was seen.
            Double(min(all.valueAtPercentile(percent), maxNanoseconds)) / 1000
        }
        return LoadReport.Latency(
            mean: Double(readNanoseconds &+ writeNanoseconds) / Double(count) / 1000, p50: percentile(50),
            p90: percentile(90), p99: percentile(99), p999: percentile(99.9), max: Double(maxNanoseconds) / 1000)
    }
}
