// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Live changes of a LUN map: commands under way")
struct MapChangeTests {
    private static let unsupported = Ended.check(.logicalUnitNotSupported)
    private static let block = [UInt8](repeating: 0xAB, count: 512)

    @Test("A command whose request is in the device ends when that has, and only then is the change done")
    func inDevice() {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1])
        rig.devices[1].ending = .deferred
        let write = a.start(CDB.write10(3, 1), Self.block, lun: .lun[1]).tag
        let read = a.start(CDB.read10(3, 1), lun: .lun[1]).tag
        let change = rig.change(a, to: [0: 0])
        // At once: nothing new goes there, whatever still runs.
        #expect(a.run(CDB.testUnitReady, lun: .lun[1]) == Self.unsupported)
        #expect(a.reportedLUNs() == [0])
        #expect(rig.devices[1].cancelledOperations == [.write, .read])
        #expect(change.count == 0 && a.port.finished[write] == nil)
        rig.devices[1].completeNext()
        a.loop.turn()
        #expect(change.count == 0 && a.port.finished[write] == Self.unsupported)
        rig.devices[1].completeNext()
        a.loop.turn()
        #expect(change.count == 1 && a.port.finished[read] == Self.unsupported)
        #expect(a.port.aborted.isEmpty)
    }

    @Test("Commands that gather data or wait their turn end at once")
    func notBegun() {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1])
        rig.devices[1].ending = .deferred
        let gathering = a.makeTask(CDB.write10(3, 1), lun: .lun[1], expectedFromInitiator: 512)
        #expect(a.nexus.accept(gathering) == .accepted)
        let running = a.start(CDB.read10(3, 1), lun: .lun[1]).tag
        let blocked = a.start(CDB.read10(3, 1), lun: .lun[1], attribute: .ordered).tag
        let change = rig.change(a, to: [0: 0])
        #expect(a.port.finished[gathering.tag] == Self.unsupported && a.port.finished[blocked] == Self.unsupported)
        #expect(a.port.finished[running] == nil && change.count == 0)
        // The transport may still say of the task what it said before.
        a.nexus.execute(gathering)
        a.nexus.cancel(gathering)
        a.nexus.fail(gathering, .invalidFieldInCDB)
        rig.devices[1].completeAll()
        a.loop.turn()
        #expect(change.count == 1)
        #expect(a.port.order.sorted() == [gathering.tag, running, blocked].sorted())
        #expect(rig.devices[1].operations == [.read])
    }

    @Test("A command that waits for another nexus's COMPARE AND WRITE ends at once, and that one goes on")
    func waitingForExtent() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        let b = rig.initiator([0: 0], name: MapRig.nameB)
        rig.devices[0].ending = .deferred
        let atomic = b.start(CompareAndWriteTests.cdb(3, 1), [UInt8](repeating: 0, count: 512) + Self.block).tag
        turnAll(a, b)
        let waiting = a.start(CDB.write10(3, 1), Self.block).tag
        let change = rig.change(a, to: [:])
        #expect(change.count == 1 && a.port.finished[waiting] == Self.unsupported)
        rig.devices[0].ending = .inline
        rig.devices[0].completeAll()
        turnAll(a, b)
        #expect(b.port.finished[atomic] == .good)
    }

    @Test("Commands for units that stay, and those of other nexuses, go on")
    func others() {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1])
        let b = rig.initiator([0: 1], name: MapRig.nameB)
        for device in rig.devices { device.ending = .deferred }
        let staying = a.start(CDB.write10(3, 1), Self.block).tag
        let gone = a.start(CDB.write10(3, 1), Self.block, lun: .lun[1]).tag
        let other = b.start(CDB.write10(4, 1), Self.block).tag
        let change = rig.change(a, to: [0: 0])
        rig.devices[1].completeAll()
        turnAll(a, b)
        #expect(change.count == 1 && a.port.finished[gone] == Self.unsupported)
        #expect(b.port.finished[other] == .good && a.port.finished[staying] == nil)
        rig.devices[0].completeAll()
        turnAll(a, b)
        #expect(a.port.finished[staying] == .good)
        #expect(b.attentions(0).isEmpty)
    }

    @Test("A command that its initiator had aborted before stays without a status")
    func abortedBefore() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        rig.devices[0].ending = .deferred
        let tag = a.start(CDB.read10(3, 1)).tag
        var response: TaskManagementResponse?
        a.nexus.perform(.abortTask, lun: .lun[0], tag: tag) { response = $0 }
        let change = rig.change(a, to: [:])
        rig.devices[0].completeAll()
        a.loop.turn()
        #expect(change.count == 1 && response == .functionComplete)
        #expect(a.port.aborted == [tag] && a.port.finished.isEmpty)
    }

    @Test("A logical unit reset by another nexus waits for what is still under way of a unit that is gone")
    func resetWaits() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        let b = rig.initiator([0: 0], name: MapRig.nameB)
        rig.devices[0].ending = .deferred
        a.start(CDB.write10(3, 1), Self.block)
        let change = rig.change(a, to: [:])
        var isReset = false
        b.nexus.perform(.logicalUnitReset, lun: .lun[0], tag: 0) { _ in isReset = true }
        turnAll(a, b)
        #expect(!isReset && change.count == 0)
        rig.devices[0].completeAll()
        turnAll(a, b)
        #expect(isReset && change.count == 1)
    }

    @Test(
        "So do the resets of the nexus itself",
        arguments: [.iTNexusReset, .targetWarmReset, .targetColdReset] as [TaskManagementFunction])
    func ownResetWaits(function: TaskManagementFunction) {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1])
        rig.devices[0].ending = .deferred
        a.start(CDB.write10(3, 1), Self.block)
        let change = rig.change(a, to: [1: 1])
        var isReset = false
        a.nexus.perform(function, lun: .lun[1], tag: 0) { _ in isReset = true }
        a.loop.turn()
        #expect(!isReset)
        rig.devices[0].completeAll()
        a.loop.turn()
        #expect(isReset && change.count == 1)
    }

    @Test("COMPARE AND WRITE of another nexus waits for a write that is still under way of a unit that is gone")
    func atomicWaits() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        let b = rig.initiator([0: 0], name: MapRig.nameB)
        rig.devices[0].ending = .deferred
        a.start(CDB.write10(3, 1), Self.block)
        rig.change(a, to: [:])
        let atomic = b.start(CompareAndWriteTests.cdb(3, 1), Self.block + Self.block).tag
        turnAll(a, b)
        #expect(rig.devices[0].operations == [.write])
        rig.devices[0].ending = .inline
        rig.devices[0].completeAll()
        turnAll(a, b)
        #expect(b.port.finished[atomic] == .good)
    }

    @Test("A copy that another unit was told to make ends when the nexus loses its source or destination")
    func copies() {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1, 2: 2])
        let list = ExtendedCopy.list(
            targets: ["unit-0", "unit-1"].map { ExtendedCopy.target($0) },
            segments: [ExtendedCopy.segment(2, from: 3, to: 9, source: 0, destination: 1)])
        rig.devices[0].ending = .deferred
        let copy = a.start(ExtendedCopy.cdb(list), list, lun: .lun[2]).tag
        let change = rig.change(a, to: [0: 0, 2: 2])
        #expect(change.count == 0)
        rig.devices[0].completeAll()
        a.loop.turn()
        #expect(change.count == 1 && a.port.finished[copy] == .check(.copyOperationTerminated))
        #expect(rig.devices[1].log.isEmpty)
    }

    @Test("A unit that comes again before its commands have ended is a new one, and theirs end as those of the old")
    func comesAgain() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        rig.devices[0].ending = .deferred
        let old = a.start(CDB.write10(3, 1), Self.block).tag
        let first = rig.change(a, to: [:])
        let second = rig.change(a, to: [0: 0])
        #expect(first.count == 0 && second.count == 1)
        #expect(a.attentions(0) == [.reportedLUNsDataHasChanged])
        let new = a.start(CDB.read10(3, 1)).tag
        rig.devices[0].completeAll()
        a.loop.turn()
        #expect(first.count == 1 && a.port.finished[old] == Self.unsupported)
        #expect(a.port.finished[new]?.data == Self.block)
    }

    @Test("The nexus may be lost while a change is on its way: both completions come, once")
    func closed() {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1])
        for device in rig.devices { device.ending = .deferred }
        let gone = a.start(CDB.write10(3, 1), Self.block).tag
        let lost = a.start(CDB.write10(3, 1), Self.block, lun: .lun[1]).tag
        let change = rig.change(a, to: [1: 1])
        var closings = 0
        a.nexus.close { closings += 1 }
        rig.devices[1].completeAll()
        a.loop.turn()
        #expect(closings == 0 && change.count == 0)
        rig.devices[0].completeAll()
        a.loop.turn()
        #expect(closings == 1 && change.count == 1)
        #expect(a.port.finished[gone] == Self.unsupported && a.port.aborted == [lost])
        #expect(rig.change(a, to: [2: 2]).count == 1)
        #expect(!a.nexus.sees(2))
    }

    @Test("A change may come from within the end of a command of a unit that goes")
    func withinCallback() {
        let rig = MapRig()
        let a = rig.initiator([0: 0, 1: 1])
        var changes: [MapRig.Completion] = []
        a.port.afterFinished = { _ in
            if changes.isEmpty { changes.append(rig.change(a, to: [1: 1])) }
        }
        #expect(a.run(CDB.read10(3, 1)).status == .good)
        #expect(changes.first?.count == 1)
        #expect(a.run(CDB.read10(3, 1)) == Self.unsupported)
        a.loop.turn()
        #expect(a.attentions(1) == [.reportedLUNsDataHasChanged])
    }

    @Test("Writes that have not begun end when a view becomes read-only, and the change waits for those that have")
    func becomesReadOnly() {
        let rig = MapRig()
        let a = rig.initiator([0: 0])
        rig.devices[0].ending = .deferred
        let begun = a.start(CDB.write10(3, 1), Self.block).tag
        let gathering = a.makeTask(CDB.write10(4, 1), expectedFromInitiator: 512)
        #expect(a.nexus.accept(gathering) == .accepted)
        let reading = a.makeTask(CDB.read10(4, 1))
        #expect(a.nexus.accept(reading) == .accepted)
        let blocked = a.start(CDB.write10(5, 1), Self.block, attribute: .ordered).tag
        let change = rig.change(a, to: [0: 0], readOnly: [0])
        #expect(change.count == 0)
        a.lease(gathering, Self.block)
        a.nexus.execute(gathering)
        a.lease(reading, [])
        a.nexus.execute(reading)
        while rig.devices[0].completeNext() { a.loop.turn() }
        a.loop.turn()
        #expect(change.count == 1)
        #expect(a.port.finished[begun] == .good && a.port.finished[reading.tag]?.status == .good)
        #expect(a.port.finished[gathering.tag] == .check(.writeProtected))
        #expect(a.port.finished[blocked] == .check(.writeProtected))
        #expect(rig.devices[0].operations == [.write, .read])
        #expect(rig.devices[0].block(3) == Self.block)
    }

    @Test("A copy under way ends when its destination becomes read-only")
    func copyToReadOnly() {
        var features = BlockDeviceFeatures()
        features.maximumTransferBlockCount = 2
        let rig = MapRig([FakeDevice(features: features), FakeDevice(features: features), FakeDevice()])
        let a = rig.initiator([0: 0, 1: 1])
        let list = ExtendedCopy.list(
            targets: ["unit-0", "unit-1"].map { ExtendedCopy.target($0) },
            segments: [ExtendedCopy.segment(4, from: 0, to: 100, source: 0, destination: 1)])
        rig.devices[0].ending = .deferred
        let copy = a.start(ExtendedCopy.cdb(list), list).tag
        #expect(rig.change(a, to: [0: 0, 1: 1], readOnly: [1]).count == 1)
        rig.devices[0].completeAll()
        a.loop.turn()
        #expect(a.port.finished[copy]?.sense?.additional == .writeProtected)
        #expect(rig.devices[1].log.isEmpty)
    }
}
