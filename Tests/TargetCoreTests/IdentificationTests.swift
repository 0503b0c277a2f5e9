// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("What a unit says of itself")
struct IdentificationTests {
    private func page(_ rig: Rig, _ code: UInt8, allocationLength: UInt16 = 0xFFFF) -> Ended {
        rig.initiator.run([0x12, 1, code] + allocationLength.bytes + [0])
    }

    @Test(
        "Standard INQUIRY data carry the identity, cut off at the allocation length",
        arguments: [0, 5, 36, 96, 255] as [UInt16])
    func standard(allocationLength: UInt16) {
        let rig = Rig()
        let ended = rig.initiator.run([0x12, 0, 0] + allocationLength.bytes + [0])
        #expect(ended.status == .good)
        #expect(ended.data.count == min(Int(allocationLength), 96))
        if allocationLength >= 36 {
            #expect(ended.data[0] == 0x00)
            #expect(String(decoding: ended.data[8..<16], as: UTF8.self) == "MARTLET ")
            #expect(ended.data[4] == 91)
        }
    }

    @Test("Every page in page 00h can be read, and no other")
    func pages() {
        let rig = Rig()
        let supported = Array(page(rig, 0).data.dropFirst(4))
        #expect(supported == [0x00, 0x80, 0x83, 0x86, 0x87, 0x88, 0x8F, 0xB0, 0xB1, 0xB2])
        for code in UInt8.min...UInt8.max {
            let ended = page(rig, code)
            if supported.contains(code) {
                #expect(ended.data.dropFirst().first == code)
            } else {
                #expect(ended == .check(.invalidFieldInCDB(byte: 2)))
            }
        }
        #expect(rig.initiator.run([0x12, 0, 0x80, 0, 96, 0]) == .check(.invalidFieldInCDB(byte: 2)))
    }

    @Test("The serial number and the same designator come every time")
    func identity() {
        #expect(Array(page(Rig(), 0x80).data.dropFirst(4)) == Array("0123456789".utf8))
        #expect(page(Rig(), 0x83) == page(Rig(), 0x83))
        let identity = LogicalUnitIdentity(serial: "a")
        #expect(identity.naa >> 60 == 3)
        #expect(identity.naa != LogicalUnitIdentity(serial: "b").naa)
    }

    @Test("Block Limits are the limits that commands are held to")
    func limits() {
        let rig = Rig {
            $0.canUnmap = true
            $0.maximumUnmapBlockCount = 77
            $0.maximumTransferBlockCount = 99
            $0.unmapGranularity = 8
        }
        let data = page(rig, 0xB0).data
        #expect(data[5] == 99)
        #expect(Array(data[8..<12]) == UInt32(99).bytes)
        #expect(Array(data[20..<24]) == UInt32(77).bytes)
        #expect(Array(data[24..<28]) == UInt32(256).bytes)
        #expect(Array(data[28..<32]) == UInt32(8).bytes)
        #expect(Array(page(Rig(), 0xB0).data[20..<32]) == [UInt8](repeating: 0, count: 12))
    }

    @Test("READ CAPACITY follows the store", arguments: [(1024, 512), (1 << 33, 4096)] as [(UInt64, Int)])
    func capacity(blockCount: UInt64, blockByteCount: Int) {
        let rig = Rig(FakeDevice(blockCount: blockCount, blockByteCount: blockByteCount))
        let ten = rig.initiator.run([0x25] + [UInt8](repeating: 0, count: 9)).data
        let length = UInt32(blockByteCount).bytes
        #expect(ten == joined(UInt32(clamping: blockCount - 1).bytes, length))
        let sixteen = rig.initiator.run(joined([0x9E, 0x10], .init(repeating: 0, count: 8), [0, 0, 0, 32, 0, 0])).data
        #expect(Array(sixteen[..<12]) == joined((blockCount - 1).bytes, length))
        #expect(sixteen.count == 32)
        rig.device.blockCount = 5
        rig.unit.capacityChanged()
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.capacityDataHasChanged))
        let shrunk = rig.initiator.run([0x25] + [UInt8](repeating: 0, count: 9)).data
        #expect(Array(shrunk.prefix(4)) == [0, 0, 0, 4])
        #expect(rig.initiator.run(CDB.read10(5, 1)) == .check(.logicalBlockAddressOutOfRange))
    }

    @Test("REPORT LUNS lists the numbers in order, and wants room for one")
    func luns() {
        let unit = LogicalUnit(device: FakeDevice(), identity: .init(serial: "s"))
        let target = SCSITarget(name: "t", luns: [300: unit, 0: unit, 7: unit], postsPowerOnAttention: false)
        let initiator = Initiator(target)
        let list = initiator.run([0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]).data
        let numbers = [0, 7, 300].flatMap { LogicalUnitNumber($0).rawValue.bytes }
        #expect(list == joined([0, 0, 0, 24, 0, 0, 0, 0], numbers))
        #expect(initiator.run([0xA0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0]).data == [UInt8](repeating: 0, count: 8))
        #expect(initiator.run([0xA0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0]) == .check(.invalidFieldInCDB(byte: 2)))
        #expect(initiator.run([0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0]) == .check(.invalidFieldInCDB(byte: 6)))
        #expect(initiator.run(CDB.read10(0, 1), lun: .init(300)).status == .good)
    }

    private func supportedCodes(_ rig: Rig, _ options: UInt8, _ opcode: UInt8 = 0, _ action: UInt16 = 0) -> Ended {
        rig.initiator.run(joined([0xA3, 0x0C, options, opcode], action.bytes, [0, 0, 0xFF, 0xFF, 0, 0]))
    }

    /// Without those that only some options bring; those of 32 bytes are there with protection information alone.
    static let plainRows = CommandTable.directAccess.rows.filter { row in
        let optional: Set<String> = [
            "REPORT TARGET PORT GROUPS", "SET TARGET PORT GROUPS", "SANITIZE, BLOCK ERASE",
            "PREVENT ALLOW MEDIUM REMOVAL", "REPORT IDENTIFYING INFORMATION", "SET IDENTIFYING INFORMATION",
            "REPORT TIMESTAMP", "SET TIMESTAMP",
        ]
        return row.opcode != OperationCode.variableLength.rawValue && !optional.contains(row.name)
    }

    @Test("REPORT SUPPORTED OPERATION CODES lists the rows that the store supports")
    func supportedCodesAll() {
        for (rig, isThin) in [(Rig(), false), (Rig { $0.canUnmap = true }, true)] {
            let data = supportedCodes(rig, 0).data.dropFirst(4)
            let opcodes = stride(from: data.startIndex, to: data.endIndex, by: 8).map { data[$0] }
            let rows = Self.plainRows.filter { isThin || $0.name != "UNMAP" }
            #expect(opcodes == rows.map(\.opcode))
        }
    }

    @Test("One command is told with its usage, an unknown one as not supported")
    func supportedCodesOne() {
        let rig = Rig()
        for row in Self.plainRows where row.name != "UNMAP" {
            let ended = supportedCodes(rig, 3, row.opcode, row.serviceAction ?? 0)
            #expect(ended.data.dropFirst().first == 0x03)
            #expect(ended.data.count == 4 + row.usage.byteCount)
            #expect(ended.data[4] == row.opcode)
            let wrong = supportedCodes(rig, row.serviceAction == nil ? 2 : 1, row.opcode, row.serviceAction ?? 0)
            #expect(wrong == .check(.invalidFieldInCDB(byte: 2, bit: 2)))
        }
        #expect(supportedCodes(rig, 1, 0x42).data == [0, 1, 0, 0])
        #expect(supportedCodes(rig, 2, 0x9E, 0x1F).data == [0, 1, 0, 0])
        #expect(supportedCodes(rig, 4) == .check(.invalidFieldInCDB(byte: 2, bit: 2)))
    }

    @Test("GET LBA STATUS tells whole deallocated blocks, and everything mapped where a store cannot tell")
    func lbaStatus() {
        func status(_ rig: Rig, _ lba: UInt64, _ length: UInt32 = 1024) -> Ended {
            rig.initiator.run(joined([0x9E, 0x12], lba.bytes, length.bytes, [0, 0]))
        }
        func descriptor(_ lba: UInt64, _ count: UInt32, _ status: UInt8) -> [UInt8] {
            joined(lba.bytes, count.bytes, [status, 0, 0, 0])
        }
        #expect(status(Rig(), 24).data == joined([0, 0, 0, 20, 0, 0, 0, 0], descriptor(24, 1000, 0)))
        #expect(status(Rig(), 1024) == .check(.logicalBlockAddressOutOfRange))
        let rig = Rig { $0.canReportBlockStatus = true }
        rig.device.extents = [
            .init(byteCount: 1000, isMapped: true), .init(byteCount: 2000, isMapped: false),
            .init(byteCount: .max, isMapped: true),
        ]
        var expected: [UInt8] = descriptor(0, 2, 0)
        expected += descriptor(2, 3, 1)
        expected += descriptor(5, 1019, 0)
        #expect(Array(status(rig, 0).data.dropFirst(8)) == expected)
        #expect(status(rig, 0, 24).data.count == 24)
        rig.device.extents = []
        #expect(Array(status(rig, 1023).data.dropFirst(8)) == descriptor(1023, 1, 0))
    }
}
