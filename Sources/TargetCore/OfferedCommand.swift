// SPDX-License-Identifier: Apache-2.0

import SCSI

/// What a store is shown of a command that is offered to it as a CDB.
///
/// Stores in tcmu-runner's way believe the CDB and the memory alike: one that is given less memory than its CDB speaks
/// of reads or writes behind it, and one that is given more goes on for ever. So where the CDB tells how many blocks
/// move, the memory is exactly that, whatever the transport announced.
enum OfferedCommand {
    /// PERIPHERAL DEVICE TYPEs whose READ, WRITE and VERIFY commands count logical blocks as SBC does (SPC-5 table 146):
    /// direct access, write-once, CD/DVD, optical memory, simplified direct access, host managed zoned.
    private static let blockDeviceTypes: Set<UInt8> = [0x00, 0x04, 0x05, 0x07, 0x0E, 0x14]

    /// The data of a command whose CDB tells how much there is; nil for any other.
    static func plan(_ task: SCSITask, _ unit: NexusUnit) throws(SenseData) -> TransferPlan? {
        if let allocationByteCount = allocationByteCount(task.cdb) {
            return TransferPlan(toInitiator: allocationByteCount)
        }
        guard hasBlockCommands(unit.unit), let data = try blockData(of: task.cdb, on: unit.unit) else { return nil }
        switch data {
        case .none(let byteCount):
            return TransferPlan(work: byteCount)
        case .toInitiator(let byteCount):
            return TransferPlan(toInitiator: byteCount)
        case .fromInitiator(let byteCount):
            // The store takes all of it or nothing: part of the blocks would be the store's to refuse, and it cannot.
            guard task.expectedFromInitiator >= byteCount else {
                throw .invalidFieldInCDB(byte: MediumAccess.lengthByte(of: task.cdb))
            }
            return TransferPlan(fromInitiator: byteCount)
        }
    }

    /// READ(6) and WRITE(6) of 256 blocks say 0, which such stores take for none: they are shown the ten-byte form. A
    /// VERIFY that compares nothing is shown as a READ: tcmu-runner's optical handler would compare with memory that
    /// it was not given.
    static func shown(_ cdb: CommandDescriptorBlock, on unit: LogicalUnit) -> CommandDescriptorBlock {
        if let opcode = readOpcode(forVerify: cdb), hasBlockCommands(unit), unit.features.passthrough == .always {
            return cdb.withOpcode(opcode)
        }
        let isRead = cdb.opcode == OperationCode.read6.rawValue
        guard isRead || cdb.opcode == OperationCode.write6.rawValue, cdb[4] == 0, hasBlockCommands(unit) else {
            return cdb
        }
        let opcode = isRead ? OperationCode.read10.rawValue : OperationCode.write10.rawValue
        return [opcode, 0, 0, cdb[1] & 0x1F, cdb[2], cdb[3], 0, 1, 0, 0]
    }

    private static func readOpcode(forVerify cdb: CommandDescriptorBlock) -> OperationCode? {
        guard cdb[1] >> 1 & 0x03 == 0 else { return nil }
        return switch OperationCode(rawValue: cdb.opcode) {
        case .verify10: .read10
        case .verify12: .read12
        case .verify16: .read16
        default: nil
        }
    }

    private static func hasBlockCommands(_ unit: LogicalUnit) -> Bool {
        switch unit.features.passthrough {
        case .none, .first: true
        case .always: unit.features.peripheralDeviceType.map(blockDeviceTypes.contains) ?? false
        }
    }

    /// ALLOCATION LENGTH of the commands that every device type has (SPC-4 clause 6).
    private static func allocationByteCount(_ cdb: CommandDescriptorBlock) -> Int? {
        switch OperationCode(rawValue: cdb.opcode) {
        case .inquiry: Int(cdb.uint16(at: 3))
        case .requestSense, .modeSense6: Int(cdb[4])
        case .modeSense10, .logSense: Int(cdb.uint16(at: 7))
        default: nil
        }
    }

    private enum Data {
        /// Blocks that only the store and the core see.
        case none(Int)
        case toInitiator(Int)
        case fromInitiator(Int)
    }

    private static func blockData(
        of cdb: CommandDescriptorBlock, on unit: LogicalUnit
    ) throws(SenseData) -> Data? {
        switch OperationCode(rawValue: cdb.opcode) {
        case .read6, .read10, .read12, .read16:
            return .toInitiator(try byteCount(cdb, on: unit))
        case .write6, .write10, .write12, .write16, .writeAndVerify10, .writeAndVerify12, .writeAndVerify16:
            return .fromInitiator(try byteCount(cdb, on: unit))
        case .verify10, .verify12, .verify16:
            // BYTCHK (SBC-4 5.34): 00b no data, 01b all blocks, 11b one.
            switch cdb[1] >> 1 & 0x03 {
            case 0: return .none(unit.features.passthrough == .always ? try byteCount(cdb, on: unit) : 0)
            case 1: return .fromInitiator(try byteCount(cdb, on: unit))
            default: return .fromInitiator(unit.blockByteCount)
            }
        default:
            return nil
        }
    }

    private static func byteCount(_ cdb: CommandDescriptorBlock, on unit: LogicalUnit) throws(SenseData) -> Int {
        guard let range = BlockAccess(cdb)?.range, range.count <= unit.maximumTransferBlockCount else {
            throw .invalidFieldInCDB(byte: MediumAccess.lengthByte(of: cdb))
        }
        return MediumAccess.byteCount(range.count, on: unit)
    }
}
