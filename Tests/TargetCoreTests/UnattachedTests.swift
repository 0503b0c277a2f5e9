// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization
import TargetCore
import Testing

@Suite("The end of a logical unit")
struct UnattachedTests {
    private static let block = [UInt8](repeating: 0xAB, count: 512)

    /// Counts calls from any thread.
    private final class Counter: Sendable {
        private let value = Atomic<Int>(0)
        var count: Int { value.load(ordering: .sequentiallyConsistent) }
        func add() { value.add(1, ordering: .sequentiallyConsistent) }
    }

    @Test("A unit that no nexus sees says so at once")
    func nobody() {
        let counter = Counter()
        MapRig().units[0].whenUnattached { counter.add() }
        #expect(counter.count == 1)
    }

    @Test("It waits for the last nexus, and for the last command of that")
    func last() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        let b = rig.initiator([0: 0, 1: 1], name: MapRig.nameB)
        rig.devices[0].ending = .deferred
        b.start(CDB.write10(3, 1), Self.block)
        let counter = Counter()
        rig.target.replaceMap(.empty, others: [rig.map([1: 1])])
        rig.change(b, to: [1: 1])
        rig.units[0].whenUnattached { counter.add() }
        rig.units[0].whenUnattached { counter.add() }
        rig.change(a, to: [:])
        #expect(counter.count == 0)
        rig.devices[0].completeAll()
        turnAll(a, b)
        #expect(counter.count == 2)
        let count = rig.devices[0].log.count
        let turns = rig.devices[0].turns
        b.endTurn()
        #expect(b.run(CDB.testUnitReady) == .check(.logicalUnitNotSupported))
        #expect(rig.devices[0].log.count == count && rig.devices[0].turns == turns)
    }

    @Test("The loss of a nexus counts as well")
    func closed() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        let counter = Counter()
        rig.units[0].whenUnattached { counter.add() }
        #expect(counter.count == 0)
        a.nexus.close {}
        #expect(counter.count == 1)
    }

    @Test("A unit that is to go appears for nobody any more, whatever their maps say")
    func refused() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        rig.units[1].whenUnattached {}
        rig.change(a, to: [0: 0, 1: 1])
        let b = rig.initiator([0: 0, 1: 1], name: MapRig.nameB)
        for initiator in [a, b] {
            #expect(initiator.reportedLUNs() == [0])
            #expect(initiator.run(CDB.testUnitReady, lun: .lun[1]) == .check(.logicalUnitNotSupported))
        }
        // It had nothing to tell: its inventory is the same.
        #expect(a.attentions(0).isEmpty)
    }

    @Test("A sanitize operation is cut off after the request under way, and stands as one that has failed")
    func sanitize() {
        let store = FakeStore()
        let rig = MapRig(options: { $0.store = store })
        let a = rig.initiator([0: 0])
        rig.devices[0].ending = .deferred
        // OVERWRITE, IMMED.
        #expect(a.run([0x48, 0x81, 0, 0, 0, 0, 0, 0, 5, 0], [1, 0, 0, 1, 0x5A]) == .good)
        a.loop.turn()
        #expect(rig.devices[0].waitingCount == 1)
        let counter = Counter()
        rig.change(a, to: [:])
        rig.units[0].whenUnattached { counter.add() }
        a.loop.turn()
        #expect(counter.count == 0)
        let count = rig.devices[0].log.count
        rig.devices[0].completeAll()
        a.loop.turn()
        #expect(counter.count == 1 && rig.devices[0].log.count == count)
        #expect(store.saved.sanitizeFailure != nil)
    }

    @Test("RESERVE ends with the view, and so does the prevention of removal; registrations and mode parameters stay")
    func whatStays() {
        let rig = MapRig(options: { $0.isRemovable = true })
        let a = rig.initiator([0: 0])
        let b = rig.initiator([0: 0], name: MapRig.nameB)
        #expect(a.run([0x16, 0, 0, 0, 0, 0]) == .good && a.run([0x1E, 0, 0, 0, 1, 0]) == .good)
        #expect(b.run(CDB.testUnitReady) == .reservationConflict)
        rig.change(a, to: [:])
        #expect(b.run(CDB.testUnitReady) == .good)
        #expect(b.run([0x1B, 0, 0, 0, 2, 0]) == .good)
        #expect(b.run([0x1B, 0, 0, 0, 3, 0]) == .good)
        rig.change(a, to: [0: 0])
        _ = a.attentions(0)
        _ = b.attentions(0)
        let list = joined(UInt64(0).bytes, UInt64(5).bytes, [UInt8](repeating: 0, count: 8))
        #expect(a.run([0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0], list) == .good)
        rig.change(a, to: [:])
        #expect(b.run([0x5E, 0, 0, 0, 0, 0, 0, 0, 16, 0]).data.suffix(8) == UInt64(5).bytes[...])
    }

    @Test("A unit that no map has is kept by nobody")
    func freed() {
        let rig = MapRig()
        let initiator = rig.initiator([0: 0])
        weak var freed: LogicalUnit?
        do {
            let unit = LogicalUnit(device: FakeDevice(), identity: .init(serial: "new"))
            freed = unit
            let map = LUNMap([0: rig.units[0], 1: unit])
            rig.target.replaceMap(map)
            initiator.nexus.change(to: map) {}
            #expect(initiator.run(CDB.read10(0, 1), lun: .lun[1]).sense?.additional == .reportedLUNsDataHasChanged)
            #expect(initiator.run(CDB.read10(0, 1), lun: .lun[1]).status == .good)
        }
        #expect(freed != nil)
        rig.target.replaceMap(rig.map([0: 0]))
        rig.change(initiator, to: [0: 0])
        initiator.forgetTasks()
        initiator.loop.turn()
        #expect(freed == nil)
    }
}
