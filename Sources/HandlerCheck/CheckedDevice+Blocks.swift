// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerABI

// Blocks moved one command at a time, and looked at.
extension CheckedDevice {
    func startRead(at offset: UInt64, _ count: Int, layout: DataLayout = .roomy) throws -> PendingCommand {
        try start(
            CHECK_READ, at: offset, length: UInt64(count), dataByteCount: count, fill: 0xEE, cdb: read16(offset, count),
            layout: layout)
    }

    func startWrite(_ data: [UInt8], at offset: UInt64, layout: DataLayout = .roomy) throws -> PendingCommand {
        try start(
            CHECK_WRITE, at: offset, length: UInt64(data.count), data: data, cdb: write16(offset, data.count),
            layout: layout)
    }

    /// The bytes; a failure is a finding, and then there are none.
    func read(
        at offset: UInt64, _ count: Int, layout: DataLayout = .roomy, rule: String = "data.moves"
    ) throws -> [UInt8]? {
        let end = try end(try startRead(at: offset, count, layout: layout))
        guard end.isOK else {
            failed(end, rule, "a read of \(count) bytes at byte \(offset)")
            return nil
        }
        return end.bytes
    }

    @discardableResult
    func write(
        _ data: [UInt8], at offset: UInt64, layout: DataLayout = .roomy, rule: String = "data.moves"
    ) throws -> Bool {
        let end = try end(try startWrite(data, at: offset, layout: layout))
        if !end.isOK { failed(end, rule, "a write of \(data.count) bytes at byte \(offset)") }
        return end.isOK
    }

    @discardableResult
    func flush(rule: String = "flush.synced") throws -> Bool {
        let end = try end(try start(CHECK_FLUSH, cdb: [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
        if !end.isOK { failed(end, rule, "a flush") }
        return end.isOK
    }

    /// Reads, and says where it differs. A difference that is gone a moment later is another rule's.
    @discardableResult
    func expect(
        _ wanted: [UInt8], at offset: UInt64, layout: DataLayout = .roomy, rule: String = "data.moves",
        _ what: String = ""
    ) throws -> Bool {
        guard let bytes = try read(at: offset, wanted.count, layout: layout, rule: rule) else { return false }
        guard let words = difference(bytes, wanted) else { return true }
        let context = what.isEmpty ? "" : " \(what)"
        if try comesLater(wanted, at: offset) {
            run.finding(
                "completion.truth",
                "a read of \(wanted.count) bytes at byte \(offset)\(context) gave other data than one shortly after: "
                    + words)
        } else {
            run.finding(rule, "a read of \(wanted.count) bytes at byte \(offset)\(context): \(words)")
        }
        return false
    }

    /// How often, and how far apart, data that is missing is looked for again.
    private static let laterTries = 10
    private static let laterMilliseconds: UInt32 = 30

    private func comesLater(_ wanted: [UInt8], at offset: UInt64) throws -> Bool {
        for _ in 0..<Self.laterTries {
            check_pause(Self.laterMilliseconds)
            let end = try end(try startRead(at: offset, wanted.count))
            if end.isOK, end.bytes == wanted { return true }
        }
        return false
    }

    func difference(_ bytes: [UInt8], _ wanted: [UInt8]) -> String? {
        guard bytes != wanted, let index = bytes.indices.first(where: { bytes[$0] != wanted[$0] }) else { return nil }
        let count = bytes.indices.count { bytes[$0] != wanted[$0] }
        return "\(count) byte(s) differ, the first at \(index): \(hexadecimal(bytes[index])) instead of "
            + hexadecimal(wanted[index])
    }

    /// `words` should have worked. A status of no meaning is told already, as what it is.
    func failed(_ end: CommandEnd, _ rule: String, _ words: String) {
        guard StatusName.isKnown(end.status) else { return }
        run.finding(rule, "\(words) ended with \(StatusName.words(end.status))")
    }

    // CDBs as an initiator would have sent them: handlers may look.

    func read16(_ offset: UInt64, _ count: Int) -> [UInt8] { cdb16(0x88, offset, count) }
    func write16(_ offset: UInt64, _ count: Int) -> [UInt8] { cdb16(0x8A, offset, count) }

    func cdb16(_ code: UInt8, _ offset: UInt64, _ count: Int) -> [UInt8] {
        let address = bigEndian(offset / UInt64(blockByteCount), 8)
        return [code, 0] + address + bigEndian(UInt64(count / blockByteCount), 4) + [0, 0]
    }

    func bigEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
    }
}

enum StatusName {
    private static let names = [
        "ASYNC_HANDLED", "NOT_HANDLED", "OK", "NO_RESOURCE", "PASSTHROUGH_ERR", "BUSY", "WR_ERR", "RD_ERR",
        "MISCOMPARE", "INVALID_CMD", "INVALID_CDB", "INVALID_PARAM_LIST", "INVALID_PARAM_LIST_LEN", "TIMEOUT", "FENCED",
        "HW_ERR", "RANGE", "FRMT_IN_PROGRESS", "CAPACITY_CHANGED", "NOTSUPP_SAVE_PARAMS", "WR_ERR_INCOMPAT_FRMT",
        "TRANSITION", "IMPL_TRANSITION_ERR", "EXPL_TRANSITION_ERR", "NO_LOCK_HOLDERS", "NOTSUPP_SEG_DESC_TYPE",
        "NOTSUPP_TGT_DESC_TYPE", "CP_TGT_DEV_NOTCONN", "INVALID_CP_TGT_DEV_TYPE", "TOO_MANY_SEG_DESC",
        "TOO_MANY_TGT_DESC",
    ]

    static func isKnown(_ status: Int32) -> Bool {
        names.indices.contains(Int(status) - Int(TCMU_STS_ASYNC_HANDLED))
    }

    static func words(_ status: Int32) -> String {
        let index = Int(status) - Int(TCMU_STS_ASYNC_HANDLED)
        return isKnown(status) ? "TCMU_STS_\(names[index])" : "status \(status)"
    }
}
