// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerABI
internal import HandlerHost

/// Blocks written and read, one command at a time.
enum DataCases {
    static let all = [
        ConformanceCase("data.lengths", "moves odd and even block counts, up to the longest transfer", lengths),
        ConformanceCase("data.edges", "moves the first and the last blocks", edges),
        ConformanceCase("data.pieces", "takes data in several pieces, if it says so", pieces),
        ConformanceCase("data.block-sizes", "serves blocks of 512, 1024, 2048 and 4096 bytes", blockSizes),
        ConformanceCase("data.random", "holds what was written over many random commands", random),
    ]

    /// Room on both sides of what is written, whose content must stay.
    private static let margin = 32768

    private static func lengths(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let (start, room) = device.area(device.maximumTransferByteCount + 2 * margin)
        var shadow = run.random.bytes(room)
        try writeAll(device, shadow, at: start)
        var counts = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 127, 129].map { $0 * block }
        counts += [device.maximumTransferByteCount]
        for count in counts where count + 2 * margin <= room && count <= device.maximumTransferByteCount {
            // Offsets of every alignment inside a page.
            let at = margin + run.random.below(16) * block
            guard at + count + margin / 2 <= room || count == device.maximumTransferByteCount else { continue }
            let from = count == device.maximumTransferByteCount ? margin : at
            let data = run.random.bytes(count)
            shadow.replaceSubrange(from..<(from + count), with: data)
            guard try device.write(data, at: start + UInt64(from)) else { continue }
            try device.expect(data, at: start + UInt64(from))
        }
        try expectAll(device, shadow, at: start, "after writes beside and inside it")
    }

    static func writeAll(_ device: CheckedDevice, _ data: [UInt8], at start: UInt64) throws {
        var done = 0
        while done < data.count {
            let count = min(data.count - done, min(device.maximumTransferByteCount, 1 << 20))
            try device.write(Array(data[done..<(done + count)]), at: start + UInt64(done))
            done += count
        }
    }

    @discardableResult
    static func expectAll(
        _ device: CheckedDevice, _ data: [UInt8], at start: UInt64, rule: String = "data.moves", _ what: String
    ) throws -> Bool {
        var done = 0
        var isRight = true
        while done < data.count {
            let count = min(data.count - done, min(device.maximumTransferByteCount, 1 << 20))
            let part = Array(data[done..<(done + count)])
            if try !device.expect(part, at: start + UInt64(done), rule: rule, what) { isRight = false }
            done += count
        }
        return isRight
    }

    private static func edges(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let blocks = Int(min(device.blockCount, 24))
        for (name, start) in [("first", 0), ("last", device.byteCount - UInt64(blocks * block))] {
            var shadow = run.random.bytes(blocks * block)
            try device.write(shadow, at: start, rule: "data.edges")
            for (skipped, count) in [(0, 1), (0, 3), (blocks - 1, 1), (max(0, blocks - 2), 2), (max(0, blocks - 8), 8)]
            where skipped + count <= blocks {
                let range = (skipped * block)..<((skipped + count) * block)
                let at = start + UInt64(skipped * block)
                try device.expect(Array(shadow[range]), at: at, rule: "data.edges", "among the \(name) blocks")
                let data = run.random.bytes(count * block)
                shadow.replaceSubrange(range, with: data)
                try device.write(data, at: at, rule: "data.edges")
            }
            try device.expect(shadow, at: start, rule: "data.edges", "of the \(name) blocks")
        }
    }

    private static func pieces(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        guard run.callouts.isVectored else {
            throw CaseStop.skip("the handler has no MARTLET_HANDLER_VECTORED: it is given one piece")
        }
        let (start, room) = device.area(256 * 1024)
        for count in [2, 3, 4, 7, 16, 33, 64] where count * 4096 <= room {
            let data = run.random.bytes(count * 4096)
            let layout = DataLayout(memory: CHECK_WATCHED, pieceCount: count, pieceMultiple: 4096)
            try device.write(data, at: start, layout: layout)
            try device.expect(data, at: start, "after a write in \(count) pieces")
            try device.expect(data, at: start, layout: layout, "in \(count) pieces")
        }
    }

    private static func blockSizes(_ run: CaseRun) throws {
        guard !run.handler.takesOnlyCDBs else { throw CaseStop.skip("the handler takes commands as CDBs only") }
        guard run.request.blockByteCount == nil else { throw CaseStop.skip("--block-size names one") }
        var served: [Int] = []
        for size in [512, 1024, 2048, 4096] {
            guard let shape = try? run.shape(blockByteCount: size), shape.byteCount % UInt64(size) == 0 else {
                continue
            }
            let device: CheckedDevice
            do {
                device = try run.open(shape: shape, mayFail: true)
            } catch is OpenRefused {
                continue
            }
            guard device.blockByteCount == size else {
                run.close()
                continue
            }
            served.append(size)
            let (start, _) = device.area(16 * 4096)
            let data = run.random.bytes(5 * size)
            try device.write(data, at: start)
            try device.expect(data, at: start, "in blocks of \(size) bytes")
            run.close()
        }
        guard served.count < 4 else { return }
        run.note("it serves blocks of \(served.map(String.init).joined(separator: ", ")) bytes")
    }

    private static func random(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let (start, room) = device.area(1 << 20)
        var shadow = run.random.bytes(room)
        try writeAll(device, shadow, at: start)
        for _ in 0..<run.rounds(1500, quick: 250) {
            let blocks = 1 + run.random.below(run.random.below(4) == 0 ? 64 : 8)
            let count = min(blocks * block, room)
            let at = run.random.below((room - count) / block + 1) * block
            switch run.random.below(16) {
            case 0 where run.handler.canFlush:
                try device.flush(rule: "data.moves")
            case 1..<8:
                let data = run.random.bytes(count)
                shadow.replaceSubrange(at..<(at + count), with: data)
                try device.write(data, at: start + UInt64(at))
            default:
                let wanted = Array(shadow[at..<(at + count)])
                if try !device.expect(wanted, at: start + UInt64(at)) { return }
            }
        }
        try expectAll(device, shadow, at: start, "after random commands")
    }
}
