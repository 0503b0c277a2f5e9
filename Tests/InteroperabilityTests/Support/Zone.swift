// SPDX-License-Identifier: Apache-2.0

/// A zone descriptor of REPORT ZONES (ZBC-2 5.3), and commands on zones of blocks of 4096 bytes.
struct Zone: Equatable {
    static let blockByteCount = 4096

    enum Condition: UInt8 {
        case notWritePointer = 0
        case empty, implicitlyOpen, explicitlyOpen, closed
        case readOnly = 13
        case full, offline
    }

    /// Service actions of ZBC OUT (94h).
    enum Action: UInt8 {
        case close = 1
        case finish, open, reset
    }

    var isConventional: Bool
    var condition: Condition
    var start: UInt64
    var blockCount: UInt64
    var writePointer: UInt64

    init(_ descriptor: [UInt8]) throws {
        guard let condition = Condition(rawValue: descriptor[1] >> 4) else {
            throw HarnessError("zone condition \(descriptor[1] >> 4)")
        }
        isConventional = descriptor[0] & 0x0F == 1
        self.condition = condition
        blockCount = descriptor.bigEndian(at: 8, count: 8)
        start = descriptor.bigEndian(at: 16, count: 8)
        writePointer = descriptor.bigEndian(at: 24, count: 8)
    }

    /// Blocks that know where they belong.
    static func blocks(lba: UInt64, count: Int) -> [UInt8] {
        (0..<UInt64(count)).flatMap { block in
            (0..<8).flatMap { Block.content(lba: (lba + block) * 8 + $0, generation: 1) }
        }
    }
}

extension CDB {
    /// ZBC IN (95h) and ZBC OUT (94h).
    static func zone(
        _ opcode: UInt8, _ action: UInt8, lba: UInt64 = 0, allocation: Int = 0, options: UInt8 = 0
    ) -> [UInt8] {
        [opcode, action] + bigEndian(lba, count: 8) + bigEndian(UInt64(allocation), count: 4) + [options, 0]
    }
}

extension Command {
    static func zoneRead(_ lba: UInt64, _ count: Int) -> Command {
        Command(cdb: CDB.block16(0x88, lba: lba, blockCount: count), receiving: count * Zone.blockByteCount)
    }

    static func zoneWrite(_ lba: UInt64, _ bytes: [UInt8]) -> Command {
        Command(cdb: CDB.block16(0x8A, lba: lba, blockCount: bytes.count / Zone.blockByteCount), sending: bytes)
    }

    static func zoneAction(_ action: Zone.Action, _ lba: UInt64, isAll: Bool = false) -> Command {
        Command(cdb: CDB.zone(0x94, action.rawValue, lba: lba, options: isAll ? 1 : 0))
    }
}

extension SCSIClient {
    func zones(from lba: UInt64 = 0, reporting option: UInt8 = 0) throws -> [Zone] {
        let cdb = CDB.zone(0x95, 0, lba: lba, allocation: 65536, options: option)
        let data = try demand(Command(cdb: cdb, receiving: 65536))
        guard data.count >= 64, data.count == 64 + Int(data.bigEndian(at: 0, count: 4)) else {
            throw HarnessError("REPORT ZONES gave \(data.count) bytes")
        }
        return try stride(from: 64, to: data.count, by: 64).map { try Zone(Array(data[$0..<$0 + 64])) }
    }

    func zoneAction(_ action: Zone.Action, _ lba: UInt64, isAll: Bool = false) throws {
        _ = try demand(.zoneAction(action, lba, isAll: isAll))
    }

    /// ASC and ASCQ of a command that must end with CHECK CONDITION.
    func sense(_ command: Command) throws -> UInt16 {
        let outcome = try perform(command)
        guard outcome.status == Outcome.checkCondition, let sense = outcome.sense else {
            throw HarnessError("\(command.cdb) ended with \(outcome.status), not with CHECK CONDITION")
        }
        return sense.additional
    }
}
