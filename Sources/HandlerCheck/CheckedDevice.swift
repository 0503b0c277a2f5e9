// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerABI

/// How a command ended.
struct CommandEnd {
    var status: Int32
    /// All of the memory that the handler was given.
    var bytes: [UInt8] = []
    var sense: [UInt8] = []
    /// Bytes changed beside the data; -1: the data of a write itself.
    var damage = 0
    var firstDamage = 0

    var isOK: Bool { status == Int32(TCMU_STS_OK) }
}

/// How the data of a command lies in memory.
struct DataLayout {
    var memory = CHECK_ROOMY
    var pieceCount = 1
    /// Bytes.
    var pieceMultiple = 4096

    static let roomy = DataLayout()
    static let watched = DataLayout(memory: CHECK_WATCHED)
    static let guarded = DataLayout(memory: CHECK_GUARDED)
}

/// A command that has not ended, or whose end has not been taken.
struct PendingCommand {
    var number: Int32
    var words: String
    var dataByteCount: Int
}

/// An open device, driven raw.
final class CheckedDevice {
    unowned let run: CaseRun
    let place: Int32
    let blockByteCount: Int
    private(set) var blockCount: UInt64
    /// Bytes.
    let maximumTransferByteCount: Int
    let isUnmapEnabled: Bool
    let hasWriteCache: Bool
    let hasBatches: Bool

    init(run: CaseRun, place: Int32) {
        self.run = run
        self.place = place
        let attributes = check_device_attributes(place)
        let limit = CaseRun.maximumTransferByteCount
        blockByteCount = Int(attributes.block_byte_count)
        blockCount = attributes.block_count
        maximumTransferByteCount =
            attributes.max_transfer_length == 0
            ? limit : min(limit, Int(attributes.max_transfer_length) * Int(attributes.block_byte_count))
        isUnmapEnabled = attributes.unmap_enabled
        hasWriteCache = attributes.write_cache_enabled
        hasBatches = check_device_has_batches(place)
    }

    var byteCount: UInt64 { blockCount * UInt64(blockByteCount) }

    /// What the first and the last of the medium are left alone for: cases of their own.
    private static let edgeByteCount = 65536

    /// `wanted` bytes, or fewer, in the middle of the medium: from where on, and how many. Whole 64 KiB where the
    /// medium is large enough.
    func area(_ wanted: Int) -> (offset: UInt64, byteCount: Int) {
        let unit = UInt64(Self.edgeByteCount)
        guard byteCount >= 4 * unit else {
            let block = UInt64(blockByteCount)
            guard blockCount >= 3 else { return (0, Int(byteCount)) }
            return (block, min(wanted, Int(byteCount - 2 * block)))
        }
        let room = (byteCount - 2 * unit) / unit * unit
        let count = min(UInt64(wanted), room)
        return (unit + (room - count) / 2 / unit * unit, Int(count))
    }

    // --- One command, and its end

    func start(
        _ operation: check_operation, at offset: UInt64 = 0, length: UInt64 = 0, data: [UInt8] = [],
        dataByteCount: Int? = nil, fill: UInt8? = nil, cdb: [UInt8] = [], layout: DataLayout = .roomy,
        mayStart: Bool = true
    ) throws -> PendingCommand {
        let count = dataByteCount ?? data.count
        let number = check_command_make(
            place, operation, offset, length, count, layout.memory, layout.pieceCount, layout.pieceMultiple)
        guard number >= 0 else { throw CaseStop.skip("there is no memory for another command") }
        if let fill { check_command_fill(number, fill) }
        // The command has room for the data that it was made with, and for any CDB.
        if !data.isEmpty { unsafe check_command_set_data(number, data, data.count) }
        if !cdb.isEmpty { unsafe check_command_set_cdb(number, cdb, cdb.count) }
        if mayStart { check_command_start(number) }
        return PendingCommand(
            number: number, words: Self.words(operation, offset, length, cdb), dataByteCount: count)
    }

    /// Starts what was made, all at once.
    func start(_ commands: [PendingCommand]) {
        let numbers = commands.map(\.number)
        // As many numbers as are told.
        unsafe check_commands_start(numbers, numbers.count)
    }

    /// Waits for the end. A command that does not end cannot be gone on from.
    private func wait(for command: PendingCommand) throws {
        guard !check_command_wait(command.number, UInt32(run.request.patienceMilliseconds)) else { return }
        let whereabouts =
            check_command_is_in_callout(command.number) ? "the callout has not returned" : "it was taken"
        throw CaseStop.blocked(
            rule: "completion.always",
            seen: "\(command.words) has not ended after \(run.request.patienceMilliseconds) ms (\(whereabouts))")
    }

    /// Takes the end of a command, and gives its memory back.
    func end(_ command: PendingCommand, isJudged: Bool = true) throws -> CommandEnd {
        try wait(for: command)
        var end = CommandEnd(status: check_command_status(command.number))
        end.bytes = bytes(of: command)
        if end.status == Int32(TCMU_STS_PASSTHROUGH_ERR) {
            unsafe end.sense = [UInt8](unsafeUninitializedCapacity: Int(SENSE_BUFFERSIZE)) { room, count in
                unsafe check_command_get_sense(command.number, room.baseAddress!, room.count)
                count = room.count
            }
        }
        var first = 0
        unsafe end.damage = check_command_damage(command.number, &first)
        end.firstDamage = first
        if isJudged { judge(end, command) }
        check_command_release(command.number)
        return end
    }

    /// Waits for the end of a command, and keeps its memory, with other bytes in it.
    func endAndKeep(_ command: PendingCommand, fill: UInt8) throws {
        try wait(for: command)
        check_command_fill(command.number, fill)
    }

    /// The data of a command that has ended.
    private func bytes(of command: PendingCommand) -> [UInt8] {
        guard command.dataByteCount > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: command.dataByteCount) { room, count in
            // As many bytes as the command has.
            unsafe check_command_get_data(command.number, room.baseAddress!, room.count)
            count = room.count
        }
    }

    private func judge(_ end: CommandEnd, _ command: PendingCommand) {
        if !StatusName.isKnown(end.status) {
            run.finding("completion.status", "\(command.words) ended with status \(end.status), which has no meaning")
        } else if end.status == Int32(TCMU_STS_PASSTHROUGH_ERR), end.sense[0] & 0x7C != 0x70 {
            run.finding(
                "completion.status",
                "\(command.words) ended with PASSTHROUGH_ERR and no sense data (first byte \(hexadecimal(end.sense[0])))"
            )
        }
        if end.damage < 0 {
            run.finding("memory.source", "\(command.words) changed its own data from byte \(end.firstDamage) on")
        } else if end.damage > 0 {
            let side = end.firstDamage < 0 ? "before" : "behind"
            let distance = end.firstDamage < 0 ? -end.firstDamage : end.firstDamage - command.dataByteCount + 1
            run.finding(
                "memory.outside",
                "\(command.words) changed \(end.damage) byte(s) outside its data; the first \(distance) byte(s) \(side) it"
            )
        }
    }

    private static func words(
        _ operation: check_operation, _ offset: UInt64, _ length: UInt64, _ cdb: [UInt8]
    ) -> String {
        switch operation {
        case CHECK_READ: "a read of \(length) bytes at byte \(offset)"
        case CHECK_WRITE: "a write of \(length) bytes at byte \(offset)"
        case CHECK_FLUSH: "a flush"
        case CHECK_UNMAP: "an unmap of \(length) bytes at byte \(offset)"
        case CHECK_WRITE_SAME: "a writesame over \(length) bytes at byte \(offset)"
        case CHECK_WRITE_ZEROES, CHECK_WRITE_ZEROES_MAY_UNMAP: "a write_zeroes of \(length) bytes at byte \(offset)"
        case CHECK_COMPARE_AND_WRITE: "a caw of \(length) bytes at byte \(offset)"
        default: "a CDB \(cdb.map(hexadecimal).joined(separator: " "))"
        }
    }
}

func hexadecimal(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return digits.count == 1 ? "0\(digits)" : digits
}
