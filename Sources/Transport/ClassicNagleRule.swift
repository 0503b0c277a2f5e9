// SPDX-License-Identifier: Apache-2.0

/// SCST Usermode's rule of when the kernel's Nagle algorithm coalesces responses and when TCP_NODELAY is on.
///
/// It counts the PDUs that are read from one moment with nothing to read to the next: a long cycle means that the
/// server cannot keep up and a queue stands behind it. It knows nothing of responses and has no timer. Each response
/// is handed to the socket by itself.
package struct ClassicNagleRule: Sendable, Equatable {
    package enum Action: Equatable {
        case none
        /// Switch TCP_NODELAY off: small segments wait for more data, or for the acknowledgement of earlier ones.
        case gather
        /// Switch TCP_NODELAY on, which sends what waits.
        case flush
        /// Switch TCP_NODELAY on, and off again: what waits leaves, what follows is gathered.
        case flushAndGather
    }

    package static let standardThreshold = 96
    package static let standardMargin = 40
    private static let historyCount = 4

    private let threshold: Int
    private let margin: Int
    /// Of the cycle that runs, and of the three before it, the newest first.
    private var busyCounts: (Int, Int, Int, Int) = (0, 0, 0, 0)
    /// TCP_NODELAY is off.
    package private(set) var isGathering = false

    /// Threshold 0 gathers from the first PDU whose mean allows it and never flushes; a huge one never gathers.
    package init(threshold: Int = standardThreshold, margin: Int = standardMargin) {
        precondition(threshold >= 0 && margin >= 0)
        self.threshold = threshold
        self.margin = margin
    }

    package static func == (one: Self, other: Self) -> Bool {
        one.threshold == other.threshold && one.margin == other.margin && one.isGathering == other.isGathering
            && one.busyCounts == other.busyCounts
    }

    /// A PDU has been read, before its response is sent.
    package mutating func pduRead() -> Action {
        busyCounts.0 &+= 1
        guard !isGathering, busyCounts.0 >= threshold else { return .none }
        // The mean of four keeps one lone long cycle from switching.
        let sum = busyCounts.0 &+ busyCounts.1 &+ busyCounts.2 &+ busyCounts.3
        guard sum / Self.historyCount >= sumOfThresholds / 2 else { return .none }
        isGathering = true
        return .gather
    }

    /// There is nothing more to read.
    package mutating func drained() -> Action {
        defer { busyCounts = (0, busyCounts.0, busyCounts.1, busyCounts.2) }
        guard isGathering, threshold > 0 else { return .none }
        // A recent cycle was so long that the next is taken to be long from its start.
        isGathering = max(busyCounts.0, busyCounts.1, busyCounts.2) >= sumOfThresholds
        return isGathering ? .flushAndGather : .flush
    }

    private var sumOfThresholds: Int {
        let (sum, overflow) = threshold.addingReportingOverflow(margin)
        return overflow ? .max : sum
    }
}
