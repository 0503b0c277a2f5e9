// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerHost

/// Many commands under way at a time.
enum ConcurrencyCases {
    static let all = [
        ConformanceCase("concurrency.disjoint", "keeps writes to neighbouring blocks apart", disjoint),
        ConformanceCase("concurrency.overlap", "leaves one of several writes to the same block", overlap),
        ConformanceCase("concurrency.mixed", "reads, writes and flushes at once, and holds every block", mixed),
    ]

    /// Commands under way: enough for each of the handler's threads to have some.
    private static let depth = 64

    private static func disjoint(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let (start, room) = device.area(depth * block)
        let count = room / block
        for round in 0..<run.rounds(60, quick: 25) {
            let data = run.random.bytes(count * block)
            let order = (0..<count).shuffled(using: &run.random)
            let commands = try order.map { index -> PendingCommand in
                let at = start + UInt64(index * block)
                let part = Array(data[(index * block)..<((index + 1) * block)])
                return try device.start(
                    CHECK_WRITE, at: at, length: UInt64(block), data: part, cdb: device.write16(at, block),
                    mayStart: false)
            }
            device.start(commands)
            for command in commands { _ = try device.end(command) }
            let words = "of \(count) blocks, each written by a command of its own at the same time"
            if try !device.expect(data, at: start, rule: "concurrency.lost", "\(words), in round \(round)") { return }
        }
    }

    private static func overlap(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let blocks = 8
        // Apart from each other by more than a page, for neighbours are another case's.
        let (start, room) = device.area(65536)
        let length = min(blocks * block, room)
        for round in 0..<run.rounds(40, quick: 15) {
            let fills = (0..<16).map { UInt8($0 + 1 + 16 * (round % 8)) }
            let commands = try fills.map { fill in
                try device.start(
                    CHECK_WRITE, at: start, length: UInt64(length), dataByteCount: length, fill: fill,
                    cdb: device.write16(start, length), mayStart: false)
            }
            device.start(commands)
            for command in commands { _ = try device.end(command) }
            guard let bytes = try device.read(at: start, length, rule: "concurrency.torn") else { return }
            for index in 0..<(length / block) {
                let part = bytes[(index * block)..<((index + 1) * block)]
                guard let first = part.first, fills.contains(first), part.allSatisfy({ $0 == first }) else {
                    run.finding(
                        "concurrency.torn",
                        "after \(fills.count) writes to \(length / block) blocks at the same time, block \(index) holds "
                            + "a mixture of them")
                    return
                }
            }
        }
    }

    /// Each part of the area has one command at a time: what it must hold is known.
    private static func mixed(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let unit = 65536
        let (start, room) = device.area(32 * unit)
        let parts = max(1, room / unit)
        let size = min(unit, room)
        var shadow = (0..<parts).map { _ in [UInt8]() }
        for part in 0..<parts {
            shadow[part] = run.random.bytes(size)
            try device.write(shadow[part], at: start + UInt64(part * unit))
        }
        for _ in 0..<run.rounds(60, quick: 15) {
            var reads: [(part: Int, command: PendingCommand)] = []
            var others: [PendingCommand] = []
            for part in (0..<parts).shuffled(using: &run.random) {
                let at = start + UInt64(part * unit)
                if run.random.below(2) == 0 {
                    reads.append((part, try device.startRead(at: at, size)))
                } else {
                    shadow[part] = run.random.bytes(size)
                    others.append(try device.startWrite(shadow[part], at: at))
                }
                if run.handler.canFlush, run.random.below(16) == 0 {
                    others.append(try device.start(CHECK_FLUSH, cdb: [0x35]))
                }
            }
            for command in others {
                let end = try device.end(command)
                if !end.isOK {
                    device.failed(end, "data.moves", "\(command.words) among others")
                }
            }
            for (part, command) in reads {
                let end = try device.end(command)
                guard end.isOK else {
                    device.failed(end, "data.moves", "\(command.words) among others")
                    continue
                }
                if let words = device.difference(end.bytes, shadow[part]) {
                    run.finding("data.moves", "\(command.words) among others: \(words)")
                    return
                }
            }
        }
        for part in 0..<parts { try device.expect(shadow[part], at: start + UInt64(part * unit), "after all of it") }
    }
}
