// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost

extension HandlerCounters {
    /// The counters that only grow, by the names under which they are told.
    var byName: [String: UInt64] {
        [
            "reads": reads, "writes": writes, "flushes": flushes, "unmaps": unmaps, "others": others,
            "readBytes": readByteCount, "writtenBytes": writtenByteCount, "mappedReads": mappedReads,
            "submittedBatches": submittedBatches, "reapedBatches": reapedBatches, "wakeUps": wakeUps,
            "cancels": cancels,
            "mergedReads": mergedReads, "mergedWrites": mergedWrites, "mergedCallouts": mergedCallouts,
            "failedMergedCallouts": failedMergedCallouts,
        ]
    }
}
