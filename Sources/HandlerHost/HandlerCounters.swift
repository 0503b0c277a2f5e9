// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
internal import TargetCore

/// What a device has done since it was opened. Counts of one moment, of which each may be a little older than the next.
public struct HandlerCounters: Sendable, Equatable {
    /// Commands that were submitted, refused ones too.
    public var reads: UInt64 = 0
    public var writes: UInt64 = 0
    public var flushes: UInt64 = 0
    public var unmaps: UInt64 = 0
    /// All others.
    public var others: UInt64 = 0
    public var readByteCount: UInt64 = 0
    public var writtenByteCount: UInt64 = 0
    /// Reads among them that went straight to the handler's memory.
    public var mappedReads: UInt64 = 0
    /// Commands under way now, held ones too.
    public var queueLength = 0
    /// Calls of the handler's submit and reap.
    public var submittedBatches: UInt64 = 0
    public var reapedBatches: UInt64 = 0
    /// Calls of the handler's cancel.
    public var cancels: UInt64 = 0
    /// Worker threads woken.
    public var wakeUps: UInt64 = 0
    /// Reads and writes that reached the handler behind another one, in its callout.
    public var mergedReads: UInt64 = 0
    public var mergedWrites: UInt64 = 0
    /// Callouts for more than one request, and how many of them the handler failed.
    public var mergedCallouts: UInt64 = 0
    public var failedMergedCallouts: UInt64 = 0

    public init() {}

    public var commands: UInt64 { reads + writes + flushes + unmaps + others }
}

extension HandlerDevice {
    public var counters: HandlerCounters {
        var counters = HandlerCounters()
        // Asked first: it never exceeds the number that it is taken from.
        let unmapped = unmappedReadCount.load(ordering: .acquiring)
        counters.mappedReads = watch.begunMappedReadCount - unmapped
        counters.reads = watch.begunCount(.read) + counters.mappedReads
        counters.writes = watch.begunCount(.write)
        counters.flushes = watch.begunCount(.flush)
        counters.unmaps = watch.begunCount(.unmap)
        counters.others = [.writeSame, .compareAndWrite, .blockStatus, .writeZeroes, .passthrough].reduce(0) {
            $0 + watch.begunCount($1)
        }
        counters.readByteCount = readByteCount.load(ordering: .relaxed)
        counters.writtenByteCount = writtenByteCount.load(ordering: .relaxed)
        counters.queueLength = watch.underWayCount
        counters.submittedBatches = batches?.submitCount.load(ordering: .relaxed) ?? 0
        counters.reapedBatches = batches?.reapCount.load(ordering: .relaxed) ?? 0
        counters.cancels = cancelCount.load(ordering: .relaxed)
        counters.wakeUps = (workers?.wakeUpCount ?? 0) + (commandThread?.wakeUpCount ?? 0)
        if let merger {
            counters.mergedReads = merger.mergedReads.load(ordering: .relaxed)
            counters.mergedWrites = merger.mergedWrites.load(ordering: .relaxed)
            counters.mergedCallouts = merger.groups.load(ordering: .relaxed)
            counters.failedMergedCallouts = merger.failedGroups.load(ordering: .relaxed)
        }
        return counters
    }
}
