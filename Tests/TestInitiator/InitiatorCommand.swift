// SPDX-License-Identifier: Apache-2.0

/// One SCSI command, and how its data are to travel.
package struct InitiatorCommand {
    /// What is sent before the first R2T (RFC 7143 4.2.4.3), in bytes.
    package enum Unsolicited: Equatable, Sendable {
        /// As much as the session's keys allow: immediate data, then Data-Out up to FirstBurstLength.
        case most
        /// So much as immediate data and so much as Data-Out, legal or not. `isFinal` of the command PDU is set when
        /// nothing follows.
        case exactly(immediate: Int, dataOut: Int)

        package static let nothing = Unsolicited.exactly(immediate: 0, dataOut: 0)
    }

    package enum Attribute: UInt8, CaseIterable, Sendable {
        case untagged = 0
        case simple = 1
        case ordered = 2
        case headOfQueue = 3
        case aca = 4
    }

    /// 6 to 260 bytes; what is beyond 16 goes into an Extended CDB segment.
    package var cdb: [UInt8]
    /// Nil: the session's.
    package var lun: Int?
    /// Data from the initiator.
    package var writing: [UInt8]
    /// Bytes that are expected from the target.
    package var readingByteCount: Int
    /// Expected Data Transfer Length of what is written, when a test wants it to differ from the data.
    package var expectedWriteByteCount: Int
    package var attribute = Attribute.simple
    package var isImmediate = false
    package var unsolicited = Unsolicited.most

    package init(_ cdb: [UInt8], writing: [UInt8] = [], readingByteCount: Int = 0) {
        self.cdb = cdb
        self.writing = writing
        self.readingByteCount = readingByteCount
        expectedWriteByteCount = writing.count
    }

    package var isBidirectional: Bool { readingByteCount > 0 && expectedWriteByteCount > 0 }

    /// The same command with another attribute.
    package func with(_ attribute: Attribute) -> InitiatorCommand {
        var command = self
        command.attribute = attribute
        return command
    }

    package func sending(_ unsolicited: Unsolicited) -> InitiatorCommand {
        var command = self
        command.unsolicited = unsolicited
        return command
    }
}

extension InitiatorCommand {
    package static let blockByteCount = 512

    package static let testUnitReady = InitiatorCommand([0, 0, 0, 0, 0, 0])

    private static func block16(_ opcode: UInt8, _ lba: UInt64, _ blockCount: Int) -> [UInt8] {
        [opcode, 0] + bigEndian(lba, count: 8) + bigEndian(UInt64(blockCount), count: 4) + [0, 0]
    }

    /// READ(16).
    package static func read(lba: UInt64, blockCount: Int) -> InitiatorCommand {
        InitiatorCommand(block16(0x88, lba, blockCount), readingByteCount: blockCount * blockByteCount)
    }

    /// WRITE(16) of whole blocks.
    package static func write(lba: UInt64, _ bytes: [UInt8]) -> InitiatorCommand {
        InitiatorCommand(block16(0x8A, lba, bytes.count / blockByteCount), writing: bytes)
    }

    /// COMPARE AND WRITE of one block.
    package static func compareAndWrite(lba: UInt64, old: [UInt8], new: [UInt8]) -> InitiatorCommand {
        InitiatorCommand([0x89, 0] + bigEndian(lba, count: 8) + [0, 0, 0, 1, 0, 0], writing: old + new)
    }

    /// INQUIRY, standard data.
    package static func inquiry(byteCount: Int = 255) -> InitiatorCommand {
        InitiatorCommand(
            [0x12, 0, 0, UInt8(byteCount >> 8), UInt8(byteCount & 0xFF), 0], readingByteCount: byteCount)
    }
}

/// How a command ended.
package struct CommandOutcome: Equatable, Sendable {
    package static let good: UInt8 = 0x00
    package static let checkCondition: UInt8 = 0x02

    /// The iSCSI service response (RFC 7143 11.4.3): 0 unless the target failed.
    package var response: UInt8 = 0
    package var status: UInt8
    /// What came from the target.
    package var data: [UInt8] = []
    package var sense: [UInt8] = []
    /// Bytes fewer (negative: more) than expected, as the target told; of a bidirectional command those written.
    package var residual = 0
    package var bidirectionalReadResidual = 0

    package init(response: UInt8 = 0, status: UInt8, data: [UInt8] = [], sense: [UInt8] = []) {
        self.response = response
        self.status = status
        self.data = data
        self.sense = sense
    }

    package var isGood: Bool { response == 0 && status == Self.good }

    /// Sense key, additional sense code and qualifier as one number of 20 bits: 5_2400h is INVALID FIELD IN CDB.
    package var senseCode: Int? {
        guard let code = sense.first.map({ $0 & 0x7F }) else { return nil }
        if code == 0x70, sense.count >= 14 {
            return Int(sense[2] & 0x0F) << 16 | Int(sense[12]) << 8 | Int(sense[13])
        }
        if code == 0x72, sense.count >= 4 { return Int(sense[1] & 0x0F) << 16 | Int(sense[2]) << 8 | Int(sense[3]) }
        return nil
    }
}
