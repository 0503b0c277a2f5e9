// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerABI

/// What version 3 of the extension table adds: write_zeroes, cancel, health.
enum ZeroesAndCareCases {
    static let all = [
        ConformanceCase("zeroes.written", "writes zeroes over any range, with storage and without", zeroes),
        ConformanceCase("cancel.ends", "ends what it is asked to cancel, once", cancel),
        ConformanceCase("health.answers", "tells how the device is", health),
    ]

    private static func zeroes(_ run: CaseRun) throws {
        try run.needs(run.callouts.hasWriteZeroes, "write_zeroes")
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let (start, room) = device.area(1 << 20)
        for operation in [CHECK_WRITE_ZEROES, CHECK_WRITE_ZEROES_MAY_UNMAP] {
            for (first, end) in [(8, 16), (1, 2), (3, 5), (7, 9), (1, 24), (5, 64), (64, 1024)]
            where end * block <= room {
                var shadow = run.random.bytes(room)
                try DataCases.writeAll(device, shadow, at: start)
                let at = start + UInt64(first * block)
                let length = (end - first) * block
                let command = try device.start(
                    operation, at: at, length: UInt64(length), cdb: device.cdb16(0x93, at, length))
                let result = try device.end(command)
                guard result.isOK else {
                    device.failed(result, "zeroes.written", command.words)
                    return
                }
                shadow.replaceSubrange((first * block)..<(end * block), with: repeatElement(0, count: length))
                let words = "after \(command.words)"
                if try !DataCases.expectAll(device, shadow, at: start, rule: "zeroes.written", words) { return }
            }
        }
    }

    /// Writes, some of them cancelled while they are under way or just over: each ends once, and those that end OK have
    /// been done.
    private static func cancel(_ run: CaseRun) throws {
        try run.needs(run.callouts.hasCancel, "cancel")
        let device = try run.openForBlocks()
        let (start, room) = device.area(64 * 4096)
        let count = room / 4096
        for round in 0..<run.rounds(30, quick: 8) {
            let data = (0..<count).map { _ in run.random.bytes(4096) }
            let commands = try (0..<count).map { index -> PendingCommand in
                let at = start + UInt64(index * 4096)
                return try device.start(
                    CHECK_WRITE, at: at, length: 4096, data: data[index], cdb: device.write16(at, 4096),
                    mayStart: false)
            }
            device.start(commands)
            for index in 0..<count where (index + round) % 2 == 0 { check_command_cancel(commands[index].number) }
            var isDone: [Bool] = []
            for command in commands { isDone.append(try device.end(command).isOK) }
            for index in 0..<count where isDone[index] {
                try device.expect(
                    data[index], at: start + UInt64(index * 4096), rule: "cancel.ends",
                    "whose write ended OK among cancels"
                )
            }
        }
    }

    private static func health(_ run: CaseRun) throws {
        try run.needs(run.callouts.hasHealth, "health")
        let device = try run.openForBlocks()
        var answer = martlet_health()
        // A whole answer of our own.
        let result = unsafe check_device_health(device.place, &answer)
        if result > 0 { run.finding("health.answers", "health returned \(result): 0 or -errno") }
        guard result == 0 else { return }
        let reason = unsafe withUnsafeBytes(of: &answer.reason) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if answer.state > UInt32(MARTLET_HEALTH_FAILED) {
            run.finding("health.answers", "the state \(answer.state) has no meaning")
        } else if answer.state != UInt32(MARTLET_HEALTH_GOOD) {
            if reason.isEmpty { run.finding("health.answers", "the state \(answer.state) comes without a reason") }
            run.note("it is not well: \(reason)")
        }
    }
}
