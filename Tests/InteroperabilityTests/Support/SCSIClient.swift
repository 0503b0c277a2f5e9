// SPDX-License-Identifier: Apache-2.0

/// One SCSI command as an initiator sees it.
struct Command {
    var cdb: [UInt8]
    /// Data to the target; empty for none.
    var sending: [UInt8] = []
    /// Expected data from the target, in bytes.
    var receiving = 0
}

/// How a command ended.
struct Outcome: Equatable {
    static let good: UInt8 = 0x00
    static let checkCondition: UInt8 = 0x02

    struct Sense: Equatable {
        let key: UInt8
        /// Additional sense code and qualifier, as one number.
        let additional: UInt16
        /// INFORMATION of fixed format, when it is valid. A `WireSession` alone tells it.
        var information: UInt32?

        /// Which condition it is.
        static func == (one: Self, other: Self) -> Bool {
            one.key == other.key && one.additional == other.additional
        }
    }

    var status: UInt8
    var data: [UInt8] = []
    var sense: Sense?
    /// Bytes fewer (negative: more) than expected, as the target reported them.
    var residual = 0
}

/// An initiator's session with one logical unit: libiscsi's, or this suite's own (`WireSession`).
protocol SCSIClient: AnyObject {
    /// Sends all commands at once, and returns their outcomes in the same order.
    func perform(_ commands: [Command]) throws -> [Outcome]
}

extension SCSIClient {
    func perform(_ command: Command) throws -> Outcome {
        try perform([command])[0]
    }

    /// The data of a command that must end GOOD.
    func demand(_ command: Command) throws -> [UInt8] {
        let outcome = try perform(command)
        guard outcome.status == Outcome.good else {
            throw HarnessError("\(command.cdb) ended with \(outcome.status), \(String(describing: outcome.sense))")
        }
        return outcome.data
    }

    func read(lba: UInt64, blockCount: Int) throws -> [UInt8] {
        let data = try demand(.read16(lba: lba, blockCount: blockCount))
        guard data.count == blockCount * Block.byteCount else {
            throw HarnessError("a read of \(blockCount) blocks gave \(data.count) bytes")
        }
        return data
    }

    func write(lba: UInt64, _ bytes: [UInt8]) throws {
        _ = try demand(.write16(lba: lba, bytes))
    }

    func flush() throws {
        _ = try demand(Command(cdb: CDB.synchronizeCache10))
    }

    /// READ CAPACITY(16): last block address and block length in bytes.
    func capacity() throws -> (lastBlock: UInt64, blockByteCount: Int) {
        let data = try demand(Command(cdb: CDB.readCapacity16(allocation: 32), receiving: 32))
        guard data.count >= 12 else { throw HarnessError("READ CAPACITY(16) gave \(data.count) bytes") }
        return (data.bigEndian(at: 0, count: 8), Int(data.bigEndian(at: 8, count: 4)))
    }
}

extension Command {
    static func read16(lba: UInt64, blockCount: Int) -> Command {
        Command(cdb: CDB.block16(0x88, lba: lba, blockCount: blockCount), receiving: blockCount * Block.byteCount)
    }

    static func write16(lba: UInt64, _ bytes: [UInt8]) -> Command {
        Command(cdb: CDB.block16(0x8A, lba: lba, blockCount: bytes.count / Block.byteCount), sending: bytes)
    }

    static func inquiry(page: UInt8? = nil, allocation: Int = 255) -> Command {
        let cdb: [UInt8] = [
            0x12, page == nil ? 0 : 1, page ?? 0, UInt8(allocation >> 8), UInt8(truncatingIfNeeded: allocation), 0,
        ]
        return Command(cdb: cdb, receiving: allocation)
    }
}

/// Command descriptor blocks, written out byte by byte and independently of the server's own sources.
enum CDB {
    static let testUnitReady = [UInt8](repeating: 0, count: 6)
    static let synchronizeCache10: [UInt8] = [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    static let readCapacity10: [UInt8] = [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]

    static func readCapacity16(allocation: Int) -> [UInt8] {
        [0x9E, 0x10] + [UInt8](repeating: 0, count: 8) + bigEndian(UInt64(allocation), count: 4) + [0, 0]
    }

    static func reportLUNs(allocation: Int) -> [UInt8] {
        [0xA0, 0, 0, 0, 0, 0] + bigEndian(UInt64(allocation), count: 4) + [0, 0]
    }

    /// READ(16), WRITE(16) and their like: no flags, group 0.
    static func block16(_ opcode: UInt8, lba: UInt64, blockCount: Int) -> [UInt8] {
        [opcode, 0] + bigEndian(lba, count: 8) + bigEndian(UInt64(blockCount), count: 4) + [0, 0]
    }
}

func bigEndian(_ value: UInt64, count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - $0))) }
}

extension [UInt8] {
    func bigEndian(at offset: Int, count: Int) -> UInt64 {
        self[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
