// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// A loop's sampler: picks the commands that carry stamps, keeps them until their responses have been sent, and gives
/// their times to the ring. Belongs to the loop's thread.
///
/// The clock is read for sampled commands only. All others pay a count and a branch where they begin, and a branch
/// at each later stage.
@safe package final class LatencyRecorder {
    package let ring: StatisticsRing
    /// Reads the clock in nanoseconds.
    private let clock: () -> UInt64
    /// Commands until the next sample; wraps around for years when nothing is to be sampled.
    private var untilNext: UInt64
    /// Commands for each sample, on average; a power of two; 0: none.
    private let interval: UInt64
    private var random: UInt64
    /// Commands that were sampled, and those of them for whose response there was no room here.
    package private(set) var sampledCount: UInt64 = 0
    private var crowdedOutCount: UInt64 = 0

    /// A sampled response on its way to the kernel.
    private struct Response {
        var stamps = StageStamps()
        var sample = LatencySample()
        /// Bytes that its connection has sent when its last one is.
        var endByteOffset: UInt64 = 0
        /// The one behind it on its connection, or the next that is free; -1 for none.
        var next: Int32 = -1
    }

    /// The sampled responses of one connection, oldest first. Kept by the connection, touched by the recorder.
    package struct Responses {
        fileprivate var first: Int32 = -1
        fileprivate var last: Int32 = -1

        package init() {}

        @inline(__always) package var isEmpty: Bool { first < 0 }
    }

    /// Sampled responses of all connections that may be on their way at a time: a few windows full, if every command
    /// is sampled.
    package static let responseLimit = 1024
    private let responses: UnsafeMutablePointer<Response>
    private var firstFree: Int32

    package init(
        interval: Int, ring: StatisticsRing, seed: UInt64 = 1,
        clock: @escaping () -> UInt64 = { clinux_monotonic_nanoseconds() }
    ) {
        precondition(interval == 0 || interval.nonzeroBitCount == 1)
        self.interval = UInt64(interval)
        self.ring = ring
        self.clock = clock
        random = seed | 1
        let count = interval == 0 ? 0 : Self.responseLimit
        unsafe responses = .allocate(capacity: count)
        for index in 0..<count {
            unsafe (responses + index).initialize(to: Response(next: index + 1 < count ? Int32(index + 1) : -1))
        }
        firstFree = count > 0 ? 0 : -1
        untilNext = 0
        untilNext = distance()
    }

    deinit { unsafe responses.deallocate() }

    /// Samples that were lost: nobody emptied the ring, or too many responses waited.
    package var lostCount: UInt64 { ring.lostCount + crowdedOutCount }

    // MARK: Choosing

    /// A command has come. True when it is to be sampled: follow with `begin`.
    @inline(__always) package func isDue() -> Bool {
        untilNext &-= 1
        return untilNext == 0
    }

    /// The stamps of a command that is due. `turn`: when the turn that received it began.
    package func begin(turn: UInt64) -> StageStamps {
        untilNext = distance()
        sampledCount += 1
        var stamps = StageStamps()
        stamps.received = max(1, clock())
        stamps.turn = min(turn, stamps.received)
        return stamps
    }

    /// From 1 to twice the interval, the interval on average: commands come in batches of even sizes, and a fixed
    /// distance would pick the same place in each.
    private func distance() -> UInt64 {
        guard interval > 1 else { return interval }
        // Marsaglia's xorshift: 13, 7, 17.
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        let distance = (random >> 32) & (2 * interval - 1)
        return distance == 0 ? interval : distance
    }

    // MARK: Stages of a sampled command

    package func now() -> UInt64 { clock() }

    /// The last PDU of the response to a sampled command is in the coalescer of its connection, which will have sent
    /// `endByteOffset` bytes when it has sent that.
    package func queued(
        _ stamps: StageStamps, _ sample: LatencySample, endByteOffset: UInt64, in queue: inout Responses
    ) {
        let index = firstFree
        guard index >= 0 else {
            crowdedOutCount += 1
            return
        }
        // Indexes come from the list of free ones: they are inside `responses`.
        let response = unsafe responses + Int(index)
        firstFree = unsafe response.pointee.next
        unsafe response.pointee = Response(stamps: stamps, sample: sample, endByteOffset: endByteOffset)
        unsafe response.pointee.stamps.queued = clock()
        if queue.last >= 0 { unsafe responses[Int(queue.last)].next = index } else { queue.first = index }
        queue.last = index
    }

    /// The connection is about to send. Only with responses in `queue`.
    package func willSend(_ queue: Responses) {
        let now = clock()
        var index = queue.first
        while index >= 0 {
            let response = unsafe responses + Int(index)
            if unsafe response.pointee.stamps.sendBegan == 0 { unsafe response.pointee.stamps.sendBegan = now }
            index = unsafe response.pointee.next
        }
    }

    /// The connection has sent `sentByteCount` bytes in all. Only with responses in `queue`.
    package func didSend(_ queue: inout Responses, sentByteCount: UInt64) {
        guard unsafe responses[Int(queue.first)].endByteOffset <= sentByteCount else { return }
        let now = clock()
        while !queue.isEmpty {
            let response = unsafe responses + Int(queue.first)
            guard unsafe response.pointee.endByteOffset <= sentByteCount else { return }
            unsafe response.pointee.stamps.durations(sent: now, into: &response.pointee.sample)
            unsafe ring.push(response.pointee.sample)
            releaseFirst(of: &queue)
        }
    }

    /// The connection will send nothing more.
    package func forget(_ queue: inout Responses) {
        while !queue.isEmpty { releaseFirst(of: &queue) }
    }

    private func releaseFirst(of queue: inout Responses) {
        let index = queue.first
        queue.first = unsafe responses[Int(index)].next
        if queue.first < 0 { queue.last = -1 }
        unsafe responses[Int(index)].next = firstFree
        firstFree = index
    }
}
