// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("The soft threshold of a thin unit")
struct ThinThresholdTests {
    /// 64 MiB: 131072 blocks, 64 threshold sets of 2048.
    private static func rig(percent: Int = 75) -> Rig {
        var features = BlockDeviceFeatures()
        features.canUnmap = true
        let device = FakeDevice(blockCount: 131_072, features: features)
        device.mappingResources = MappingResources(usedByteCount: 0, availableByteCount: 64 << 20)
        return Rig(device) { $0.thresholdPercent = percent }
    }

    private static func leave(_ mebibytes: UInt64, of rig: Rig) {
        rig.device.mappingResources = MappingResources(
            usedByteCount: (64 - mebibytes) << 20, availableByteCount: mebibytes << 20)
        rig.unit.mappingResourcesChanged()
    }

    @Test("Reaching it is told once to every nexus, and again after there was more")
    func attention() {
        let rig = Self.rig()
        let other = rig.anotherInitiator()
        Self.leave(17, of: rig)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        Self.leave(16, of: rig)
        Self.leave(10, of: rig)
        for initiator in [rig.initiator, other] {
            #expect(
                initiator.run(CDB.testUnitReady)
                    == .check(SenseData(.unitAttention, .thinProvisioningSoftThresholdReached)))
            #expect(initiator.run(CDB.testUnitReady) == .good)
        }
        Self.leave(40, of: rig)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        Self.leave(0, of: rig)
        #expect(rig.initiator.run(CDB.testUnitReady).sense?.additional == .thinProvisioningSoftThresholdReached)
    }

    @Test("VPD page B2h and mode page 1Ch/02h tell the same set size and count")
    func pages() {
        let rig = Self.rig()
        let provisioning = rig.initiator.run([0x12, 1, 0xB2, 0, 255, 0]).data
        #expect(provisioning[4] == 11, "THRESHOLD EXPONENT: 2048 blocks are 1 MiB")
        let data = rig.initiator.run([0x1A, 0x08, 0x1C, 0x02, 255, 0]).data
        #expect(Array(data[4..<8]) == [0x5C, 0x02, 0, 20])
        #expect(Array(data[8..<20]) == [UInt8](repeating: 0, count: 12))
        #expect(Array(data[20...]) == [0x80, 0x01, 0, 0, 0, 0, 0, 16])
        // Among all subpages, too; and nothing of it can be changed.
        #expect(rig.initiator.run([0x1A, 0x08, 0x3F, 0xFF, 255, 0]).data.count > data.count)
        let changeable = rig.initiator.run([0x1A, 0x08, 0x5C, 0x02, 255, 0]).data
        #expect(changeable[8...].allSatisfy { $0 == 0 })
    }

    @Test("Without a threshold there is no exponent and no page")
    func none() {
        let rig = Rig { $0.canUnmap = true }
        #expect(rig.initiator.run([0x12, 1, 0xB2, 0, 255, 0]).data[4] == 0)
        #expect(rig.initiator.run([0x1A, 0x08, 0x1C, 0x02, 255, 0]) == .check(.invalidFieldInCDB(byte: 3)))
        rig.unit.mappingResourcesChanged()
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test(
        "Media of any size have a count that fits, and is not zero",
        arguments: [1, 2047, 1 << 20, 1 << 44, UInt64(Int64.max) / 512])
    func sizes(blockCount: UInt64) {
        var features = BlockDeviceFeatures()
        features.canUnmap = true
        let rig = Rig(FakeDevice(blockCount: blockCount, features: features)) { $0.thresholdPercent = 1 }
        let exponent = rig.initiator.run([0x12, 1, 0xB2, 0, 255, 0]).data[4]
        #expect((11...31).contains(exponent))
        let data = rig.initiator.run([0x1A, 0x08, 0x1C, 0x02, 255, 0]).data
        #expect(data[24...].contains { $0 != 0 })
    }
}
