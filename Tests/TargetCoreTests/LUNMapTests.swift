// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("LUN maps of I_T nexuses")
struct LUNMapTests {
    private static let unsupported = Ended.check(.logicalUnitNotSupported)

    @Test("Two nexuses of one target see each what its map says, and nothing of the other's")
    func twoMaps() {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 5: 1])
        let b = rig.initiator([0: 1, 3: 2], name: MapRig.nameB)
        #expect(a.reportedLUNs() == [0, 5 << 48] && b.reportedLUNs() == [0, 3 << 48])
        #expect([0, 3, 5].map { a.serial($0) } == ["unit-0", nil, "unit-1"])
        #expect([0, 3, 5].map { b.serial($0) } == ["unit-1", "unit-2", nil])
        #expect(a.run(CDB.testUnitReady, lun: .lun[3]) == Self.unsupported)
        #expect(b.run(CDB.testUnitReady, lun: .lun[5]) == Self.unsupported)
        #expect(a.nexus.logicalUnitNumbers == [0, 5] && a.nexus.sees(5) && !a.nexus.sees(3) && !a.nexus.sees(-1))
        // The same unit by two numbers.
        #expect(a.run(CDB.write10(7, 1), [UInt8](repeating: 9, count: 512), lun: .lun[5]) == .good)
        #expect(b.run(CDB.read10(7, 1)).data == [UInt8](repeating: 9, count: 512))
    }

    @Test("A nexus without a map of its own sees the target's, as it is at the login")
    func defaultMap() {
        let rig = MapRig()
        rig.target.replaceMap(rig.map([1: 1]), others: [rig.map([0: 0, 2: 2])])
        let early = Initiator(rig.target)
        rig.target.replaceMap(rig.map([2: 2]), others: [rig.map([0: 0, 1: 1])])
        let late = Initiator(rig.target, name: MapRig.nameB)
        #expect(rig.target.map.logicalUnitNumbers == [2])
        #expect(early.reportedLUNs() == [1 << 48] && late.reportedLUNs() == [2 << 48])
    }

    @Test("A nexus without any logical unit gets an empty report, whatever it selects", arguments: [0, 1, 2, 0x11])
    func nothing(report: UInt8) {
        let initiator = MapRig().initiator([:])
        #expect(
            initiator.run([0xA0, 0, report, 0, 0, 0, 0, 0, 16, 0, 0, 0]).data == [UInt8](repeating: 0, count: 8))
        #expect(initiator.run(CDB.testUnitReady) == Self.unsupported)
    }

    @Test("REPORT LUNS selects from the nexus's map, at any number", arguments: [0, 3, 6])
    func selectReport(lun: Int) {
        let initiator = MapRig().initiator([0: 0, 3: 1])
        let all: [UInt64] = [0, 3 << 48]
        let expected: [UInt8: [UInt64]] = [0x00: all, 0x01: [], 0x02: all, 0x10: [], 0x11: all, 0x12: []]
        for (report, numbers) in expected { #expect(initiator.reportedLUNs(report, lun: lun) == numbers) }
    }

    @Test("A copy reaches what its nexus sees, and neither the target's own map nor another nexus's")
    func copies() {
        let rig = MapRig()
        rig.target.replaceMap(rig.map([1: 1]), others: [rig.map([0: 0, 2: 2])])
        let a = rig.initiator([0: 0, 1: 2])
        _ = rig.initiator([0: 1], name: MapRig.nameB)
        func copy(to place: Int) -> Ended {
            let list = ExtendedCopy.list(
                targets: ["unit-0", "unit-\(place)"].map { ExtendedCopy.target($0) },
                segments: [ExtendedCopy.segment(2, from: 3, to: 9, source: 0, destination: 1)])
            return a.run(ExtendedCopy.cdb(list), list)
        }
        #expect(copy(to: 2) == .good)
        #expect(copy(to: 1) == .check(.copyAborted(.copyTargetDeviceNotReachable, parameterListByte: 48)))
        #expect(rig.devices[1].log.isEmpty)
    }

    @Test("A target reset resets what its nexus sees, and leaves the units of others alone")
    func targetReset() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        let b = rig.initiator([0: 0, 1: 1], name: MapRig.nameB)
        var hasEnded = false
        a.nexus.perform(.targetWarmReset, lun: .init(0), tag: 0) { _ in hasEnded = true }
        while !hasEnded { turnAll(a, b) }
        #expect(b.attentions(0) == [.scsiBusResetOccurred])
        #expect(b.attentions(1).isEmpty)
    }

    @Test("A unit may stand behind two numbers of a map, one of them read-only")
    func twice() {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 0], readOnly: [1])
        let data = [UInt8](repeating: 7, count: 512)
        #expect(a.run(CDB.write10(3, 1), data, lun: .lun[1]) == .check(.writeProtected))
        #expect(a.run(CDB.write10(3, 1), data) == .good)
        #expect(a.run(CDB.read10(3, 1), lun: .lun[1]).data == data)
    }
}
