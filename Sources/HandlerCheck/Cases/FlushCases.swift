// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import CLinux
internal import HandlerHost

/// What a flush is worth.
enum FlushCases {
    static let all = [
        ConformanceCase("flush.kill", "keeps what was flushed when the process is killed", kill),
        ConformanceCase("flush.recorded", "has its store synchronised when a flush ends", recorded),
        ConformanceCase("flush.load", "flushes while writes are under way", load),
    ]

    /// Three processes: one writes, flushes and dies; one looks, then writes and closes as it should; and where the
    /// first look finds nothing, one tells whether this store ever keeps anything.
    private static func kill(_ run: CaseRun) throws {
        guard run.store.path != nil || run.request.stage > 0 || run.handler.canFlush else {
            throw CaseStop.skip("the handler has no flush")
        }
        var generator = SeededGenerator(seed: run.request.seed ^ 0x6B69_6C6C)
        let device = try run.openForBlocks()
        let (start, room) = device.area(256 * 1024)
        let data = generator.bytes(room)
        let closed = generator.bytes(room)
        switch run.request.stage {
        case 0:
            try DataCases.writeAll(device, data, at: start)
            if run.handler.canFlush { try device.flush(rule: "flush.kept") }
            CaseRun.say(.kill)
            _ = CLinux.kill(getpid(), SIGKILL)
        case 1:
            let end = try device.end(try device.startRead(at: start, room))
            if end.isOK, end.bytes == data { return }
            // Whether it keeps what was closed as it should be is for the next to see.
            try DataCases.writeAll(device, closed, at: start)
            run.close()
            CaseRun.say(.kill)
            _ = CLinux.kill(getpid(), SIGKILL)
        default:
            let end = try device.end(try device.startRead(at: start, room))
            guard end.isOK, end.bytes == closed else {
                throw CaseStop.skip("the store keeps nothing beyond its process")
            }
            run.finding(
                "flush.kept",
                "\(room) bytes at byte \(start), written and flushed, were not there after kill -9; what was written "
                    + "and closed is")
        }
    }

    private static func recorded(_ run: CaseRun) throws {
        try run.needs(run.handler.canFlush, "flush")
        let device = try run.openForBlocks()
        // The path lives for the call.
        guard unsafe check_record_store(run.request.handlerPath) > 0 else {
            throw CaseStop.skip("what it does to its store is not seen, and not judged")
        }
        let (start, room) = device.area(65536)
        var writes = 0
        var syncs = 0
        for _ in 0..<3 {
            let first = check_store_event_count()
            try device.write(run.random.bytes(room), at: start)
            let last = check_store_event_count()
            try device.flush()
            let judgement = check_judge_store(first, last, check_store_event_count())
            writes += Int(judgement.writes)
            syncs += Int(judgement.syncs)
            if judgement.uncovered_writes > 0 {
                run.finding(
                    "flush.synced",
                    "a flush ended OK, and \(judgement.uncovered_writes) write(s) to the store were followed by no "
                        + "fsync or fdatasync that worked (\(judgement.syncs) seen, \(judgement.failed_syncs) failed)")
                return
            }
        }
        if writes == 0 {
            guard syncs > 0 else { throw CaseStop.skip("what it does to its store is not seen, and not judged") }
            run.note("its writes to the store are not seen; each flush had an fsync or fdatasync in it")
        }
    }

    private static func load(_ run: CaseRun) throws {
        try run.needs(run.handler.canFlush, "flush")
        let device = try run.openForBlocks()
        let unit = 65536
        let (start, room) = device.area(16 * unit)
        let parts = max(1, room / unit)
        let size = min(unit, room)
        for _ in 0..<run.rounds(10, quick: 3) {
            let data = (0..<parts).map { _ in run.random.bytes(size) }
            var commands: [PendingCommand] = []
            for part in 0..<parts {
                commands.append(try device.startWrite(data[part], at: start + UInt64(part * unit)))
                if part % 4 == 0 { commands.append(try device.start(CHECK_FLUSH, cdb: [0x35])) }
            }
            for command in commands {
                let end = try device.end(command)
                if !end.isOK {
                    device.failed(end, "flush.synced", "\(command.words) under load")
                }
            }
            for part in 0..<parts { try device.expect(data[part], at: start + UInt64(part * unit), "after flushes") }
        }
    }
}
