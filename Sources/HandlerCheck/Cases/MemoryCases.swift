// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerHost

/// What a handler touches of the host's memory.
enum MemoryCases {
    static let all = [
        ConformanceCase("memory.bounds", "touches no byte beside the data", bounds),
        ConformanceCase("memory.source", "leaves the data of a write as it is", source),
        ConformanceCase("memory.after", "leaves the memory of a command alone once it has ended", after),
    ]

    private static func bounds(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let (start, room) = device.area(256 * 1024)
        for blocks in [1, 2, 3, 7, 8, 9, 31] where blocks * block <= room {
            _ = try device.read(at: start, blocks * block, layout: .watched)
        }
        // Whole pages, up to memory that cannot be touched at all: what reads too far meets it, too.
        for pages in [1, 2, 5] where pages * 4096 <= room {
            let data = run.random.bytes(pages * 4096)
            try device.write(data, at: start, layout: .guarded, rule: "memory.outside")
            _ = try device.read(at: start, data.count, layout: .guarded, rule: "memory.outside")
        }
        if run.handler.canWriteSame {
            let data = run.random.bytes(block)
            _ = try device.end(
                try device.start(
                    CHECK_WRITE_SAME, at: start, length: UInt64(min(room, 16 * block)), data: data, layout: .watched))
        }
    }

    private static func source(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let (start, room) = device.area(128 * 1024)
        for blocks in [1, 3, 8, 17] where blocks * device.blockByteCount <= room {
            let data = run.random.bytes(blocks * device.blockByteCount)
            let end = try device.end(try device.startWrite(data, at: start, layout: .watched))
            guard end.isOK else { continue }
        }
    }

    /// The host gives the memory of an ended command to the next at once. Here it is filled with other bytes instead,
    /// and looked at a little later.
    private static func after(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let (start, room) = device.area(64 * 4096)
        let count = room / 4096
        guard count > 0 else { throw CaseStop.skip("the medium is too small") }
        let data = run.random.bytes(count * 4096)
        let writes = try (0..<count).map { index -> PendingCommand in
            let part = Array(data[(index * 4096)..<((index + 1) * 4096)])
            return try device.startWrite(part, at: start + UInt64(index * 4096))
        }
        for write in writes { try device.endAndKeep(write, fill: 0xDD) }
        let reads = try (0..<count).map { index -> PendingCommand in
            try device.startRead(at: start + UInt64(index * 4096), 4096)
        }
        for read in reads { try device.endAndKeep(read, fill: 0xDD) }
        check_pause(UInt32(CaseProcess.lingerMilliseconds))
        for command in writes + reads {
            let end = try device.end(command, isJudged: false)
            let changed = end.bytes.count { $0 != 0xDD }
            if changed > 0 {
                run.finding("memory.after", "\(command.words) changed \(changed) byte(s) of its memory after its end")
            }
        }
        try DataCases.expectAll(
            device, data, at: start, rule: "memory.after", "whose write was given other memory after its end")
    }
}
