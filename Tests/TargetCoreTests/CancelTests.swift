// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Cancelling what a store has")
struct CancelTests {
    private func deferred(endsCancelled: Bool) -> Rig {
        let rig = Rig()
        rig.device.ending = .deferred
        rig.device.endsCancelled = endsCancelled
        return rig
    }

    private let block = [UInt8](repeating: 1, count: 512)

    @Test("ABORT TASK tells the store, which may end the command early: nobody else's, and nothing is written")
    func abortTask() {
        let rig = deferred(endsCancelled: true)
        let kept = rig.initiator.start(CDB.read10(5, 1)).tag
        let tag = rig.initiator.start(CDB.write10(0, 1), block).tag
        var response: TaskManagementResponse?
        rig.initiator.nexus.perform(.abortTask, lun: .init(0), tag: tag) { response = $0 }
        #expect(rig.device.cancelledOperations == [.write] && response == nil)
        rig.initiator.loop.turn()
        #expect(response == .functionComplete && rig.initiator.port.aborted == [tag])
        #expect(rig.device.block(0) == [UInt8](repeating: 0, count: 512))
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[kept]?.status == .good)
    }

    @Test("A store that takes no notice ends the command as before, and the answer waits for it")
    func deafStore() {
        let rig = deferred(endsCancelled: false)
        let tag = rig.initiator.start(CDB.write10(0, 1), block).tag
        var response: TaskManagementResponse?
        rig.initiator.nexus.perform(.abortTask, lun: .init(0), tag: tag) { response = $0 }
        rig.initiator.loop.turn()
        #expect(rig.device.cancelledOperations == [.write] && response == nil)
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(response == .functionComplete && rig.initiator.port.finished.isEmpty)
    }

    @Test("A reset cancels the commands of every nexus, each in its own loop")
    func reset() {
        let rig = deferred(endsCancelled: true)
        let other = rig.anotherInitiator()
        rig.initiator.start(CDB.read10(0, 1))
        other.start(CDB.write10(1, 1), block)
        var response: TaskManagementResponse?
        rig.initiator.nexus.perform(.logicalUnitReset, lun: .init(0), tag: 0) { response = $0 }
        #expect(rig.device.cancelledOperations == [.read])
        other.loop.turn()
        #expect(rig.device.cancelledOperations == [.read, .write])
        other.loop.turn()
        rig.initiator.loop.turn()
        #expect(response == .functionComplete)
        #expect(rig.initiator.port.aborted.count == 1 && other.port.aborted.count == 1)
    }

    @Test("Tasks outside the store are not cancelled there, nor any that has ended")
    func outside() {
        let rig = deferred(endsCancelled: true)
        rig.initiator.start(CDB.read10(0, 1))
        rig.device.completeAll()
        rig.initiator.start(CDB.read10(1, 1), attribute: .ordered)
        let gathering = rig.initiator.makeTask(CDB.write10(0, 1), expectedFromInitiator: 512)
        _ = rig.initiator.nexus.accept(gathering)
        var response: TaskManagementResponse?
        rig.initiator.nexus.perform(.abortTaskSet, lun: .init(0), tag: 0) { response = $0 }
        #expect(rig.device.cancelledOperations.isEmpty)
        rig.initiator.loop.turn()
        #expect(response == .functionComplete)
    }

    @Test("When the store finds commands overdue, each loop asks it about its own that are under way")
    func overdue() {
        let rig = deferred(endsCancelled: false)
        let other = rig.anotherInitiator()
        rig.initiator.start(CDB.read10(0, 1))
        other.start(CDB.write10(1, 1), block)
        rig.unit.commandsAreOverdue()
        #expect(rig.device.overdueOperations.isEmpty)
        rig.initiator.loop.turn()
        other.loop.turn()
        #expect(rig.device.overdueOperations == [.read, .write] && rig.device.cancelledOperations.isEmpty)
        rig.device.completeAll()
        rig.initiator.loop.turn()
        other.loop.turn()
        rig.unit.commandsAreOverdue()
        rig.initiator.loop.turn()
        #expect(rig.device.overdueOperations.count == 2)
    }
}
