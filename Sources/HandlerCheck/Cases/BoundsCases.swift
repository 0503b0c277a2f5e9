// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck

/// What no host asks for: ranges outside the medium, and of no length. The host checks them; a handler that survives
/// them as well is the better one, so what is seen here is a note. Only blocks inside that change are a finding.
enum BoundsCases {
    static let all = [
        ConformanceCase(
            "bounds.beyond", "survives ranges beyond the end and without length", isBeyondContract: true, beyond)
    ]

    private static func beyond(_ run: CaseRun) throws {
        let device = try run.openForBlocks()
        let block = device.blockByteCount
        let (start, room) = device.area(65536)
        let data = run.random.bytes(room)
        try device.write(data, at: start)
        let ranges: [(words: String, offset: UInt64, count: Int)] = [
            ("across the end", device.byteCount - UInt64(block), 2 * block),
            ("behind the end", device.byteCount, block),
            ("far behind the end", device.byteCount + 1 << 40, block),
        ]
        for (words, offset, count) in ranges {
            CaseRun.say(.step, Step.body.rawValue)
            let end = try attempt(device, try device.startRead(at: offset, count))
            if end?.isOK == true { run.note("a read \(words) ends OK") }
            if end == nil {
                run.note("a read \(words) does not end")
                throw CaseStop.skip("a read \(words) does not end; no host sends one")
            }
        }
        try device.expect(data, at: start, "after reads beyond the end")
    }

    /// Nil: it did not end in good time, which is no finding here.
    private static func attempt(_ device: CheckedDevice, _ command: PendingCommand) throws -> CommandEnd? {
        guard check_command_wait(command.number, 2000) else { return nil }
        return try device.end(command)
    }
}
