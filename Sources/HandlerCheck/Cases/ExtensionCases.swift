// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerABI
internal import HandlerHost

/// What the extension table offers: extents, memory, batches.
enum ExtensionCases {
    static let all = [
        ConformanceCase("status.extents", "tells the state of any range in extents", extents),
        ConformanceCase("map.same", "maps the bytes that it reads", map),
        ConformanceCase("batch.descriptor", "takes batches: nothing waits for a second push", batches),
    ]

    private static func status(
        _ device: CheckedDevice, _ offset: UInt64, _ count: UInt64, capacity: Int
    ) -> (result: Int, extents: [martlet_extent]) {
        unsafe withUnsafeTemporaryAllocation(of: martlet_extent.self, capacity: capacity + 1) { room in
            for index in 0...capacity { unsafe room[index] = martlet_extent(byte_count: 0xEEEE, flags: 0, reserved: 0) }
            // There is room for one more than is told, whose content must stay.
            let result = unsafe Int(
                check_device_block_status(device.place, offset, count, room.baseAddress!, capacity))
            if unsafe room[capacity].byte_count != 0xEEEE {
                device.run.finding("status.extents", "more extents were written than there is room for")
            }
            return (result, (0..<max(0, min(capacity, result))).map { unsafe room[$0] })
        }
    }

    private static func extents(_ run: CaseRun) throws {
        try run.needs(run.handler.canReportBlockStatus, "block_status")
        let device = try run.openForBlocks()
        let block = UInt64(device.blockByteCount)
        let (start, room) = device.area(512 * 1024)
        try device.write(run.random.bytes(room), at: start)
        if run.handler.canUnmap, device.isUnmapEnabled, room >= 262144 {
            _ = try device.end(try device.start(CHECK_UNMAP, at: start + 65536, length: 65536, cdb: [0x42]))
        }
        let all = device.byteCount
        for (offset, count) in [
            (start, UInt64(room)), (0, all), (all - block, block), (start + block, block), (0, block),
        ] {
            for capacity in [1, 2, 64] {
                let (result, extents) = status(device, offset, count, capacity: capacity)
                guard result >= 1, result <= capacity else {
                    run.finding(
                        "status.extents",
                        "block_status of \(count) bytes at byte \(offset) with room for \(capacity) returned \(result)")
                    continue
                }
                if let bad = extents.first(where: { $0.byte_count == 0 || $0.byte_count % block != 0 }) {
                    run.finding(
                        "status.extents", "an extent at byte \(offset) has \(bad.byte_count) bytes, no whole blocks")
                }
            }
        }
        // What was just written has storage behind it.
        let (result, extents) = status(device, start, block, capacity: 4)
        if result >= 1, let first = extents.first, first.flags & UInt32(MARTLET_EXTENT_MAPPED) == 0 {
            run.finding("status.extents", "a block that was just written is unmapped")
        }
    }

    private static func map(_ run: CaseRun) throws {
        try run.needs(run.callouts.hasMapRead, "map_read")
        let device = try run.openForBlocks()
        let (start, room) = device.area(256 * 1024)
        let data = run.random.bytes(room)
        try device.write(data, at: start)
        var mapped = 0
        for (skipped, count) in [(0, room), (device.blockByteCount, device.blockByteCount), (4096, 8192)]
        where skipped + count <= room {
            let at = start + UInt64(skipped)
            guard let memory = unsafe check_device_map_read(device.place, at, UInt64(count)) else { continue }
            mapped += 1
            // The handler promises so many readable bytes until close.
            let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: memory, count: count))
            if bytes != Array(data[skipped..<(skipped + count)]) {
                run.finding("map.same", "map_read of \(count) bytes at byte \(at) shows other data than was written")
            }
        }
        if mapped == 0 { run.note("map_read answered NULL for every range that was tried") }
        try device.expect(data, at: start, rule: "map.same")
    }

    private static func batches(_ run: CaseRun) throws {
        guard run.callouts.takesBatches else { throw CaseStop.skip("the handler takes no batches") }
        let device = try run.openForBlocks()
        guard device.hasBatches else { throw CaseStop.skip("completion_descriptor gave none: it works without") }
        let (start, room) = device.area(128 * 4096)
        let count = room / 4096
        for size in [1, 2, count / 2, count] where size > 0 {
            let data = run.random.bytes(size * 4096)
            let writes = try (0..<size).map { index -> PendingCommand in
                let at = start + UInt64(index * 4096)
                let part = Array(data[(index * 4096)..<((index + 1) * 4096)])
                return try device.start(
                    CHECK_WRITE, at: at, length: 4096, data: part, cdb: device.write16(at, 4096), mayStart: false)
            }
            device.start(writes)
            for write in writes where !check_command_wait(write.number, UInt32(run.request.patienceMilliseconds)) {
                throw CaseStop.blocked(
                    rule: "batch.descriptor", seen: "\(write.words) in a batch of \(size) was not completed")
            }
            for write in writes { _ = try device.end(write) }
            try device.expect(data, at: start, "written in a batch of \(size)")
        }
    }
}
