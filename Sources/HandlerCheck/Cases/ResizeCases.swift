// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck

/// reconfig.
enum ResizeCases {
    static let all = [
        ConformanceCase("resize.busy", "takes, or refuses, a new size while commands are under way", busy),
        ConformanceCase("resize.unknown", "refuses a change that it does not know", unknown),
    ]

    private static func busy(_ run: CaseRun) throws {
        try run.needs(run.callouts.hasReconfig, "reconfig")
        let device = try run.openForBlocks()
        let (start, room) = device.area(64 * 4096)
        let data = run.random.bytes(room)
        try device.write(data, at: start)
        let old = device.byteCount
        // Larger, and back: a store of other bytes than its size says would not be opened again.
        for size in [old + 1 << 20, old] {
            let reads = try (0..<32).map { _ in try device.startRead(at: start, room) }
            let result = check_device_resize(device.place, size)
            if result == 0 { _ = check_device_set_size(device.place, size) }
            for read in reads {
                let end = try device.end(read)
                if end.isOK, end.bytes != data {
                    run.finding("resize.works", "\(read.words) during reconfig to \(size) bytes gave other data")
                    return
                }
                if !end.isOK {
                    run.finding(
                        "resize.works",
                        "\(read.words) during reconfig to \(size) bytes ended with \(StatusName.words(end.status))")
                    return
                }
            }
            if result > 0 { run.finding("resize.works", "reconfig to \(size) bytes returned \(result): 0 or -errno") }
            guard result == 0 else {
                if size == old { run.note("it grew, and cannot be given its old size back (\(result))") }
                return
            }
            let last = size - UInt64(device.blockByteCount)
            _ = try device.read(at: last, device.blockByteCount, rule: "resize.works")
            try device.expect(data, at: start, rule: "resize.works", "after reconfig to \(size) bytes")
        }
    }

    private static func unknown(_ run: CaseRun) throws {
        try run.needs(run.callouts.hasReconfig, "reconfig")
        let device = try run.openForBlocks()
        for type in [77, 0x7FFF_FFFF] as [Int32] {
            let result = check_device_reconfigure(device.place, type)
            if result >= 0 {
                run.finding("resize.unknown", "reconfig with the type \(type), which means nothing, returned \(result)")
            }
        }
    }
}
