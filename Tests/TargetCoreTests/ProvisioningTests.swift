// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Thin provisioning: resources and the soft threshold")
struct ProvisioningTests {
    /// 64 MiB, of which `used` MiB have storage; a threshold set is 1 MiB.
    private func rig(used: UInt64, available: UInt64? = 100, percent: Int? = 75, isThin: Bool = true) -> Rig {
        var features = BlockDeviceFeatures()
        features.canUnmap = isThin
        let device = FakeDevice(blockCount: 64 << 11, features: features)
        device.mappingResources = MappingResources(
            usedByteCount: used << 20, availableByteCount: available.map { $0 << 20 })
        return Rig(device) { $0.thresholdPercent = percent }
    }

    private func log(_ initiator: Initiator) -> Ended { initiator.run([0x4D, 0, 0x4C, 0, 0, 0, 0, 1, 0, 0]) }

    private func mode(_ initiator: Initiator, _ page: UInt8, _ subpage: UInt8) -> Ended {
        initiator.run([0x1A, 0x08, page, subpage, 255, 0])
    }

    private func exponent(_ rig: Rig) -> UInt8 { rig.initiator.run([0x12, 1, 0xB2, 0, 255, 0]).data[4] }

    @Test("Used and available resources are counted in threshold sets of 1 MiB")
    func resources() {
        let rig = rig(used: 3)
        #expect(exponent(rig) == 11)
        let available: [UInt8] = [0, 1, 0x23, 8, 0, 0, 0, 100, 0b10, 0, 0, 0]
        let used: [UInt8] = [0, 2, 0x23, 8, 0, 0, 0, 3, 0b01, 0, 0, 0]
        #expect(log(rig.initiator).data == joined([0x8C, 0, 0, 24], available, used))
        rig.device.mappingResources = MappingResources(usedByteCount: 3 << 20 | 512)
        #expect(log(rig.initiator).data.count == 16)
        #expect(log(rig.initiator).data[11] == 4)
    }

    @Test("A medium whose sets would not fit 32 bits has larger ones")
    func largeMedium() {
        let rig = rig(used: 0)
        rig.device.blockCount = 1 << 53
        #expect(exponent(rig) == 22)
        rig.device.mappingResources = MappingResources(usedByteCount: .max)
        #expect(log(rig.initiator).status == .good)
    }

    @Test("The mode page tells the threshold, and nothing of it can be changed")
    func modePage() {
        let initiator = rig(used: 0).initiator
        let page: [UInt8] =
            [0x5C, 0x02, 0, 20] + [UInt8](repeating: 0, count: 12) + [0x80, 0x01, 0, 0, 0, 0, 0, 16]
        #expect(Array(mode(initiator, 0x1C, 0x02).data.dropFirst(4)) == page)
        var other = page
        other[23] = 40
        let list = [0, 0, 0, 0] + other
        #expect(
            initiator.run([0x15, 0x10, 0, 0, UInt8(list.count), 0], list)
                == .check(.invalidFieldInParameterList(byte: 27, bit: 5)))
    }

    @Test("Every nexus is told when the threshold is reached, and again only after it was not")
    func attention() {
        let rig = rig(used: 47)
        let other = rig.anotherInitiator()
        func told() -> [Bool] {
            [rig.initiator, other].map {
                $0.run(CDB.testUnitReady) == .check(.unitAttention(.thinProvisioningSoftThresholdReached))
            }
        }
        #expect(rig.unit.hasSoftThreshold)
        rig.unit.checkSoftThreshold()
        #expect(told() == [false, false])
        rig.device.mappingResources?.usedByteCount = 48 << 20
        rig.unit.checkSoftThreshold()
        #expect(told() == [true, true])
        rig.unit.checkSoftThreshold()
        #expect(told() == [false, false])
        rig.device.mappingResources?.usedByteCount = 40 << 20
        rig.unit.checkSoftThreshold()
        rig.device.mappingResources?.usedByteCount = 60 << 20
        rig.unit.checkSoftThreshold()
        #expect(told() == [true, true])
    }

    @Test("Without a store that tells there is neither page nor exponent", arguments: [false, true])
    func unsupported(isThin: Bool) {
        let rig = rig(used: 64, isThin: isThin)
        if isThin { rig.device.mappingResources = nil }
        #expect(log(rig.initiator) == .check(.invalidFieldInCDB(byte: 2, bit: 5)))
        #expect(mode(rig.initiator, 0x1C, 0x02) == .check(.invalidFieldInCDB(byte: 3)))
        if isThin { #expect(exponent(rig) == 0) }
        rig.unit.checkSoftThreshold()
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        #expect(!rig.unit.hasSoftThreshold)
        let plain = self.rig(used: 64, percent: nil)
        #expect(mode(plain.initiator, 0x1C, 0x02) == .check(.invalidFieldInCDB(byte: 3)))
        #expect(log(plain.initiator).status == .good)
    }

    @Test(
        "The Control Extension mode page follows the clock and the access states", arguments: [false, true],
        [false, true])
    func controlExtension(hasClock: Bool, isImplicit: Bool) {
        let rig = Rig(options: {
            if hasClock { $0.clock = TestClock().source }
            if isImplicit { $0.asymmetricAccess.support = .implicit }
        })
        let flags: UInt8 = (hasClock ? 0x06 : 0) | (isImplicit ? 0x01 : 0)
        let page = [0x4A, 0x01, 0, 28, flags] + [UInt8](repeating: 0, count: 27)
        #expect(Array(mode(rig.initiator, 0x0A, 0x01).data.dropFirst(4)) == page)
    }
}
