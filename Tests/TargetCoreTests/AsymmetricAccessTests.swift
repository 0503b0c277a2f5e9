// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

/// One unit behind two targets, whose ports are in the groups 1 and 2.
struct TwoGroups {
    let device = FakeDevice()
    let unit: LogicalUnit
    let first: Initiator
    let second: Initiator
    let targets: [SCSITarget]

    init(
        _ support: StandardInquiryData.TargetPortGroupSupport = .implicitAndExplicit,
        states: [UInt16: AsymmetricAccessOptions.Group] = [:]
    ) {
        var options = LogicalUnitOptions()
        options.asymmetricAccess.support = support
        options.asymmetricAccess.groups = states
        unit = LogicalUnit(device: device, identity: LogicalUnitIdentity(serial: "s"), options: options)
        let unit = unit
        targets = [(UInt16(1), "iqn.2026-11.org.example:one"), (2, "iqn.2026-11.org.example:two")].map { number, name in
            SCSITarget(
                name: name, luns: [0: unit], relativePortIdentifier: number, portName: name + ",t,0x0001",
                portGroup: number, postsPowerOnAttention: false)
        }
        first = Initiator(targets[0])
        second = Initiator(targets[1])
    }
}

/// CDBs of the family.
enum PortGroupCDB {
    static func report(_ format: UInt8 = 0, allocationLength: UInt32 = 4096) -> [UInt8] {
        joined([0xA3, format << 5 | 0x0A, 0, 0, 0, 0], allocationLength.bytes, [0, 0])
    }

    static func set(_ byteCount: UInt32) -> [UInt8] {
        joined([0xA4, 0x0A, 0, 0, 0, 0], byteCount.bytes, [0, 0])
    }
}

extension Initiator {
    /// With the descriptors one behind the other.
    func setGroups(_ descriptors: [UInt8]) -> Ended {
        let list = [0, 0, 0, 0] + descriptors
        return run(PortGroupCDB.set(UInt32(list.count)), list)
    }
}

@Suite("Asymmetric logical unit access: reports")
struct AsymmetricAccessReportTests {
    private func descriptor(
        _ group: UInt8, _ state: UInt8, status: UInt8 = 0, ports: [UInt8], isPreferred: Bool = false
    ) -> [UInt8] {
        let head: [UInt8] = [(isPreferred ? 0x80 : 0) | state, 0x8F, 0, group, 0, status, 0, UInt8(ports.count)]
        return head + ports.flatMap { [0, 0, 0, $0] }
    }

    @Test("REPORT TARGET PORT GROUPS lists groups, states and ports, the same through both ports")
    func report() {
        let rig = TwoGroups(states: [1: .init(isPreferred: true), 2: .init(state: .activeNonOptimized)])
        let expected = joined(
            [0, 0, 0, 24], descriptor(1, 0, ports: [1], isPreferred: true), descriptor(2, 1, ports: [2]))
        for initiator in [rig.first, rig.second] {
            #expect(initiator.run(PortGroupCDB.report()).data == expected)
            let extended = initiator.run(PortGroupCDB.report(1)).data
            #expect(Array(extended[..<8]) == [0, 0, 0, 28, 0x10, 0, 0, 0])
            #expect(Array(extended[8...]) == Array(expected[4...]))
        }
    }

    @Test(
        "Its data are cut off at the allocation length, and the length inside is not changed", arguments: [0, 3, 4, 13])
    func cutOff(length: UInt32) {
        let data = TwoGroups().first.run(PortGroupCDB.report(allocationLength: length)).data
        #expect(data.count == Int(length))
        if length >= 4 { #expect(Array(data[..<4]) == [0, 0, 0, 24]) }
    }

    @Test("Other formats and reserved bits are refused", arguments: 2...7 as ClosedRange<UInt8>)
    func formats(format: UInt8) {
        #expect(TwoGroups().first.run(PortGroupCDB.report(format)) == .check(.invalidFieldInCDB(byte: 1, bit: 7)))
    }

    @Test("Two ports of one group stand in one descriptor, ascending")
    func sharedGroup() {
        var options = LogicalUnitOptions()
        options.asymmetricAccess.support = .implicit
        let unit = LogicalUnit(device: FakeDevice(), identity: .init(serial: "s"), options: options)
        let later = SCSITarget(name: "b", luns: [0: unit], relativePortIdentifier: 9, portGroup: 7)
        _ = SCSITarget(name: "a", luns: [3: unit], relativePortIdentifier: 4, portGroup: 7)
        let initiator = Initiator(later)
        _ = initiator.run(CDB.testUnitReady)
        #expect(
            initiator.run(PortGroupCDB.report()).data == joined([0, 0, 0, 16], descriptor(7, 0, ports: [4, 9])))
    }

    @Test(
        "INQUIRY tells TPGS, MULTIP and the group of the port",
        arguments: [(.none, 0), (.implicit, 1), (.explicit, 2), (.implicitAndExplicit, 3)]
            as [(StandardInquiryData.TargetPortGroupSupport, UInt8)])
    func inquiry(support: StandardInquiryData.TargetPortGroupSupport, bits: UInt8) {
        let rig = TwoGroups(support)
        let standard = rig.second.run([0x12, 0, 0, 0, 96, 0]).data
        #expect(standard[5] == bits << 4 | 0x08)
        #expect(standard[6] == 0x10)
        let identification = rig.second.run([0x12, 1, 0x83, 2, 0, 0]).data
        let designator: [UInt8] = [0x51, 0x95, 0, 4, 0, 0, 0, 2]
        #expect(Array(identification.suffix(8)) == designator || bits == 0)
        #expect(Array(identification.suffix(8)) != designator || bits != 0)
    }

    @Test("VPD page 88h names every port that leads to the unit")
    func ports() {
        let rig = TwoGroups()
        let data = rig.first.run([0x12, 1, 0x88, 2, 0, 0]).data
        // Its own name is the one that the transport gave: 33 bytes, with zeroes 36; the other's has two more.
        let own = Array("iqn.2026-11.org.example:one,t,0x1".utf8) + [0, 0, 0]
        let other = Array("iqn.2026-11.org.example:two,t,0x0001".utf8) + [0, 0, 0, 0]
        let expected = joined(
            [0, 0x88, 0, 108],
            [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 40], [0x53, 0x98, 0, 36], own,
            [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 44], [0x53, 0x98, 0, 40], other)
        #expect(data == expected)
        let single = Rig().initiator.run([0x12, 0, 0, 0, 96, 0]).data
        #expect(single[6] == 0)
    }

    @Test("VPD page 87h: all mode pages are shared")
    func modePagePolicy() {
        #expect(Rig().initiator.run([0x12, 1, 0x87, 0, 255, 0]).data == [0, 0x87, 0, 4, 0x3F, 0xFF, 0, 0])
    }

    @Test("Without ALUA there is neither command; with implicit changes alone SET TARGET PORT GROUPS is not there")
    func unsupported() {
        let none = TwoGroups(.none)
        #expect(none.first.run(PortGroupCDB.report()) == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
        #expect(none.unit.targetPortGroups.isEmpty)
        #expect(!none.unit.setAccessState(of: 1, to: .standby))
        let implicit = TwoGroups(.implicit)
        #expect(implicit.first.run(PortGroupCDB.report()).status == .good)
        let set = implicit.first.setGroups([2, 0, 0, 2])
        #expect(set.status == .checkCondition)
        #expect(set.sense?.key == .illegalRequest)
    }
}

@Suite("Asymmetric logical unit access: changes")
struct AsymmetricAccessChangeTests {
    private func states(_ rig: TwoGroups) -> [UInt8] {
        rig.unit.targetPortGroups.flatMap { [$0.state.rawValue, $0.statusCode.rawValue] }
    }

    @Test("SET TARGET PORT GROUPS changes states, and tells every other nexus once")
    func set() {
        let rig = TwoGroups()
        let other = Initiator(rig.targets[0], name: "iqn.2026-11.org.example:other,i,0x9")
        #expect(rig.first.setGroups([1, 0, 0, 1, 2, 0, 0, 2]) == .good)
        #expect(states(rig) == [1, 1, 2, 1])
        #expect(rig.first.run(CDB.testUnitReady) == .good)
        #expect(other.run(CDB.testUnitReady) == .check(.asymmetricAccessStateChanged))
        #expect(other.run(CDB.testUnitReady) == .good)
        #expect(rig.second.run(CDB.testUnitReady) == .check(.asymmetricAccessStateChanged))
        #expect(rig.second.run(CDB.testUnitReady) == .check(.targetPortInStandbyState))
        // What is there already is told to nobody.
        #expect(rig.first.setGroups([1, 0, 0, 1]) == .good)
        #expect(other.run(CDB.testUnitReady) == .good)
    }

    @Test("A change by the server is told to all")
    func implicit() {
        let rig = TwoGroups()
        #expect(rig.unit.setAccessState(of: 2, to: .unavailable))
        #expect(states(rig) == [0, 0, 3, 2])
        for initiator in [rig.first, rig.second] {
            #expect(initiator.run(CDB.testUnitReady) == .check(.asymmetricAccessStateChanged))
        }
        #expect(rig.first.run(CDB.testUnitReady) == .good)
        #expect(rig.second.run(CDB.testUnitReady) == .check(.targetPortInUnavailableState))
        #expect(!rig.unit.setAccessState(of: 3, to: .standby))
    }

    @Test(
        "A wrong parameter list changes nothing, and the sense points at what is wrong",
        arguments: [
            ([2, 0, 0, 1, 0x0E, 0, 0, 1], .invalidFieldInParameterList(byte: 8, bit: 3)),
            ([2, 0, 0, 1, 0x0F, 0, 0, 2], .invalidFieldInParameterList(byte: 8, bit: 3)),
            ([2, 0, 0, 1, 0x04, 0, 0, 2], .invalidFieldInParameterList(byte: 8, bit: 3)),
            ([2, 0, 0, 1, 0x05, 0, 0, 2], .invalidFieldInParameterList(byte: 8, bit: 3)),
            ([2, 0, 0, 1, 0x82, 0, 0, 2], .invalidFieldInParameterList(byte: 8, bit: 7)),
            ([2, 0, 0, 1, 2, 1, 0, 2], .invalidFieldInParameterList(byte: 9)),
            ([2, 0, 0, 1, 2, 0, 0, 3], .invalidFieldInParameterList(byte: 10)),
            ([2, 0, 0, 1, 2, 0, 0, 0], .invalidFieldInParameterList(byte: 10)),
            ([2, 0, 0, 1, 3, 0, 0, 1], .invalidFieldInParameterList(byte: 10)),
            ([2, 0, 0, 1, 2, 0, 0], .parameterListLengthError),
        ] as [([UInt8], SenseData)])
    func refused(descriptors: [UInt8], sense: SenseData) {
        let rig = TwoGroups()
        #expect(rig.first.setGroups(descriptors) == .check(sense))
        #expect(states(rig) == [0, 0, 0, 0])
        #expect(rig.second.run(CDB.testUnitReady) == .good)
    }

    @Test("An empty list is no error; one shorter than its header, or shorter than announced, is")
    func lengths() {
        let rig = TwoGroups()
        #expect(rig.first.run(PortGroupCDB.set(0)) == .good)
        #expect(rig.first.run(PortGroupCDB.set(4), [0, 0, 0, 0]) == .good)
        for byteCount in 1...3 as ClosedRange<UInt32> {
            let list = [UInt8](repeating: 0, count: Int(byteCount))
            #expect(rig.first.run(PortGroupCDB.set(byteCount), list) == .check(.parameterListLengthError))
        }
        #expect(rig.first.run(PortGroupCDB.set(8), [0, 0, 0, 0, 2]) == .check(.parameterListLengthError))
        #expect(rig.first.run(PortGroupCDB.set(.max)) == .check(.parameterListLengthError))
        #expect(rig.first.run(PortGroupCDB.set(4), [0, 0, 7, 0]) == .check(.invalidFieldInParameterList(byte: 2)))
    }

    @Test("A group in transition is not set: SET TARGET PORT GROUPS COMMAND FAILED")
    func transitioning() {
        let rig = TwoGroups()
        #expect(rig.unit.setAccessState(of: 2, to: .transitioning))
        _ = rig.first.run(CDB.testUnitReady)
        _ = rig.second.run(CDB.testUnitReady)
        #expect(rig.first.setGroups([0, 0, 0, 2]) == .check(.setTargetPortGroupsCommandFailed))
        #expect(rig.second.setGroups([0, 0, 0, 1]) == .check(.asymmetricAccessStateTransition))
        #expect(rig.unit.setAccessState(of: 2, to: .activeOptimized))
        _ = rig.second.run(CDB.testUnitReady)
        #expect(rig.second.run(CDB.testUnitReady) == .good)
    }

    @Test("Units of one target have states of their own")
    func perUnit() {
        var options = LogicalUnitOptions()
        options.asymmetricAccess.support = .explicit
        let units = ["a", "b"].map {
            LogicalUnit(device: FakeDevice(), identity: LogicalUnitIdentity(serial: $0), options: options)
        }
        let target = SCSITarget(name: "t", luns: [0: units[0], 1: units[1]], postsPowerOnAttention: false)
        let initiator = Initiator(target)
        #expect(initiator.setGroups([2, 0, 0, 1]) == .good)
        #expect(initiator.run(CDB.testUnitReady) == .check(.targetPortInStandbyState))
        #expect(initiator.run(CDB.testUnitReady, lun: .init(1)) == .good)
    }
}

@Suite("Asymmetric logical unit access: what runs in which state")
struct AsymmetricAccessStateTests {
    static let sixteen = [UInt8](repeating: 0, count: 16)
    static func padded(_ bytes: UInt8...) -> [UInt8] { bytes + sixteen.dropFirst(bytes.count) }

    /// A command, and in which of standby, unavailable and transitioning it runs.
    static let samples: [([UInt8], String)] = [
        (padded(0x12, 0, 0, 0, 96), "sut"), (padded(0x03, 0, 0, 0, 252), "sut"),
        (padded(0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 16), "sut"), (padded(0xA3, 0x0A), "sut"), (padded(0xA4, 0x0A), "su"),
        (padded(0x1A, 0, 0x3F, 0, 255), "s"), (padded(0x5A, 0, 0x3F, 0, 0, 0, 0, 1), "s"),
        (padded(0x15, 0x10), "s"), (padded(0x55, 0x10), "s"), (padded(0x5E, 0, 0, 0, 0, 0, 0, 1), "s"),
        (padded(0x25), "s"), (padded(0x9E, 0x10), "s"), (padded(0xA3, 0x0C), "s"),
        (padded(0xA3, 0x0D, 0, 0, 0, 0, 0, 0, 0, 4), "s"),
        (padded(0x00), ""), (padded(0x28, 0, 0, 0, 0, 0, 0, 0, 1), ""), (padded(0x88), ""), (padded(0x35), ""),
        (padded(0x16), ""), (padded(0x1B, 0, 0, 0, 1), ""), (padded(0x9E, 0x12), ""), (padded(0x2F), ""),
        (padded(0xEE), ""), (padded(0x4D, 0, 0x40, 0, 0, 0, 0, 1), "s"), (padded(0x4C, 2, 0x40), "s"),
        (padded(0x3C, 0x0B, 0, 0, 0, 0, 0, 0, 4), "sut"), (padded(0x3B, 0x0A), "sut"), (padded(0x3C, 0x02), ""),
        (padded(0x9B, 0x0B), "sut"), (padded(0x3B, 0x02), ""), (padded(0x9B, 0x03), ""),
    ]

    @Test(
        "The states keep out what the standard says, with their own sense", arguments: samples,
        [
            (.standby, "s", .targetPortInStandbyState), (.unavailable, "u", .targetPortInUnavailableState),
            (.transitioning, "t", .asymmetricAccessStateTransition),
        ] as [(AsymmetricAccessState, Character, SenseData)])
    func commands(command: ([UInt8], String), state: (AsymmetricAccessState, Character, SenseData)) {
        let rig = TwoGroups(states: [2: .init(state: state.0)])
        let ended = rig.second.run(command.0)
        if command.1.contains(state.1) {
            #expect(ended.status == .good)
        } else {
            #expect(ended == .check(state.2))
        }
        // The other group is active.
        #expect(rig.first.run(command.0).sense?.key != .notReady)
        #expect(rig.device.operations.count <= 1)
    }

    @Test(
        "Both active states let everything run",
        arguments: [.activeOptimized, .activeNonOptimized] as [AsymmetricAccessState])
    func active(state: AsymmetricAccessState) {
        let rig = TwoGroups(states: [2: .init(state: state)])
        #expect(rig.second.run(CDB.read10(0, 1)).status == .good)
        #expect(rig.second.run(CDB.testUnitReady) == .good)
    }

    @Test("A pending unit attention is told first, and a command that has begun ends")
    func order() {
        let rig = TwoGroups()
        rig.device.ending = .deferred
        let (tag, ended) = rig.second.start(CDB.read10(0, 1))
        #expect(ended == nil)
        #expect(rig.unit.setAccessState(of: 2, to: .standby))
        rig.device.completeAll()
        rig.second.loop.turn()
        #expect(rig.second.port.finished[tag]?.status == .good)
        #expect(rig.second.run(CDB.read10(0, 1)) == .check(.asymmetricAccessStateChanged))
        #expect(rig.second.run(CDB.read10(0, 1)) == .check(.targetPortInStandbyState))
    }
}
