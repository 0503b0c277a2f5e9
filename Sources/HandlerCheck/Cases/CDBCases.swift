// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerABI
internal import HandlerHost

/// handle_cmd.
enum CDBCases {
    static let all = [
        ConformanceCase("cdb.answers", "answers the commands that every device has", answers),
        ConformanceCase("cdb.unknown", "survives commands of every group", unknown),
        ConformanceCase("cdb.blocks", "reads blocks by CDB where it takes nothing else", blocks),
    ]

    private static func end(
        _ device: CheckedDevice, _ cdb: [UInt8], _ byteCount: Int = 0, layout: DataLayout = .roomy
    ) throws -> CommandEnd {
        try device.end(
            try device.start(
                CHECK_CDB, length: UInt64(byteCount), dataByteCount: byteCount, fill: 0xEE, cdb: cdb, layout: layout))
    }

    private static func open(_ run: CaseRun) throws -> CheckedDevice {
        try run.needs(run.handler.takesCDBs, "handle_cmd")
        let device = try run.open()
        CaseRun.say(.fact, "\(device.byteCount)", rule: "size")
        CaseRun.say(.fact, "\(device.blockByteCount)", rule: "blockSize")
        return device
    }

    /// Beside read and write a handler may leave any CDB to the core.
    private static func isAnswer(_ run: CaseRun, _ end: CommandEnd) -> Bool {
        end.isOK || (!run.handler.takesOnlyCDBs && end.status == Int32(TCMU_STS_NOT_HANDLED))
    }

    private static func answers(_ run: CaseRun) throws {
        let device = try open(run)
        let inquiry = try end(device, [0x12, 0, 0, 0, 96, 0], 96, layout: .watched)
        let ready = try end(device, [0, 0, 0, 0, 0, 0])
        let short = try end(device, [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8, layout: .watched)
        // Zoned devices need not have the older one.
        let service: [UInt8] = [0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0]
        let capacity = short.isOK ? short : try end(device, service, 32, layout: .watched)
        for (name, end) in [("INQUIRY", inquiry), ("TEST UNIT READY", ready), ("READ CAPACITY", capacity)] {
            guard !isAnswer(run, end) else { continue }
            if name != "INQUIRY", end.status == Int32(TCMU_STS_PASSTHROUGH_ERR) {
                run.note("\(name) ends with sense data: \(senseWords(end.sense))")
            } else {
                run.finding("cdb.answers", "\(name) ended with \(StatusName.words(end.status))")
            }
        }
        if inquiry.isOK, inquiry.bytes[0] & 0xE0 != 0 {
            run.finding(
                "cdb.answers", "INQUIRY says PERIPHERAL QUALIFIER \(inquiry.bytes[0] >> 5): no device is there")
        }
        if capacity.isOK { compare(run, device, capacity.bytes) }
        // Less room than there is to say.
        for room in [1, 5, 36] {
            let cut = try end(device, [0x12, 0, 0, 0, UInt8(room), 0], room, layout: .watched)
            if !isAnswer(run, cut) {
                run.finding(
                    "cdb.answers",
                    "INQUIRY with an ALLOCATION LENGTH of \(room) ended with \(StatusName.words(cut.status))")
            }
        }
    }

    /// READ CAPACITY(10) has 4 bytes of address, READ CAPACITY(16) 8; the block length follows.
    private static func compare(_ run: CaseRun, _ device: CheckedDevice, _ bytes: [UInt8]) {
        let width = bytes.count == 8 ? 4 : 8
        let last = bytes[..<width].reduce(0) { $0 << 8 | UInt64($1) }
        let block = bytes[width..<(width + 4)].reduce(0) { $0 << 8 | Int($1) }
        guard block != device.blockByteCount || (last != 0xFFFF_FFFF && last + 1 != device.blockCount) else { return }
        run.note(
            "READ CAPACITY says \(last + 1) blocks of \(block) bytes, the device's attributes \(device.blockCount) of "
                + "\(device.blockByteCount)")
    }

    private static func senseWords(_ sense: [UInt8]) -> String {
        guard sense.count > 13 else { return "none" }
        return sense[0] & 0x7F < 0x72
            ? "\(hexadecimal(sense[2] & 0xF)) \(hexadecimal(sense[12]))/\(hexadecimal(sense[13]))"
            : "\(hexadecimal(sense[1] & 0xF)) \(hexadecimal(sense[2]))/\(hexadecimal(sense[3]))"
    }

    /// Bytes of the CDBs of each group, of those whose length can be told.
    private static let groups: [(first: Int, length: Int)] = [
        (0x00, 6), (0x20, 10), (0x40, 10), (0x80, 16), (0xA0, 12),
    ]

    /// Codes that would change what the medium is, and need a data format of their own.
    private static let leftOut: Set<Int> = [0x04, 0x48, 0xA1]

    private static func unknown(_ run: CaseRun) throws {
        let device = try open(run)
        for (first, length) in groups {
            for code in first..<(first + 32) where !leftOut.contains(code) {
                // No address, no length, no parameter list: whatever it is, there is nothing to do.
                let cdb = [UInt8(code)] + [UInt8](repeating: 0, count: length - 1)
                _ = try end(device, cdb, 4096)
            }
        }
        // No standard gave these to any type of device.
        for code in [0x02, 0x99] as [UInt8] {
            let end = try end(device, [code] + [UInt8](repeating: 0, count: 15))
            if end.isOK { run.finding("cdb.unknown", "the operation code \(hexadecimal(code)) ended OK") }
        }
        let ready = try end(device, [0, 0, 0, 0, 0, 0])
        if !isAnswer(run, ready), ready.status != Int32(TCMU_STS_PASSTHROUGH_ERR) {
            run.finding("cdb.unknown", "TEST UNIT READY after them ended with \(StatusName.words(ready.status))")
        }
    }

    private static func blocks(_ run: CaseRun) throws {
        guard run.handler.takesOnlyCDBs else { throw CaseStop.skip("the handler has read and write") }
        let device = try open(run)
        let block = device.blockByteCount
        let first = try end(device, [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], block, layout: .watched)
        let again = try end(device, [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], block)
        guard first.isOK, again.isOK else {
            run.note("READ(10) of the first block ended with \(StatusName.words(first.status))")
            return
        }
        if first.bytes != again.bytes { run.finding("data.moves", "two READ(10) of the first block differ") }
        let last = device.bigEndian(device.blockCount - 1, 4)
        let end = try end(device, [0x28, 0] + last + [0, 0, 1, 0], block, layout: .watched)
        if !end.isOK { run.note("READ(10) of the last block ended with \(StatusName.words(end.status))") }
        // A transfer of no blocks is a fine command.
        let none = try self.end(device, [0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        if !none.isOK { run.note("READ(10) of no blocks ended with \(StatusName.words(none.status))") }
    }
}
