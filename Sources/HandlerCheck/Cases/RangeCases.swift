// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerABI
internal import HandlerHost

/// unmap and writesame.
enum RangeCases {
    static let all = [
        ConformanceCase("unmap.range", "unmaps its range and nothing beside it", range),
        ConformanceCase("unmap.zeroes", "reads zeroes where it was unmapped, if it says so", zeroes),
        ConformanceCase("unmap.load", "unmaps while other commands are under way", load),
        ConformanceCase("writesame.fills", "writes one block over a range", writeSame),
    ]

    private static func openForUnmap(_ run: CaseRun) throws -> CheckedDevice {
        // With MARTLET_HANDLER_ZEROING_UNMAPS the host does UNMAP with write_zeroes, which has a case of its own.
        try run.needs(run.handler.canUnmap && !run.callouts.zeroingUnmaps, "unmap that a host calls")
        let device = try run.openForBlocks()
        guard device.isUnmapEnabled else { throw CaseStop.skip("the device has unmap disabled") }
        return device
    }

    private static func unmap(_ device: CheckedDevice, _ offset: UInt64, _ count: Int) throws -> Bool {
        let end = try device.end(try device.start(CHECK_UNMAP, at: offset, length: UInt64(count), cdb: [0x42]))
        guard !end.isOK else { return true }
        device.failed(end, "unmap.others", "an unmap of \(count) bytes at byte \(offset)")
        return false
    }

    /// Ranges in blocks of 512 bytes and more, that begin and end on every side of a page.
    private static func ranges(_ block: Int, _ room: Int) -> [Range<Int>] {
        let wanted = [(8, 16), (1, 2), (3, 5), (7, 9), (1, 24), (5, 64), (64, 128), (127, 129)]
        return wanted.map { ($0.0 * block)..<($0.1 * block) }.filter { $0.upperBound <= room }
    }

    private static func range(_ run: CaseRun) throws {
        let device = try openForUnmap(run)
        let (start, room) = device.area(1 << 20)
        for range in ranges(device.blockByteCount, room) {
            let data = run.random.bytes(room)
            try DataCases.writeAll(device, data, at: start)
            guard try unmap(device, start + UInt64(range.lowerBound), range.count) else { return }
            let words = "beside an unmap of \(range.count) bytes at byte \(start + UInt64(range.lowerBound))"
            let before = Array(data[..<range.lowerBound])
            let after = Array(data[range.upperBound...])
            if !before.isEmpty { try device.expect(before, at: start, rule: "unmap.others", words) }
            if !after.isEmpty {
                try device.expect(after, at: start + UInt64(range.upperBound), rule: "unmap.others", words)
            }
            let inside = run.random.bytes(range.count)
            try device.write(inside, at: start + UInt64(range.lowerBound))
            try device.expect(inside, at: start + UInt64(range.lowerBound), "written after an unmap")
        }
    }

    private static func zeroes(_ run: CaseRun) throws {
        guard run.callouts.unmappedReadsZero else {
            throw CaseStop.skip("the handler does not set MARTLET_HANDLER_UNMAPPED_READS_ZERO")
        }
        let device = try openForUnmap(run)
        let (start, room) = device.area(1 << 20)
        for range in ranges(device.blockByteCount, room) {
            try device.write([UInt8](repeating: 0xA5, count: room), at: start)
            guard try unmap(device, start + UInt64(range.lowerBound), range.count) else { return }
            let wanted = [UInt8](repeating: 0, count: range.count)
            try device.expect(wanted, at: start + UInt64(range.lowerBound), rule: "unmap.zeroes", "that was unmapped")
        }
    }

    private static func load(_ run: CaseRun) throws {
        let device = try openForUnmap(run)
        let unit = 65536
        let (start, room) = device.area(16 * unit)
        let parts = room / unit
        guard parts >= 2 else { throw CaseStop.skip("the medium is too small") }
        for _ in 0..<run.rounds(30, quick: 8) {
            let data = (0..<parts).map { _ in run.random.bytes(unit) }
            var commands: [PendingCommand] = []
            for part in 0..<parts {
                let at = start + UInt64(part * unit)
                commands.append(
                    part % 2 == 0
                        ? try device.startWrite(data[part], at: at)
                        : try device.start(CHECK_UNMAP, at: at, length: UInt64(unit), cdb: [0x42]))
            }
            for command in commands {
                let end = try device.end(command)
                if !end.isOK {
                    device.failed(end, "unmap.others", "\(command.words)")
                    return
                }
            }
            for part in stride(from: 0, to: parts, by: 2) {
                let at = start + UInt64(part * unit)
                try device.expect(
                    data[part], at: at, rule: "unmap.others", "written while its neighbours were unmapped")
            }
        }
    }

    private static func writeSame(_ run: CaseRun) throws {
        try run.needs(run.handler.canWriteSame, "writesame")
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let (start, room) = device.area(512 * 1024)
        for (first, count) in [(8, 8), (1, 1), (3, 5), (7, 33), (8, 512)] where (first + count + 8) * block <= room {
            var shadow = run.random.bytes((first + count + 8) * block)
            try device.write(shadow, at: start)
            for pattern in [run.random.bytes(block), [UInt8](repeating: 0, count: block)] {
                let end = try device.end(
                    try device.start(
                        CHECK_WRITE_SAME, at: start + UInt64(first * block), length: UInt64(count * block),
                        data: pattern, cdb: device.cdb16(0x93, start + UInt64(first * block), count * block)))
                guard end.isOK else {
                    run.finding(
                        "writesame.fills", "a writesame over \(count) blocks ended with \(StatusName.words(end.status))"
                    )
                    return
                }
                let filled = (0..<count).flatMap { _ in pattern }
                shadow.replaceSubrange((first * block)..<((first + count) * block), with: filled)
                try device.expect(shadow, at: start, rule: "writesame.fills", "after a writesame over \(count) blocks")
            }
        }
    }
}
