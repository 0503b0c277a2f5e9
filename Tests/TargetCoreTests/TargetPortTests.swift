// SPDX-License-Identifier: Apache-2.0

import Foundation
import SCSI
import TargetCore
import Testing

@Suite("Several target ports of one target")
struct TargetPortTests {
    private static let names = MapRig.ports.map(\.name)

    /// A target of `ports`, and one initiator through each.
    private func initiators(_ rig: MapRig) -> [Initiator] {
        rig.target.ports.map { rig.initiator([0: 0], through: $0) }
    }

    private func options(_ options: inout LogicalUnitOptions) {
        options.asymmetricAccess.support = .implicitAndExplicit
    }

    private func page(_ code: UInt8, _ initiator: Initiator) -> [UInt8] {
        initiator.run([0x12, 1, code, 4, 0, 0]).data
    }

    @Test("A nexus that is not told its port has the first; ports are found by their names")
    func first() {
        let rig = MapRig()
        let initiator = rig.initiator([0: 0])
        #expect(initiator.nexus.targetPort == MapRig.ports[0])
        #expect(initiator.nexus.identity.relativeTargetPort == 1)
        #expect(rig.target.port(named: Self.names[1]) == MapRig.ports[1])
        #expect(rig.target.port(named: "iqn.2026-11.org.example:target,t,0x0002") == nil)
        let bare = ITNexus(
            target: rig.target, initiatorPortName: MapRig.nameA, loop: FakeLoop(), port: initiator.port)
        #expect(bare.targetPortName == Self.names[0])
    }

    @Test("Page 83h names the port that the command came through, and its group")
    func identification() {
        let rig = MapRig(options: options)
        for (port, initiator) in zip(rig.target.ports, initiators(rig)) {
            let data = page(0x83, initiator)
            let group: [UInt8] = [0x51, 0x95, 0, 4, 0, 0] + port.group.bytes
            let relative: [UInt8] = [0x51, 0x94, 0, 4, 0, 0] + port.relativeIdentifier.bytes
            #expect(data.contains(group) && data.contains(relative) && data.contains(Array(port.name.utf8)))
            let other = rig.target.ports.first { $0 != port }!
            #expect(!data.contains(Array(other.name.utf8)))
            #expect(!data.contains([0x51, 0x94, 0, 4, 0, 0] + other.relativeIdentifier.bytes))
        }
    }

    @Test("Page 88h lists all ports by their numbers, the same through each; MULTIP is one")
    func ports() {
        let rig = MapRig(options: options)
        let through = initiators(rig)
        for initiator in through {
            let data = page(0x88, initiator)
            #expect(data == page(0x88, through[0]))
            #expect(Array(data[4..<8]) == [0, 0, 0, 1])
            #expect(Self.names.allSatisfy { data.contains(Array($0.utf8)) })
            #expect(initiator.run([0x12, 0, 0, 0, 96, 0]).data[6] == 0x10)
        }
    }

    @Test("REPORT TARGET PORT GROUPS has each port in its group, and a state counts for those who come through it")
    func groups() {
        let rig = MapRig(options: options)
        let through = initiators(rig)
        let expected: [UInt8] = [
            0, 0, 0, 24, 0, 0x8F, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0x8F, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2,
        ]
        for initiator in through { #expect(initiator.run(PortGroupCDB.report()).data == expected) }
        #expect(rig.units[0].setAccessState(of: 2, to: .unavailable))
        for initiator in through { #expect(initiator.attentions(0) == [.asymmetricAccessStateChanged]) }
        #expect(through[0].run(CDB.testUnitReady) == .good)
        #expect(through[1].run(CDB.testUnitReady).sense?.additional.asc == 0x04)
    }

    @Test("Each port is another nexus for reservations; ALL_TG_PT is for all of them")
    func registrations() {
        let rig = MapRig()
        let through = initiators(rig)
        let rest = [UInt8](repeating: 0, count: 8)
        #expect(ReserveBytes.run(through[1], 0, joined(UInt64(0).bytes, UInt64(5).bytes, rest)) == .good)
        #expect(ReserveBytes.fullStatus(through[0]) == [.init(key: 5, port: 2, name: MapRig.nameA)])
        // Exclusive access: the same initiator through the other port is a stranger.
        #expect(through[1].run([0x5F, 1, 3, 0, 0, 0, 0, 0, 24, 0], joined(UInt64(5).bytes, rest, rest)) == .good)
        #expect(through[0].run(CDB.read10(0, 1)) == .reservationConflict)
        let all = joined(UInt64(0).bytes, UInt64(6).bytes, [0, 0, 0, 0, 0x04, 0, 0, 0])
        #expect(ReserveBytes.run(through[0], 6, all) == .good)
        #expect(ReserveBytes.fullStatus(through[0]).map(\.port).sorted() == [1, 2])
        #expect(ReserveBytes.fullStatus(through[0]).map(\.key) == [6, 6])
    }

    @Test("REGISTER AND MOVE reaches the other port, and no port that does not lead to the unit", arguments: [1, 2, 3])
    func move(port: UInt16) {
        let rig = MapRig()
        let through = initiators(rig)
        let rest = [UInt8](repeating: 0, count: 8)
        #expect(ReserveBytes.run(through[0], 0, joined(UInt64(0).bytes, UInt64(5).bytes, rest)) == .good)
        #expect(through[0].run([0x5F, 1, 3, 0, 0, 0, 0, 0, 24, 0], joined(UInt64(5).bytes, rest, rest)) == .good)
        let name = port == 1 ? MapRig.nameB : MapRig.nameA
        let moved = ReserveBytes.run(through[0], 7, ReserveBytes.move(to: name, port: port, key: 5, newKey: 9))
        #expect(moved == (port == 3 ? .check(.invalidFieldInParameterList(byte: 18)) : .good))
        if port == 2 { #expect(through[1].run(CDB.read10(0, 1)).status == .good) }
    }

    // MARK: - What is saved

    /// The unit of `rig` has one registration through each port, which survive.
    private func register(_ rig: MapRig) {
        for (index, initiator) in initiators(rig).enumerated() {
            let list = joined(UInt64(0).bytes, UInt64(10 + index).bytes, [0, 0, 0, 0, 0x01, 0, 0, 0])
            #expect(ReserveBytes.run(initiator, 0, list) == .good)
        }
    }

    private func restarted(_ saved: DurableUnitState, ports: [TargetPortDescription]) -> [UInt64: UInt16] {
        #expect(saved.isWhole)
        let rig = MapRig(ports: ports, options: { $0.store = FakeStore(saved) })
        let all = ReserveBytes.fullStatus(rig.initiator([0: 0]))
        return Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0.port) })
    }

    @Test("Registrations stay with their ports, whatever numbers these have after a restart")
    func saved() {
        let store = FakeStore()
        register(MapRig(options: { $0.store = store }))
        #expect(restarted(store.saved, ports: MapRig.ports) == [10: 1, 11: 2])
        var swapped = Array(MapRig.ports.reversed())
        for index in swapped.indices { swapped[index].relativeIdentifier = UInt16(index + 8) }
        #expect(restarted(store.saved, ports: swapped) == [10: 9, 11: 8])
        // A port that is not there any more keeps its registration, under a number that no port has.
        #expect(restarted(store.saved, ports: [MapRig.ports[1]]) == [10: .max, 11: 2])
    }

    @Test("What was saved when a target had one port is its first one's")
    func savedBefore() throws {
        let text = """
            {"reservations":{"registrations":[{"initiatorPort":"\(MapRig.nameA)",
            "target":"iqn.2026-11.org.example:target","key":10}],"type":3,"holder":0}}
            """
        let saved = try JSONDecoder().decode(DurableUnitState.self, from: Data(text.utf8))
        #expect(restarted(saved, ports: MapRig.ports) == [10: 1])
        #expect(restarted(saved, ports: MapRig.ports.reversed()) == [10: 2])
    }

    @Test("A port without a name beside one with, of the same target, is no whole state", arguments: [true, false])
    func mixed(isSameTarget: Bool) throws {
        let other = isSameTarget ? "t" : "u"
        let text = """
            {"reservations":{"registrations":[{"initiatorPort":"a","target":"t","key":1},
            {"initiatorPort":"a","target":"\(other)","port":"t,t,0x0001","key":2}]}}
            """
        #expect(try JSONDecoder().decode(DurableUnitState.self, from: Data(text.utf8)).isWhole == !isSameTarget)
    }

    // MARK: - Live

    @Test("A unit that comes to another target has that one's port besides, and its nexuses learn of it")
    func joins() {
        let rig = MapRig(options: options)
        let initiator = rig.initiator([0: 0, 1: 1])
        let port = TargetPortDescription(relativeIdentifier: 3, name: "iqn.2026-11.org.example:other,t,0x0001")
        let other = SCSITarget(
            name: "iqn.2026-11.org.example:other", map: rig.map([4: 0]), ports: [port], postsPowerOnAttention: false)
        #expect(initiator.attentions(0) == [.inquiryDataHasChanged] && initiator.attentions(1).isEmpty)
        #expect(page(0x88, initiator).contains(Array(port.name.utf8)))
        other.replaceMap(rig.map([4: 0, 5: 2]))
        #expect(initiator.attentions(0).isEmpty)
        other.replaceMap(rig.map([5: 2]))
        #expect(initiator.attentions(0) == [.inquiryDataHasChanged])
        #expect(!page(0x88, initiator).contains(Array(port.name.utf8)))
        #expect(rig.units[0].targetPortGroups.map(\.ports) == [[1], [2]])
    }

    @Test("A unit that leaves a target and comes again has its registrations and access states still")
    func leaves() {
        let rig = MapRig(options: options)
        let through = initiators(rig)
        let list = joined(UInt64(0).bytes, UInt64(5).bytes, [UInt8](repeating: 0, count: 8))
        #expect(ReserveBytes.run(through[1], 0, list) == .good)
        #expect(rig.units[0].setAccessState(of: 2, to: .activeNonOptimized))
        for initiator in through { rig.change(initiator, to: [:]) }
        rig.target.replaceMap(.empty)
        #expect(rig.units[0].targetPortGroups.isEmpty)
        #expect(rig.units[0].reservationStatus.registrations.map(\.nexus.targetName) == [rig.target.name])
        #expect(rig.units[0].reservationStatus.registrations.map(\.nexus.relativeTargetPort) == [.max])
        rig.target.replaceMap(.empty, others: [rig.map([0: 0])])
        rig.change(through[1], to: [0: 0])
        _ = through[1].attentions(0)
        #expect(ReserveBytes.fullStatus(through[1]) == [.init(key: 5, port: 2, name: MapRig.nameA)])
        #expect(rig.units[0].targetPortGroups.map(\.state) == [.activeOptimized, .activeNonOptimized])
    }
}
