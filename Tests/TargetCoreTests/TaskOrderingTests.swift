// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("The ordering matrix")
struct TaskOrderingTests {
    /// A task, one that came before it and has not ended, and whether SAM-5 8.6 lets the task run.
    private static let older: [(task: TaskAttribute, older: TaskAttribute, runs: Bool)] = [
        (.simple, .simple, true), (.simple, .ordered, false), (.simple, .headOfQueue, false),
        (.ordered, .simple, false), (.ordered, .ordered, false), (.ordered, .headOfQueue, false),
        (.headOfQueue, .simple, true), (.headOfQueue, .ordered, true), (.headOfQueue, .headOfQueue, true),
    ]

    @Test("A task waits for an older one, or does not", arguments: older)
    func waitsForOlder(task: TaskAttribute, older: TaskAttribute, runs: Bool) {
        let rig = Rig()
        rig.device.ending = .deferred
        rig.initiator.start(CDB.read10(0, 1), attribute: older)
        let second = rig.initiator.start(CDB.read10(1, 1), attribute: task).tag
        #expect(rig.device.waitingCount == (runs ? 2 : 1))
        rig.device.completeAll()
        rig.initiator.loop.turn()
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[second]?.status == .good)
    }

    @Test("INQUIRY runs beside any older task, and holds back none", arguments: [TaskAttribute.simple, .ordered])
    func implicit(attribute: TaskAttribute) {
        let rig = Rig()
        rig.device.ending = .deferred
        rig.initiator.start(CDB.read10(0, 1), attribute: attribute)
        #expect(rig.initiator.start([0x12, 0, 0, 0, 36, 0]).ended?.status == .good)
    }

    @Test(
        "A blocked task waits for a HEAD OF QUEUE task that came after it", arguments: [TaskAttribute.simple, .ordered])
    func headOfQueueOvertakes(attribute: TaskAttribute) {
        let rig = Rig()
        rig.device.ending = .deferred
        rig.initiator.start(CDB.read10(0, 1), attribute: .ordered)
        let blocked = rig.initiator.start(CDB.read10(1, 1), attribute: attribute).tag
        let urgent = rig.initiator.start(CDB.read10(2, 1), attribute: .headOfQueue).tag
        rig.device.completeNext()
        rig.initiator.loop.turn()
        #expect(rig.device.waitingCount == 1, "the blocked one has not begun")
        rig.device.completeNext()
        rig.initiator.loop.turn()
        rig.device.completeNext()
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.order == [1, urgent, blocked])
    }
}
