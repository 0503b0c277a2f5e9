// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Task sets")
struct TaskSetTests {
    private func deferred() -> Rig {
        let rig = Rig()
        rig.device.ending = .deferred
        return rig
    }

    private func settle(_ rig: Rig) {
        rig.initiator.loop.turn()
    }

    @Test("SIMPLE tasks all run at once")
    func simple() {
        let rig = deferred()
        for lba in 0..<5 as Range<UInt32> { rig.initiator.start(CDB.read10(lba, 1)) }
        #expect(rig.device.waitingCount == 5)
    }

    @Test("An ORDERED task waits for all older ones and holds back all younger ones")
    func ordered() {
        let rig = deferred()
        let first = rig.initiator.start(CDB.read10(0, 1)).tag
        let ordered = rig.initiator.start(CDB.read10(1, 1), attribute: .ordered).tag
        let third = rig.initiator.start(CDB.read10(2, 1)).tag
        let secondOrdered = rig.initiator.start(CDB.read10(3, 1), attribute: .ordered).tag
        for expected in [first, ordered, third, secondOrdered] {
            #expect(rig.device.waitingCount == 1)
            rig.device.completeNext()
            settle(rig)
            #expect(rig.initiator.port.order.last == expected)
        }
        #expect(rig.initiator.port.order.count == 4)
    }

    @Test("A HEAD OF QUEUE task runs at once, and SIMPLE ones that come later wait for it")
    func headOfQueue() {
        let rig = deferred()
        rig.initiator.start(CDB.read10(0, 1))
        rig.initiator.start(CDB.read10(1, 1), attribute: .ordered)
        rig.initiator.start(CDB.read10(2, 1), attribute: .headOfQueue)
        #expect(rig.device.waitingCount == 2)
        rig.initiator.start(CDB.read10(3, 1))
        #expect(rig.device.waitingCount == 2)
        rig.device.completeAll()
        settle(rig)
        #expect(rig.device.waitingCount == 1)
        while rig.device.completeNext() { settle(rig) }
        #expect(rig.initiator.port.order == [1, 3, 2, 4])
    }

    @Test("INQUIRY and REQUEST SENSE pass an ORDERED task")
    func implicitHeadOfQueue() {
        let rig = deferred()
        rig.initiator.start(CDB.read10(0, 1), attribute: .ordered)
        #expect(rig.initiator.start([0x12, 0, 0, 0, 96, 0]).ended?.status == .good)
        #expect(rig.initiator.start(CDB.requestSense()).ended?.status == .good)
        #expect(rig.initiator.start(CDB.testUnitReady).ended == nil)
    }

    @Test("A task set is that of one nexus: an ORDERED task holds back nobody else's")
    func perNexus() {
        let rig = deferred()
        let other = rig.anotherInitiator()
        rig.initiator.start(CDB.read10(0, 1), attribute: .ordered)
        rig.initiator.start(CDB.read10(1, 1))
        other.start(CDB.read10(2, 1))
        #expect(rig.device.waitingCount == 2)
    }

    @Test("Younger tasks wait for an ORDERED one whose data have not come, and run when it is given up")
    func orderedWithoutData() {
        let rig = deferred()
        let gathering = rig.initiator.makeTask(CDB.write10(0, 1), attribute: .ordered, expectedFromInitiator: 512)
        guard case .accepted = rig.initiator.nexus.accept(gathering) else {
            Issue.record("not accepted")
            return
        }
        rig.initiator.start(CDB.read10(1, 1))
        #expect(rig.device.waitingCount == 0)
        rig.initiator.nexus.cancel(gathering)
        #expect(rig.device.waitingCount == 1)
        rig.device.completeAll()
        settle(rig)
        #expect(rig.initiator.port.order.count == 1)
    }

    @Test("A task with bad data ends with the sense that its transport gives, and lets the others run")
    func failedData() {
        let rig = deferred()
        let gathering = rig.initiator.makeTask(CDB.write10(0, 1), attribute: .ordered, expectedFromInitiator: 512)
        _ = rig.initiator.nexus.accept(gathering)
        rig.initiator.lease(gathering, [])
        rig.initiator.start(CDB.read10(1, 1))
        rig.initiator.nexus.fail(gathering, .protocolServiceCRCError)
        #expect(rig.initiator.port.finished[gathering.tag] == .check(.protocolServiceCRCError))
        #expect(rig.device.waitingCount == 1)
        #expect(!rig.device.operations.contains(.write))
    }

    @Test("With random attributes and random completions every task ends, and none passes an ORDERED one")
    func random() {
        let seed = UInt64.random(in: 1...UInt64.max)
        var generator = SplitMix(seed)
        let rig = deferred()
        var attributes: [UInt64: TaskAttribute] = [:]
        for _ in 0..<500 {
            if Bool.random(using: &generator) {
                let attribute = [TaskAttribute.simple, .ordered, .simple, .simple].randomElement(using: &generator)!
                let tag = rig.initiator.start(CDB.read10(0, 1), attribute: attribute).tag
                attributes[tag] = attribute
            } else {
                rig.device.completeNext()
                settle(rig)
            }
        }
        while rig.device.completeNext() { settle(rig) }
        let order = rig.initiator.port.order
        #expect(order.count == attributes.count, "seed \(seed)")
        for (position, tag) in order.enumerated() where attributes[tag] == .ordered {
            #expect(order[..<position].allSatisfy { $0 < tag }, "seed \(seed)")
            #expect(order[(position + 1)...].allSatisfy { $0 > tag }, "seed \(seed)")
        }
    }
}

/// A small generator that gives the same sequence for the same seed.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
