// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Live changes of a LUN map: what initiators are told")
struct MapAttentionTests {
    private static let reportedLUNs = AdditionalSense.reportedLUNsDataHasChanged
    private static let inquiry = AdditionalSense.inquiryDataHasChanged

    struct Change: Sendable, CustomTestStringConvertible {
        var from: [Int: Int]
        var readOnlyBefore: Set<Int> = []
        var to: [Int: Int]
        var readOnly: Set<Int> = []
        /// By number, each as if it were asked first.
        var told: [Int: [AdditionalSense]]

        var testDescription: String { "\(from) \(readOnlyBefore) -> \(to) \(readOnly)" }
    }

    static let changes = [
        Change(from: [0: 0, 1: 1], to: [0: 0, 1: 1], told: [:]),
        Change(from: [0: 0, 1: 1], to: [0: 0], told: [0: [reportedLUNs]]),
        Change(from: [0: 0], to: [0: 0, 1: 1], told: [0: [reportedLUNs], 1: [reportedLUNs]]),
        Change(from: [0: 0, 1: 1], to: [0: 0, 2: 1], told: [0: [reportedLUNs], 2: [reportedLUNs]]),
        Change(from: [0: 0, 1: 1], to: [0: 0, 1: 2], told: [0: [reportedLUNs], 1: [reportedLUNs, inquiry]]),
        Change(
            from: [0: 0, 1: 1], to: [0: 1, 1: 0],
            told: [0: [reportedLUNs, inquiry], 1: [reportedLUNs, inquiry]]),
        Change(from: [0: 0, 1: 1], to: [0: 0, 1: 1], readOnly: [1], told: [1: [.modeParametersChanged]]),
        Change(
            from: [0: 0, 1: 1], readOnlyBefore: [0, 1], to: [0: 0, 1: 1], readOnly: [0],
            told: [1: [.modeParametersChanged]]),
        Change(
            from: [0: 0], to: [0: 0, 1: 1], readOnly: [0, 1],
            told: [0: [reportedLUNs, .modeParametersChanged], 1: [reportedLUNs]]),
        Change(from: [0: 0], to: [:], told: [:]),
    ]

    @Test("Each unit tells of what has changed for it, and nothing else", arguments: changes)
    func told(change: Change) {
        for number in 0..<4 {
            let rig = MapRig()
            let initiator = rig.initiator(change.from, readOnly: change.readOnlyBefore)
            #expect(rig.change(initiator, to: change.to, readOnly: change.readOnly).count == 1)
            #expect(initiator.attentions(number) == change.told[number, default: []])
        }
    }

    @Test("A new unit tells of its power on first, where the target does so at a login")
    func powerOn() {
        let rig = MapRig(postsPowerOnAttention: true)
        let initiator = rig.initiator([0: 0, 1: 1])
        #expect(initiator.attentions(0) == [.powerOnResetOrBusDeviceResetOccurred])
        #expect(initiator.attentions(1) == [.powerOnResetOrBusDeviceResetOccurred])
        rig.change(initiator, to: [0: 0, 1: 2, 2: 1])
        #expect(
            initiator.attentions(1)
                == [.powerOnResetOrBusDeviceResetOccurred, Self.reportedLUNs, .inquiryDataHasChanged])
        #expect(initiator.attentions(2) == [.powerOnResetOrBusDeviceResetOccurred])
        #expect(initiator.attentions(0).isEmpty)
    }

    @Test("REPORTED LUNS DATA HAS CHANGED stands in sense data byte by byte, and one unit tells of it for all")
    func once() throws {
        let rig = MapRig()
        let initiator = rig.initiator([0: 0, 1: 1])
        rig.change(initiator, to: [0: 0, 1: 1, 2: 2])
        let sense = try #require(initiator.run(CDB.testUnitReady, lun: .lun[1]).sense)
        let fixed: [UInt8] = [0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x3F, 0x0E, 0, 0, 0, 0]
        #expect(sense.encode(descriptor: false) == fixed)
        #expect([0, 1, 2].allSatisfy { initiator.attentions($0).isEmpty })
    }

    @Test("REPORT LUNS takes the condition back everywhere, at a number without a unit too", arguments: [0, 2, 5])
    func reportLUNs(lun: Int) {
        let rig = MapRig()
        let initiator = rig.initiator([0: 0, 1: 1])
        rig.change(initiator, to: [0: 0, 2: 2])
        #expect(initiator.reportedLUNs(lun: lun) == [0, 2 << 48])
        #expect([0, 2].allSatisfy { initiator.attentions($0).isEmpty })
    }

    @Test("INQUIRY, REPORT LUNS and REQUEST SENSE pass, and REQUEST SENSE tells of the condition")
    func passing() {
        let rig = MapRig()
        let initiator = rig.initiator([0: 0, 1: 1])
        rig.change(initiator, to: [0: 0])
        #expect(initiator.serial(0) == "unit-0" && initiator.serial(1) == nil)
        let data = initiator.run(CDB.requestSense()).data
        #expect(data[2] == 0x06 && data[12...13] == [0x3F, 0x0E])
        #expect(initiator.attentions(0).isEmpty)
    }

    @Test(
        "The codes of the other conditions",
        arguments: [
            (AdditionalSense.inquiryDataHasChanged, 0x3F, 0x03), (.modeParametersChanged, 0x2A, 0x01),
            (.capacityDataHasChanged, 0x2A, 0x09), (.deviceIdentifierChanged, 0x3F, 0x05),
        ] as [(AdditionalSense, UInt8, UInt8)])
    func codes(sense: AdditionalSense, asc: UInt8, ascq: UInt8) {
        #expect(sense == AdditionalSense(asc, ascq))
    }

    @Test("Nexuses whose maps stay are told nothing")
    func untouched() {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1])
        let b = rig.initiator([0: 0, 1: 1], name: MapRig.nameB)
        rig.change(a, to: [0: 0, 1: 2], readOnly: [0])
        #expect(b.attentions(0).isEmpty && b.attentions(1).isEmpty)
        #expect(b.reportedLUNs() == [0, 1 << 48])
    }

    @Test("WP follows the view, also where the store is read-only and nothing is to be told")
    func writeProtect() {
        var features = BlockDeviceFeatures()
        features.isReadOnly = true
        let rig = MapRig([FakeDevice(), FakeDevice(features: features), FakeDevice()])
        let initiator = rig.initiator([0: 0, 1: 1])
        func wp(_ lun: Int) -> Bool { initiator.run([0x1A, 8, 0x0A, 0, 255, 0], lun: .lun[lun]).data[2] & 0x80 != 0 }
        for (readOnly, expected) in [(Set([0, 1]), true), ([], false), ([0], true)] {
            rig.change(initiator, to: [0: 0, 1: 1], readOnly: readOnly)
            #expect(initiator.attentions(0) == [.modeParametersChanged])
            #expect(initiator.attentions(1).isEmpty)
            #expect(wp(0) == expected && wp(1))
        }
    }

    @Test("A new capacity is told to every nexus, each on its own loop")
    func capacity() {
        let rig = MapRig()
        let initiators = (0..<3).map { rig.initiator([$0: 0], name: "iqn.2026-11.org.example:\($0),i,0x1") }
        rig.devices[0].blockCount = 2048
        rig.units[0].capacityChanged()
        for (lun, initiator) in initiators.enumerated() {
            #expect(initiator.attentions(lun) == [.capacityDataHasChanged])
            let data = initiator.run([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], lun: .lun[lun]).data
            #expect(Array(data[..<4]) == UInt32(2047).bytes)
        }
    }

    @Test("Another identity is told to every nexus, and another designator besides")
    func identity() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        let b = rig.initiator([3: 0], name: MapRig.nameB)
        let unit = rig.units[0]
        var identity = unit.identity
        unit.identityChanged(to: identity)
        #expect(a.attentions(0).isEmpty)
        identity.revision = "0002"
        unit.identityChanged(to: identity)
        #expect(a.attentions(0) == [.inquiryDataHasChanged] && b.attentions(3) == [.inquiryDataHasChanged])
        #expect(Array(a.run([0x12, 0, 0, 0, 96, 0]).data[32..<36]) == Array("0002".utf8))
        identity.serial = "other"
        unit.identityChanged(to: identity)
        #expect(b.attentions(3) == [.inquiryDataHasChanged, .deviceIdentifierChanged])
        #expect(b.serial(3) == "other")
    }
}
