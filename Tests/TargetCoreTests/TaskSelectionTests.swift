// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("A transport ends some tasks of a nexus that goes on")
struct TaskSelectionTests {
    private static let block = [UInt8](repeating: 0xAB, count: 512)

    /// Where the unit of the command is when the transport asks for its end.
    enum Place: CaseIterable {
        case inMap
        case removed
        case replaced
        case removedFromMapOfNothing
    }

    private static func change(_ rig: MapRig, _ initiator: Initiator, _ place: Place) -> MapRig.Completion? {
        switch place {
        case .inMap: nil
        case .removed: rig.change(initiator, to: [0: 0])
        case .replaced: rig.change(initiator, to: [0: 0, 1: 2])
        case .removedFromMapOfNothing: rig.change(initiator, to: [:])
        }
    }

    @Test("The end waits for a command that a device still has, though its unit is gone", arguments: Place.allCases)
    func waits(place: Place) {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1])
        rig.devices[1].ending = .deferred
        let tags = [
            a.start(CDB.write10(3, 1), Self.block, lun: .lun[1]).tag, a.start(CDB.read10(9, 1), lun: .lun[1]).tag,
        ]
        let change = Self.change(rig, a, place)
        var isQuiet = false
        a.nexus.abortTasks(where: { tags.contains($0.tag) }, completion: { isQuiet = true })
        a.loop.turn()
        #expect(!isQuiet, "both are in the device")
        rig.devices[1].completeNext()
        a.loop.turn()
        #expect(!isQuiet, "one is in the device")
        rig.devices[1].completeNext()
        a.loop.turn()
        #expect(isQuiet && (change?.count ?? 1) == 1)
        // What its initiator was told by the change, it is told; what nobody told ends without a word.
        #expect(a.port.finished.count == (place == .inMap ? 0 : 2))
        #expect(a.port.aborted.count == (place == .inMap ? 2 : 0))
    }

    @Test("Tasks that are not meant go on, and are not waited for", arguments: Place.allCases)
    func others(place: Place) {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1])
        for device in rig.devices { device.ending = .deferred }
        let staying = a.start(CDB.write10(3, 1), Self.block, lun: .lun[0]).tag
        let other = a.start(CDB.write10(3, 1), Self.block, lun: .lun[1]).tag
        let change = place == .removedFromMapOfNothing ? nil : Self.change(rig, a, place)
        var isQuiet = false
        a.nexus.abortTasks(where: { $0.tag != staying && $0.tag != other }, completion: { isQuiet = true })
        #expect(isQuiet && (change?.count ?? 0) == 0)
        rig.devices[0].completeAll()
        rig.devices[1].completeAll()
        a.loop.turn()
        #expect(a.port.finished[staying] == .good && a.port.finished[other] != nil && a.port.aborted.isEmpty)
    }

    @Test("The same tasks may be ended more than once, and each who asked is told")
    func twice() {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1])
        rig.devices[1].ending = .deferred
        let tag = a.start(CDB.read10(3, 1), lun: .lun[1]).tag
        let change = rig.change(a, to: [0: 0])
        var quietCount = 0
        for _ in 0..<3 { a.nexus.abortTasks(where: { $0.tag == tag }, completion: { quietCount += 1 }) }
        var isClosed = false
        a.nexus.close { isClosed = true }
        #expect(quietCount == 0 && !isClosed && change.count == 0)
        rig.devices[1].completeAll()
        a.loop.turn()
        #expect(quietCount == 3 && isClosed && change.count == 1)
    }
}
