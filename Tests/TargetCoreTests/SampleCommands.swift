// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

/// For each row of the command table one command that succeeds on a fresh unit of 1024 zeroed blocks.
struct SampleCommand: Sendable, CustomTestStringConvertible {
    let row: CommandDescriptor
    let cdb: [UInt8]
    let data: [UInt8]

    var testDescription: String { row.name }

    /// On a fresh unit there is no copy to ask about or to end.
    var asksAboutCopy: Bool {
        let names = ["STATUS(LID1)", "DETAILS(LID1)", "ROD TOKEN INFORMATION", "OPERATION ABORT"]
        return names.contains { row.name.hasSuffix($0) }
    }

    static let all: [SampleCommand] = CommandTable.directAccess.rows.map { row in
        let (cdb, data) = sample(row)
        return SampleCommand(row: row, cdb: cdb, data: data)
    }

    static let blockByteCount = 512
    /// A store that does everything that a row may ask for.
    static var features: BlockDeviceFeatures {
        var features = BlockDeviceFeatures()
        features.canUnmap = true
        features.unmappedReadsZero = true
        features.canReportBlockStatus = true
        features.hasVolatileWriteCache = true
        return features
    }

    /// A unit that does every row, but for those of 32 bytes.
    static func rig(_ features: BlockDeviceFeatures = features) -> Rig { rig(features, isProtected: false) }

    /// A unit that has the row: with protection information of type 2 for the 32-byte commands.
    func rig() -> Rig {
        Self.rig(Self.features, isProtected: row.opcode == OperationCode.variableLength.rawValue)
    }

    private static func rig(_ features: BlockDeviceFeatures, isProtected: Bool) -> Rig {
        Rig(FakeDevice(features: features)) {
            $0.asymmetricAccess.support = .implicitAndExplicit
            $0.isRemovable = true
            if isProtected { $0.protection = ProtectionOptions(type: .type2, tuples: FakeDevice(blockCount: 16)) }
            $0.store = FakeStore()
            $0.clock = TestClock().source
        }
    }

    /// Where the CONTROL byte stands.
    var controlByte: Int {
        row.opcode == OperationCode.variableLength.rawValue ? 1 : row.usage.byteCount - 1
    }

    private static let zeroes = [UInt8](repeating: 0, count: blockByteCount)

    /// Two blocks from LBA 3 where the command accesses the medium.
    private static func sample(_ row: CommandDescriptor) -> (cdb: [UInt8], data: [UInt8]) {
        let lba4: [UInt8] = [0, 0, 0, 3]
        let lba8: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 3]
        let op = row.opcode
        let action = UInt8(row.serviceAction ?? 0)
        let ten = [op, 0] + lba4 + [0, 0, 2, 0]
        let twelve = [op, 0] + lba4 + [0, 0, 0, 2, 0, 0]
        let sixteen = [op, 0] + lba8 + [0, 0, 0, 2, 0, 0]
        let thirtyTwo = joined(
            [op, 0, 0, 0, 0, 0, 0, 24, 0, action, 0, 0], lba8, [UInt8](repeating: 0, count: 8), [0, 0, 0, 2])
        func flagged(_ cdb: [UInt8], _ flags: UInt8) -> [UInt8] { [cdb[0], flags] + cdb[2...] }
        switch row.name {
        case "READ(6)": return ([op, 0, 0, 3, 2, 0], [])
        case "WRITE(6)": return ([op, 0, 0, 3, 2, 0], zeroes + zeroes)
        case "READ(10)": return (ten, [])
        case "READ(12)": return (twelve, [])
        case "READ(16)": return (sixteen, [])
        case "WRITE(10)": return (ten, zeroes + zeroes)
        case "WRITE(12)": return (twelve, zeroes + zeroes)
        case "WRITE(16)", "ORWRITE(16)": return (sixteen, zeroes + zeroes)
        case "VERIFY(10)": return (flagged(ten, 0x02), zeroes + zeroes)
        case "VERIFY(12)": return (flagged(twelve, 0x02), zeroes + zeroes)
        case "VERIFY(16)": return (flagged(sixteen, 0x06), zeroes)
        case "WRITE AND VERIFY(10)": return (flagged(ten, 0x02), zeroes + zeroes)
        case "WRITE AND VERIFY(12)": return (flagged(twelve, 0x02), zeroes + zeroes)
        case "WRITE AND VERIFY(16)": return (sixteen, zeroes + zeroes)
        case "WRITE SAME(10)": return (flagged(ten, 0x08), zeroes)
        case "WRITE SAME(16)": return (sixteen, zeroes)
        case "READ(32)": return (thirtyTwo, [])
        case "WRITE(32)", "WRITE AND VERIFY(32)": return (thirtyTwo, zeroes + zeroes)
        case "VERIFY(32)": return (Array(thirtyTwo[..<10]) + [0x02] + thirtyTwo[11...], zeroes + zeroes)
        case "WRITE SAME(32)": return (thirtyTwo, zeroes)
        case "COMPARE AND WRITE": return ([op, 0] + lba8 + [0, 0, 0, 1, 0, 0], zeroes + zeroes)
        case "WRITE ATOMIC(16)": return ([op, 0] + lba8 + [0, 0, 0, 2, 0, 0], zeroes + zeroes)
        case "UNMAP":
            return ([op, 0, 0, 0, 0, 0, 0, 0, 24, 0], [0, 22, 0, 16, 0, 0, 0, 0] + lba8 + [0, 0, 0, 2, 0, 0, 0, 0])
        case "SYNCHRONIZE CACHE(10)": return (ten, [])
        case "SYNCHRONIZE CACHE(16)": return (sixteen, [])
        case "SANITIZE, OVERWRITE": return ([op, action, 0, 0, 0, 0, 0, 0, 5, 0], [1, 0, 0, 1, 0x5A])
        case "SANITIZE, BLOCK ERASE", "SANITIZE, EXIT FAILURE MODE":
            return ([op, action] + [UInt8](repeating: 0, count: 8), [])
        case "FORMAT UNIT": return ([op, 0x10, 0, 0, 0, 0], [0, 0x80, 0, 0])
        case "SEND DIAGNOSTIC": return ([op, 0x04, 0, 0, 0, 0], [])
        case "RECEIVE DIAGNOSTIC RESULTS": return ([op, 0x01, 0, 0, 252, 0], [])
        case "READ DEFECT DATA(10)": return ([op, 0, 0x18, 0, 0, 0, 0, 0, 8, 0], [])
        case "READ DEFECT DATA(12)": return ([op, 0x18, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], [])
        case "PRE-FETCH(10)": return (ten, [])
        case "PRE-FETCH(16)": return (sixteen, [])
        case "START STOP UNIT": return ([op, 0, 0, 0, 0, 0], [])
        case "MODE SELECT(6)": return ([op, 0x10, 0, 0, 24, 0], [0, 0, 0, 0] + cachingPage)
        case "MODE SELECT(10)":
            return ([op, 0x10, 0, 0, 0, 0, 0, 0, 28, 0], [UInt8](repeating: 0, count: 8) + cachingPage)
        case "MODE SENSE(6)": return ([op, 0, 0x3F, 0, 255, 0], [])
        case "MODE SENSE(10)": return ([op, 0, 0x3F, 0, 0, 0, 0, 1, 0, 0], [])
        case "GET LBA STATUS", "READ CAPACITY(16)":
            let lba = row.name == "GET LBA STATUS" ? lba8 : [UInt8](repeating: 0, count: 8)
            return ([op, action] + lba + [0, 0, 1, 0, 0, 0], [])
        case "EXTENDED COPY(LID1)":
            let list = ExtendedCopy.list(
                targets: [ExtendedCopy.target(Rig.serial)], segments: [ExtendedCopy.segment(2, from: 3, to: 9)])
            return (ExtendedCopy.cdb(list), list)
        case "POPULATE TOKEN": return (Token.populate([(3, 2)]).cdb, Token.populate([(3, 2)]).list)
        case "WRITE USING TOKEN": return (Token.write(Token.zero, [(3, 2)]).cdb, Token.write(Token.zero, [(3, 2)]).list)
        case _ where row.opcode == OperationCode.thirdPartyCopyIn.rawValue: return (CopyResults.cdb(action), [])
        case "COPY OPERATION ABORT": return ([op, action] + [UInt8](repeating: 0, count: 14), [])
        case "REPORT TARGET PORT GROUPS": return ([op, action, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0], [])
        case "SET TARGET PORT GROUPS":
            return ([op, action, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1])
        case "REPORT IDENTIFYING INFORMATION", "REPORT TIMESTAMP":
            return ([op, action, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0], [])
        case "SET IDENTIFYING INFORMATION": return ([op, action, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0], [1, 2])
        case "SET TIMESTAMP":
            return ([op, action, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0])
        case "READ BUFFER(10)": return ([op, 0x02, 0, 0, 0, 0, 0, 1, 0, 0], [])
        case "READ BUFFER(16)": return ([op, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], [])
        case "WRITE BUFFER": return ([op, 0x02, 0, 0, 0, 0, 0, 0, 4, 0], [1, 2, 3, 4])
        case "LOG SENSE": return ([op, 0, 0x42, 0, 0, 0, 0, 1, 0, 0], [])
        case "LOG SELECT": return ([op, 0x02, 0x40, 0, 0, 0, 0, 0, 0, 0], [])
        case "INQUIRY", "REQUEST SENSE": return ([op, 0, 0, 0, 252, 0], [])
        case "REPORT LUNS": return ([op, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], [])
        case "REPORT SUPPORTED OPERATION CODES", "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS":
            return ([op, action, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0], [])
        case _ where row.name.hasPrefix("PERSISTENT RESERVE IN"): return ([op, action, 0, 0, 0, 0, 0, 1, 0, 0], [])
        case "PERSISTENT RESERVE OUT, REGISTER AND MOVE":
            // To an initiator port through target port 1.
            let name = Array("iqn.2026-11.org.example:c,i,0x000000000003".utf8)
            let keys: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 8]
            let data = keys + [0, 0, 0, 1, 0, 0, 0, 48, 0x45, 0, 0, 44] + name + [0, 0]
            return ([op, action, 0, 0, 0, 0, 0, 0, UInt8(data.count), 0], data)
        case _ where row.name.hasPrefix("PERSISTENT RESERVE OUT"):
            // REGISTER AND IGNORE EXISTING KEY and REGISTER succeed for a stranger; the others conflict.
            return (
                [op, action, 0x01, 0, 0, 0, 0, 0, 24, 0],
                [UInt8](repeating: 0, count: 15) + [7] + [UInt8](repeating: 0, count: 8)
            )
        default: return ([op] + [UInt8](repeating: 0, count: row.usage.byteCount - 1), [])
        }
    }

    /// WCE zero.
    private static let cachingPage: [UInt8] = [0x08, 18] + [UInt8](repeating: 0, count: 18)
}
