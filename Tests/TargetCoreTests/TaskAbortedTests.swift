// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("TAS: what an initiator learns of tasks that another one aborts")
struct TaskAbortedTests {
    private static let taskAborted = Ended(status: .taskAborted, sense: nil)

    /// MODE SELECT(6) of the Control mode page with this TAS.
    private static func select(_ tas: Bool, _ rig: Rig) {
        var page: [UInt8] = [0x0A, 10] + [UInt8](repeating: 0, count: 10)
        page[2] = 0b001 << 5 | 0x02  // TST, GLTSD
        page[3] = 0b0001 << 4
        page[5] = tas ? 0x40 : 0
        page[8] = 0xFF
        page[9] = 0xFF
        #expect(rig.initiator.run([0x15, 0x10, 0, 0, 16, 0], [0, 0, 0, 0] + page) == .good)
    }

    @Test("LOGICAL UNIT RESET by another: TASK ABORTED with TAS one, nothing with zero", arguments: [false, true])
    func logicalUnitReset(tas: Bool) {
        let rig = Rig()
        Self.select(tas, rig)
        let victim = rig.anotherInitiator()
        rig.device.ending = .deferred
        let running = victim.start(CDB.read10(0, 1)).tag
        let own = rig.initiator.start(CDB.read10(1, 1)).tag
        // This one is still gathering its data.
        let gathering = victim.makeTask(CDB.write10(2, 1), expectedFromInitiator: 512)
        #expect(victim.nexus.accept(gathering) == .accepted)
        var answer: TaskManagementResponse?
        rig.initiator.nexus.perform(.logicalUnitReset, lun: .init(0), tag: 0) { answer = $0 }
        victim.loop.turn()
        #expect(answer == nil, "a read is in the store")
        rig.device.completeAll()
        turnAll(rig.initiator, victim)
        #expect(answer == .functionComplete)
        #expect(rig.initiator.port.aborted == [own], "the one who asked knows")
        if tas {
            #expect(victim.port.finished[running] == Self.taskAborted)
            #expect(victim.port.finished[gathering.tag] == Self.taskAborted)
            #expect(victim.port.aborted.isEmpty)
        } else {
            #expect(Set(victim.port.aborted) == [running, gathering.tag])
            #expect(victim.port.finished.isEmpty)
        }
        rig.device.ending = .inline
        #expect(victim.run(CDB.testUnitReady).sense?.additional == .busDeviceResetFunctionOccurred)
        #expect(victim.run(CDB.testUnitReady) == .good)
    }

    @Test("PREEMPT AND ABORT: TASK ABORTED with TAS one, and no COMMANDS CLEARED besides", arguments: [false, true])
    func preemptAndAbort(tas: Bool) {
        let rig = Rig()
        Self.select(tas, rig)
        let victim = rig.anotherInitiator()
        func register(_ initiator: Initiator, _ key: UInt64) {
            #expect(
                initiator.run(
                    [0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0], UInt64(0).bytes + key.bytes + [0, 0, 0, 0, 0, 0, 0, 0])
                    == .good)
        }
        register(rig.initiator, 1)
        register(victim, 2)
        rig.device.ending = .deferred
        let running = victim.start(CDB.read10(0, 1)).tag
        let preempt = rig.initiator.start(
            [0x5F, 5, 1, 0, 0, 0, 0, 0, 24, 0], UInt64(1).bytes + UInt64(2).bytes + [0, 0, 0, 0, 0, 0, 0, 0]
        ).tag
        turnAll(rig.initiator, victim)
        rig.device.completeAll()
        turnAll(rig.initiator, victim)
        #expect(rig.initiator.port.finished[preempt] == .good)
        #expect(victim.port.finished[running] == (tas ? Self.taskAborted : nil))
        #expect(victim.port.aborted == (tas ? [] : [running]))
        rig.device.ending = .inline
        var told: [AdditionalSense] = []
        while let sense = victim.run(CDB.testUnitReady).sense { told.append(sense.additional) }
        let expected: [AdditionalSense] =
            tas ? [.registrationsPreempted] : [.commandsClearedByAnotherInitiator, .registrationsPreempted]
        #expect(told == expected)
    }

    @Test("ABORT TASK SET and I_T NEXUS RESET by the initiator itself send no status, whatever TAS is")
    func ownAborts() {
        let rig = Rig()
        Self.select(true, rig)
        for function in [TaskManagementFunction.abortTaskSet, .clearTaskSet, .iTNexusReset] {
            rig.device.ending = .deferred
            let tag = rig.initiator.start(CDB.read10(0, 1)).tag
            rig.initiator.nexus.perform(function, lun: .init(0), tag: 0) { _ in }
            rig.device.completeAll()
            rig.initiator.loop.turn()
            #expect(rig.initiator.port.finished[tag] == nil)
            #expect(rig.initiator.port.aborted.last == tag)
            rig.device.ending = .inline
            _ = rig.initiator.run(CDB.testUnitReady)
        }
    }
}
