// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Reservations that survive (APTPL)")
struct DurableReservationTests {
    typealias Status = ReserveBytes.Status
    private let a = TwoPorts.nameA
    private let b = TwoPorts.nameB
    private static let persists: UInt8 = 0x01

    /// The server ends and starts again.
    private func restarted(_ store: FakeStore, targetNames: [String] = TwoPorts.targetNames) -> TwoPorts {
        TwoPorts(FakeStore(store.saved), targetNames: targetNames)
    }

    @Test("What APTPL asked for is there after a restart, with PRGENERATION zero", arguments: ReservationType.allCases)
    func restart(type: ReservationType) {
        let store = FakeStore()
        let scene = TwoPorts(store)
        let first = scene.initiator(a, port: 1)
        let second = scene.initiator(b, port: 2)
        #expect(ReservationTests.out(first, .register, newKey: 1, flags: Self.persists) == .good)
        #expect(ReservationTests.out(second, .register, newKey: .max, flags: Self.persists) == .good)
        #expect(ReservationTests.out(second, .reserve, type: type, key: .max) == .good)
        let before = ReserveBytes.fullStatus(first)

        let later = restarted(store)
        let found = later.initiator(a, port: 1)
        #expect(ReserveBytes.fullStatus(found) == before)
        let reservation = found.run(ReservationTests.inCDB(1)).data
        #expect(Array(reservation[0..<4]) == [0, 0, 0, 0] && reservation[21] == type.rawValue)
        #expect(later.initiator("iqn.c,i,0x000000000001", port: 1).run(CDB.write10(0, 0)) == .reservationConflict)
        #expect(later.initiator(b, port: 2).run(CDB.write10(0, 0)) == .good)
        #expect(found.run(ReservationTests.inCDB(2)).data[3] == 0x81, "PTPL_A")
    }

    @Test("A registration stays with its target, whatever number the target's port has")
    func renumbered() {
        let store = FakeStore()
        let scene = TwoPorts(store)
        let first = scene.initiator(a, port: 1)
        #expect(ReservationTests.out(first, .register, newKey: 1, flags: Self.persists | 0x04) == .good)
        #expect(ReservationTests.out(scene.initiator(a, port: 2), .register, key: 1, newKey: 2, flags: 1) == .good)
        // The targets change places; then the first is not served at all, and comes back.
        let swapped = restarted(store, targetNames: TwoPorts.targetNames.reversed())
        let found = ReserveBytes.fullStatus(swapped.initiator(b, port: 1))
        #expect(found == [Status(key: 1, port: 2, name: a), Status(key: 2, port: 1, name: a)])
        let alone = FakeStore(store.saved)
        let one = TwoPorts(alone, targetNames: [TwoPorts.targetNames[1]])
        let absent = ReserveBytes.fullStatus(one.initiator(b, port: 1))
        #expect(absent.map(\.key) == [1, 2] && absent[0].port == .max && absent[1].port == 1)
        #expect(ReservationTests.out(one.initiator(a, port: 1), .register, key: 2, newKey: 3, flags: 1) == .good)
        let back = ReserveBytes.fullStatus(restarted(alone).initiator(b, port: 1))
        #expect(back == [Status(key: 1, port: 1, name: a), Status(key: 3, port: 2, name: a)])
    }

    @Test("Status and effect wait for the save; others see the old state until then, and take their turn")
    func phases() {
        let store = FakeStore()
        let rig = Rig(store)
        let other = rig.anotherInitiator()
        let third = rig.anotherInitiator("iqn.c,i,0x000000000001")
        for (initiator, key) in [(rig.initiator, UInt64(1)), (other, 2)] {
            #expect(ReservationTests.out(initiator, .register, newKey: key, flags: Self.persists) == .good)
        }
        store.isDeferred = true
        let list = joined(UInt64(1).bytes, UInt64(0).bytes, [UInt8](repeating: 0, count: 8))
        let reserve = rig.initiator.start([0x5F, 1, 0x05, 0, 0, 0, 0, 0, 24, 0], list).tag
        #expect(store.waitingCount == 1)
        #expect(third.run(CDB.write10(0, 0)) == .good, "nothing is reserved yet")
        let clear = other.start(
            [0x5F, 3, 0, 0, 0, 0, 0, 0, 24, 0], joined(UInt64(2).bytes, [UInt8](repeating: 0, count: 16)))
        #expect(store.waitingCount == 1, "the second waits for the first")
        // RESERVE(6) waits as well: what it depends on is about to change.
        let reserve6 = third.start([0x16, 0, 0, 0, 0, 0]).tag
        #expect(rig.initiator.port.finished[reserve] == nil && other.port.finished[clear.tag] == nil)
        #expect(!rig.initiator.loop.turn())

        store.endSave()
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[reserve] == .good)
        #expect(third.run(CDB.write10(0, 0)) == .reservationConflict)
        other.loop.turn()
        #expect(store.waitingCount == 1)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good, "cleared only once that is saved")
        store.endSave()
        other.loop.turn()
        #expect(other.port.finished[clear.tag] == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.reservationsPreempted))
        third.loop.turn()
        #expect(third.port.finished[reserve6] == .good)
        #expect(store.saved.reservations != nil, "APTPL is still one")
    }

    @Test("A save that fails changes nothing, tells nobody, and is no GOOD")
    func failedSave() {
        let store = FakeStore()
        let rig = Rig(store)
        let other = rig.anotherInitiator()
        #expect(ReservationTests.out(rig.initiator, .register, newKey: 1, flags: Self.persists) == .good)
        #expect(ReservationTests.out(other, .register, newKey: 2, flags: Self.persists) == .good)
        let type = ReservationType.writeExclusiveRegistrantsOnly
        #expect(ReservationTests.out(rig.initiator, .reserve, type: type, key: 1) == .good)
        let before = ReserveBytes.fullStatus(other)
        store.fails = true
        let a = rig.initiator
        let noResources = Ended.check(.insufficientRegistrationResources)
        #expect(ReservationTests.out(a, .register, key: 1, newKey: 3, flags: Self.persists) == noResources)
        #expect(ReservationTests.out(a, .register, key: 1, newKey: 3) == noResources, "APTPL zero must be saved, too")
        #expect(ReservationTests.out(a, .registerAndIgnore, newKey: 0, flags: Self.persists) == noResources)
        let move = ReserveBytes.move(to: "iqn.d,i,0x000000000001", key: 1, newKey: 3, flags: Self.persists)
        #expect(ReserveBytes.run(a, 7, move) == noResources)
        let failure = Ended.check(.internalTargetFailure)
        #expect(ReservationTests.out(a, .release, type: type, key: 1) == failure)
        #expect(ReservationTests.out(a, .clear, key: 1) == failure)
        for action in [ReservationTests.Action.preempt, .preemptAndAbort] {
            #expect(ReservationTests.out(other, action, type: type, key: 2, newKey: 1) == failure)
        }
        #expect(ReserveBytes.fullStatus(other) == before)
        #expect(other.run(CDB.testUnitReady) == .good && a.run(CDB.testUnitReady) == .good)
        // The turn has been given back each time.
        store.fails = false
        #expect(ReservationTests.out(a, .release, type: type, key: 1) == .good)
        #expect(other.run(CDB.testUnitReady) == .check(.reservationsReleased))
    }

    @Test("APTPL zero removes what was stored, and nothing is saved from then on")
    func switchedOff() {
        let store = FakeStore()
        let rig = Rig(store)
        #expect(ReservationTests.out(rig.initiator, .register, newKey: 1, flags: Self.persists) == .good)
        #expect(store.saved.reservations != nil)
        #expect(ReservationTests.out(rig.initiator, .register, key: 1, newKey: 2) == .good)
        #expect(store.saved == DurableUnitState())
        let count = store.saveCount
        #expect(ReservationTests.out(rig.initiator, .reserve, type: .writeExclusive, key: 2) == .good)
        #expect(ReservationTests.out(rig.initiator, .clear, key: 2) == .good)
        #expect(store.saveCount == count)
        #expect(ReserveBytes.fullStatus(restarted(store).initiator(a, port: 1)).isEmpty)
    }

    @Test("An abort during the save stops the status alone: what is on stable storage is what is seen")
    func abortedDuringSave() {
        let store = FakeStore()
        let rig = Rig(store)
        let other = rig.anotherInitiator()
        store.isDeferred = true
        let list = joined(UInt64(0).bytes, UInt64(1).bytes, [0, 0, 0, 0, 1, 0, 0, 0])
        let tag = rig.initiator.start([0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0], list).tag
        // One that waits for its turn can be aborted at once.
        let waiting = other.start([0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0], list).tag
        other.nexus.perform(.abortTask, lun: .init(0), tag: waiting) { _ in }
        #expect(other.port.aborted == [waiting])
        var answer: TaskManagementResponse?
        rig.initiator.nexus.perform(.abortTask, lun: .init(0), tag: tag) { answer = $0 }
        #expect(answer == nil, "the save is under way")
        store.endSave()
        rig.initiator.loop.turn()
        #expect(answer == .functionComplete && rig.initiator.port.aborted == [tag])
        store.isDeferred = false
        #expect(ReserveBytes.fullStatus(other).map(\.key) == [1])
        #expect(ReservationTests.out(other, .register, newKey: 2, flags: Self.persists) == .good)
    }

    @Test("PREEMPT AND ABORT aborts once it is saved, and ends when the aborted commands have ended")
    func preemptAndAbort() {
        let store = FakeStore()
        let rig = Rig(store)
        let b = rig.anotherInitiator()
        #expect(ReservationTests.out(rig.initiator, .register, newKey: 1, flags: Self.persists) == .good)
        #expect(ReservationTests.out(b, .register, newKey: 2, flags: Self.persists) == .good)
        rig.device.ending = .deferred
        let victim = rig.initiator.start(CDB.read10(0, 1)).tag
        store.isDeferred = true
        let tag = b.start(
            [0x5F, 5, 0x01, 0, 0, 0, 0, 0, 24, 0],
            joined(UInt64(2).bytes, UInt64(1).bytes, .init(repeating: 0, count: 8))
        ).tag
        rig.initiator.loop.turn()
        #expect(rig.device.cancelledOperations.isEmpty, "nothing is aborted before it is saved")
        store.endSave()
        for initiator in [b, rig.initiator, b] { initiator.loop.turn() }
        #expect(b.port.finished[tag] == nil)
        rig.device.completeAll()
        for initiator in [rig.initiator, b] { initiator.loop.turn() }
        #expect(rig.initiator.port.aborted == [victim])
        #expect(b.port.finished[tag] == .good)
    }

    @Test("APTPL is refused without a store, wherever it may stand")
    func withoutStore() {
        let initiator = Rig().initiator
        for action in [ReservationTests.Action.register, .registerAndIgnore] {
            let ended = ReservationTests.out(initiator, action, newKey: 1, flags: Self.persists)
            #expect(ended == .check(.invalidFieldInParameterList(byte: 20, bit: 0)))
        }
        #expect(ReservationTests.keys(initiator).isEmpty)
    }
}
