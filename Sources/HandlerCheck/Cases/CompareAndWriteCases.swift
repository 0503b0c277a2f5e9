// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerABI
internal import HandlerHost

/// caw: what must be there and what to write, in one command.
enum CompareAndWriteCases {
    static let all = [
        ConformanceCase("caw.compares", "writes what compares, and nothing else", compares),
        ConformanceCase("caw.atomic", "lets nobody in between", atomic),
    ]

    private static func start(
        _ device: CheckedDevice, _ wanted: [UInt8], _ new: [UInt8], at offset: UInt64, mayStart: Bool = true
    ) throws -> PendingCommand {
        let blocks = UInt8(wanted.count / device.blockByteCount)
        let address = device.bigEndian(offset / UInt64(device.blockByteCount), 8)
        return try device.start(
            CHECK_COMPARE_AND_WRITE, at: offset, length: UInt64(wanted.count), data: wanted + new,
            cdb: [0x89, 0] + address + [0, 0, 0, blocks, 0, 0], mayStart: mayStart)
    }

    private static func compares(_ run: CaseRun) throws {
        try run.needs(run.handler.canCompareAndWrite, "caw")
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let (at, _) = device.area(16 * block)
        for blocks in [1, 2, 4] {
            let old = run.random.bytes(blocks * block)
            let new = run.random.bytes(blocks * block)
            let neighbour = run.random.bytes(block)
            try device.write(old + neighbour, at: at)
            let first = try device.end(try start(device, old, new, at: at))
            if !first.isOK {
                // A handler may know one block only; what it says to more is an error then.
                if blocks > 1, first.status != Int32(TCMU_STS_MISCOMPARE) {
                    run.note("a caw of \(blocks) blocks ends with \(StatusName.words(first.status))")
                    return
                }
                run.finding(
                    "caw.compares", "a caw of \(blocks) equal block(s) ended with \(StatusName.words(first.status))")
                return
            }
            try device.expect(new + neighbour, at: at, rule: "caw.compares", "after a caw that compared")
            // Differs in its last byte only.
            var almost = new
            almost[almost.count - 1] ^= 1
            let second = try device.end(try start(device, almost, old, at: at))
            if second.status != Int32(TCMU_STS_MISCOMPARE) {
                run.finding(
                    "caw.compares",
                    "a caw of \(blocks) block(s) whose last byte differs ended with \(StatusName.words(second.status))")
            }
            try device.expect(new + neighbour, at: at, rule: "caw.compares", "after a caw that did not compare")
        }
    }

    /// Every competitor adds one to a counter in the block; each caw that ends OK is one more.
    private static func atomic(_ run: CaseRun) throws {
        try run.needs(run.handler.canCompareAndWrite, "caw")
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let (at, _) = device.area(16 * block)
        let competitors = 16
        for round in 0..<run.rounds(60, quick: 25) {
            let old = run.random.bytes(block)
            try device.write(old, at: at)
            let news = (0..<competitors).map { _ in run.random.bytes(block) }
            let commands = try news.map { try start(device, old, $0, at: at, mayStart: false) }
            device.start(commands)
            var winners: [Int] = []
            for (index, command) in commands.enumerated() {
                let end = try device.end(command)
                if end.isOK { winners.append(index) }
            }
            guard winners.count == 1 else {
                run.finding(
                    "caw.atomic",
                    "of \(competitors) caws of one block at the same time, all with the same data to compare, "
                        + "\(winners.count) ended OK in round \(round)")
                return
            }
            guard let bytes = try device.read(at: at, block, rule: "caw.atomic") else { return }
            if bytes != news[winners[0]] {
                run.finding("caw.atomic", "the block does not hold the data of the one caw that ended OK")
                return
            }
        }
    }
}
