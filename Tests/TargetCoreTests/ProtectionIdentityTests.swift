// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("What a unit with protection information says of itself, and refuses")
struct ProtectionIdentityTests {
    private static let capacity16: [UInt8] = [0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0]

    /// Type, SPT with GRD_CHK, APP_CHK and REF_CHK while the initiator owns application tags, P_TYPE with PROT_EN.
    @Test(
        "INQUIRY, its page 86h, READ CAPACITY(16) and the Control mode page",
        arguments: [
            (ProtectionType.type1, 0b00_000_101, 0x01), (.type2, 0b00_010_111, 0x03), (.type3, 0b00_100_100, 0x05),
        ]
            as [(ProtectionType, UInt8, UInt8)])
    func identity(type: ProtectionType, checks: UInt8, capacity: UInt8) {
        let rig = ProtectionRig(type, isTagOwnedByInitiator: true)
        #expect(rig.initiator.run([0x12, 0, 0, 0, 96, 0]).data[5] & 0x01 == 1)
        #expect(rig.initiator.run([0x12, 1, 0x86, 0, 64, 0]).data[4] == checks)
        #expect(rig.initiator.run(Self.capacity16).data[12...13] == [capacity, 0])
        #expect(rig.initiator.run([0x1A, 8, 0x0A, 0, 255, 0]).data[4 + 5] & 0x80 == 0x80)
        let other = ProtectionRig(type)
        #expect(other.initiator.run([0x12, 1, 0x86, 0, 64, 0]).data[4] == checks & ~0b010)
        #expect(other.initiator.run([0x1A, 8, 0x0A, 0, 255, 0]).data[4 + 5] & 0x80 == 0)
    }

    @Test("Without protection information all of them say so")
    func none() {
        let rig = Rig()
        #expect(rig.initiator.run([0x12, 0, 0, 0, 96, 0]).data[5] & 0x01 == 0)
        #expect(rig.initiator.run([0x12, 1, 0x86, 0, 64, 0]).data[4] == 0)
        #expect(rig.initiator.run(Self.capacity16).data[12] == 0)
        for field in 1...7 as ClosedRange<UInt8> {
            let ended = rig.initiator.run(CDB.read10(0, 1, flags: field << 5))
            #expect(ended.sense?.additional == .invalidFieldInCDB)
        }
    }

    @Test("32-byte commands are there with type 2 alone, which takes no tags in shorter ones")
    func variableLength() {
        let form = ProtectedCDB(type: .type2, field: 0, reference: 0)
        for command in [.read, .write, .verify, .writeAndVerify, .writeSame] as [ProtectedCDB.Command] {
            let long = form.bytes(command, 0, 0)
            let short = ProtectedCDB(type: .type1, field: 1).bytes(command, 0, 0)
            #expect(Rig().initiator.run(long) == .check(.invalidCommandOperationCode))
            for type in [ProtectionType.type1, .type3] {
                #expect(ProtectionRig(type).initiator.run(long) == .check(.invalidCommandOperationCode))
            }
            let rig = ProtectionRig(.type2)
            #expect(rig.initiator.run(short) == .check(.invalidCommandOperationCode))
            var cutOff = long
            cutOff[7] = 23
            #expect(rig.initiator.run(cutOff) == .check(.invalidFieldInCDB(byte: 7)))
        }
        let rig = ProtectionRig(.type2)
        for cdb in [CDB.read10(0, 1, flags: 0x20), OrWriteTests.cdb(0, 1, flags: 0x20)] {
            #expect(rig.initiator.run(cdb) == .check(.invalidCommandOperationCode))
        }
        #expect(rig.initiator.run(CompareAndWriteTests.cdb(0, 1, flags: 0x20)) == .check(.invalidCommandOperationCode))
        #expect(rig.initiator.run(CDB.read10(0, 1)).status == .good)
    }

    /// REPORT SUPPORTED OPERATION CODES of one command: byte 1 of its usage data; nil when it is not supported.
    private static func usage(_ opcode: UInt8, on initiator: Initiator) -> UInt8? {
        let data = initiator.run([0xA3, 0x0C, 1, opcode, 0, 0, 0, 0, 1, 0, 0, 0]).data
        return data[1] & 0x07 == 3 ? data[4 + 1] : nil
    }

    @Test("The protect field is reported where it is")
    func usageData() {
        #expect(Self.usage(0x28, on: Rig().initiator) == 0x18)
        #expect(Self.usage(0x28, on: ProtectionRig(.type1).initiator) == 0xF8)
        #expect(Self.usage(0x28, on: ProtectionRig(.type2).initiator) == 0x18)
        #expect(Self.usage(0x08, on: ProtectionRig(.type1).initiator) == 0x1F)
    }

    @Test("Every command that writes keeps the tuples, or is not there")
    func writersKeepTuples() {
        let rig = ProtectionRig(.type2)
        for row in CommandTable.directAccess.rows where row.traits.contains(.writesMedium) {
            guard !row.traits.contains(.keepsProtection) else { continue }
            var cdb = [UInt8](repeating: 0, count: 32)
            cdb[0] = row.opcode
            if let action = row.serviceAction { cdb[1] = UInt8(action) }
            let codes: [AdditionalSense] = [.invalidCommandOperationCode, .invalidFieldInCDB]
            #expect(codes.contains(rig.initiator.run(cdb).sense?.additional ?? .noAdditionalSenseInformation))
        }
    }

    @Test("The longest transfer counts the tuples, and the medium ends where they do")
    func limits() {
        let device = FakeDevice(blockCount: 1024)
        let rig = ProtectionRig(.type1, device: device, tuples: FakeDevice(blockCount: 10))
        #expect(rig.rig.unit.blockCount == 640)
        #expect(rig.initiator.run(CDB.read10(639, 2)) == .check(.logicalBlockAddressOutOfRange))
        #expect(rig.rig.unit.maximumTransferBlockCount == (8 << 20) / 520)
    }

    @Test("Data that a store could show in place, or take at once, go through checks all the same")
    func noShortCuts() {
        let rig = ProtectionRig(.type1) { $0.canCompareAndWrite = true }
        let task = rig.initiator.makeTask(CDB.write10(0, 1), expectedFromInitiator: 512)
        guard case .accepted = rig.initiator.nexus.accept(task) else {
            Issue.record("not accepted")
            return
        }
        #expect(!task.plan.takesDataAtOnce && !task.plan.isMapped)
    }
}
