// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerHost

/// How commands end.
enum CompletionCases {
    static let all = [
        ConformanceCase("completion.always", "ends every command that it takes", always),
        ConformanceCase("completion.once", "ends each command once", once),
        ConformanceCase("completion.late", "completes nothing after close", late),
        ConformanceCase("completion.status", "gives statuses that are known", status),
        ConformanceCase("completion.truth", "has the data there when it says so", truth),
    ]

    /// Many commands under way at a time, each looked at.
    private static func many(_ run: CaseRun, _ device: CheckedDevice, rounds: Int) throws {
        let (start, room) = device.area(256 * 4096)
        let count = min(64, room / 4096)
        for round in 0..<rounds {
            var commands: [PendingCommand] = []
            for index in 0..<count {
                let at = start + UInt64(index * 4096)
                if (round + index) % 3 == 0 {
                    commands.append(try device.startWrite(run.random.bytes(4096), at: at))
                } else {
                    commands.append(try device.startRead(at: at, 4096))
                }
            }
            if run.handler.canFlush { commands.append(try device.start(CHECK_FLUSH, cdb: [0x35])) }
            for command in commands { _ = try device.end(command) }
        }
    }

    private static func always(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        try many(run, device, rounds: run.rounds(40, quick: 8))
        // One at a time, too: what waits for a neighbour never comes to an end then.
        let (start, _) = device.area(4096)
        for _ in 0..<run.rounds(400, quick: 100) { _ = try device.end(try device.startRead(at: start, 4096)) }
    }

    private static func once(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        try many(run, device, rounds: run.rounds(10, quick: 3))
        // A second completion may come from a thread that is a little late.
        check_pause(UInt32(CaseProcess.lingerMilliseconds))
    }

    private static func late(_ run: CaseRun) throws {
        for _ in 0..<run.rounds(3, quick: 1) {
            let device = try run.openForBlocks()
            try many(run, device, rounds: 2)
            run.close()
            check_pause(UInt32(CaseProcess.lingerMilliseconds))
        }
    }

    private static func status(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let (start, room) = device.area(65536)
        // Each callout once: the judgement is in the end of every command.
        _ = try device.end(try device.startWrite(run.random.bytes(room), at: start))
        _ = try device.end(try device.startRead(at: start, room))
        if run.handler.canFlush { _ = try device.end(try device.start(CHECK_FLUSH, cdb: [0x35])) }
        if run.handler.takesCDBs {
            // An operation code of no meaning: NOT_HANDLED, or a failure with sense data.
            _ = try device.end(try device.start(CHECK_CDB, cdb: [0xC7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
        }
    }

    private static func truth(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let (start, room) = device.area(128 * 4096)
        let count = room / 4096
        for round in 0..<run.rounds(200, quick: 60) {
            let data = run.random.bytes(4096)
            let at = start + UInt64(round % max(1, count) * 4096)
            try device.write(data, at: at)
            if try !device.expect(data, at: at, rule: "completion.truth", "right after its write") { return }
        }
    }
}
