// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerHost

/// What a device says of itself after open.
enum AttributeCases {
    static let all = [
        ConformanceCase("attributes.sane", "sets a size that its store has", sane),
        ConformanceCase("attributes.write-cache", "tells the truth of its write cache", writeCache),
    ]

    private static func sane(_ run: CaseRun) throws {
        let shape = try run.shape()
        let device = try run.open(shape: shape)
        let (byteCount, overflow) = device.blockCount.multipliedReportingOverflow(by: UInt64(device.blockByteCount))
        if overflow {
            run.finding("attributes.sane", "\(device.blockCount) blocks of \(device.blockByteCount) bytes overflow")
        } else if byteCount != shape.byteCount {
            run.note("the device has \(byteCount) bytes, and was configured with \(shape.byteCount)")
        }
        if device.maximumTransferByteCount < device.blockByteCount {
            run.finding("attributes.sane", "the longest transfer is less than one block")
        }
        if device.isUnmapEnabled, !run.handler.canUnmap {
            run.finding("attributes.sane", "it enables unmap, and has no unmap")
        }
        if device.hasWriteCache, !run.handler.canFlush, !run.handler.takesOnlyCDBs {
            run.note("it sets its write cache on and has no flush: SYNCHRONIZE CACHE and FUA are refused")
        }
        guard !run.handler.takesOnlyCDBs, !overflow else { return }
        let last = byteCount - UInt64(device.blockByteCount)
        _ = try device.read(at: last, device.blockByteCount, rule: "attributes.sane")
    }

    private static func writeCache(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        guard !device.hasWriteCache else { throw CaseStop.skip("its write cache is on: flush has cases of its own") }
        // The path lives for the call.
        guard unsafe check_record_store(run.request.handlerPath) > 0 else {
            throw CaseStop.skip("what it does to its store is not seen, and not judged")
        }
        let (offset, count) = device.area(16384)
        let first = check_store_event_count()
        try device.write(run.random.bytes(count), at: offset)
        let last = check_store_event_count()
        let judgement = check_judge_store(first, last, last)
        guard judgement.writes > 0 else {
            throw CaseStop.skip("what it does to its store is not seen, and not judged")
        }
        if judgement.uncovered_writes > 0 {
            run.finding(
                "attributes.write-cache",
                "the write cache is off, and a write ended with \(judgement.uncovered_writes) write(s) to the store that "
                    + "no fsync or fdatasync followed")
        }
    }
}
