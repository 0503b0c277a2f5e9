// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("SANITIZE that fails, or is cut off")
struct SanitizeFailureTests {
    @Test("A pass that fails leaves the unit failed until another one succeeds", arguments: [0, 0x20])
    func fails(ause: UInt8) {
        let rig = SanitizeTests.rig()
        rig.device.failure = { $0 == .write ? .failed(.checkCondition, .writeError()) : nil }
        #expect(SanitizeTests.sanitize(rig, flags: ause) == .check(.sanitizeCommandFailed))
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.sanitizeCommandFailed))
        #expect(rig.initiator.run(CDB.read10(0, 1)) == .check(.sanitizeCommandFailed))
        #expect(rig.initiator.run([0x04, 0, 0, 0, 0, 0]) == .check(.sanitizeCommandFailed))
        #expect(SenseData(rig.initiator.run(CDB.requestSense()).data) == .sanitizeCommandFailed)
        rig.device.failure = { _ in nil }
        #expect(SanitizeTests.sanitize(rig, flags: ause) == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("Samples that read otherwise than they were written are a failure")
    func lies() {
        let rig = SanitizeTests.rig()
        rig.device.ending = .deferred
        let list = SanitizeTests.list(1, [9])
        let (tag, _) = rig.initiator.start(SanitizeTests.overwrite(list.count), list)
        for _ in 0..<3 {
            rig.initiator.loop.turn()
            rig.device.completeAll()
            rig.device.contents = [UInt8](repeating: 0x61, count: 1024 * 512)
        }
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[tag] == .check(.sanitizeCommandFailed))
    }

    @Test("EXIT FAILURE MODE leaves a failure where AUSE was one")
    func exits() {
        let rig = SanitizeTests.rig()
        rig.device.failure = { $0 == .write ? .failed(.checkCondition, .writeError()) : nil }
        #expect(SanitizeTests.sanitize(rig, flags: 0x20) == .check(.sanitizeCommandFailed))
        #expect(rig.initiator.run(SanitizeTests.exit) == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        #expect(rig.initiator.run(SanitizeTests.exit) == .good, "there is nothing to leave")
    }

    @Test(
        "In restricted completion mode EXIT FAILURE MODE is refused, and so is a SANITIZE that asks for the other mode")
    func restricted() {
        let rig = SanitizeTests.rig()
        rig.device.failure = { $0 == .write ? .failed(.checkCondition, .writeError()) : nil }
        #expect(SanitizeTests.sanitize(rig) == .check(.sanitizeCommandFailed))
        #expect(rig.initiator.run(SanitizeTests.exit) == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
        #expect(SanitizeTests.sanitize(rig, flags: 0x20) == .check(.invalidFieldInCDB(byte: 1, bit: 5)))
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.sanitizeCommandFailed))
    }

    // MARK: - Durability

    @Test("It is on record before the first write, and taken off when all is done")
    func recorded() {
        let store = FakeStore()
        let rig = SanitizeTests.rig(store)
        rig.device.ending = .deferred
        let list = SanitizeTests.list(1, [9])
        let (tag, _) = rig.initiator.start(SanitizeTests.overwrite(list.count, flags: 0xA0), list)
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[tag] == .good)
        let cutOff = store.saved
        #expect(cutOff.sanitizeFailure == SanitizeFailure(allowsUnrestrictedExit: true))
        rig.device.ending = .inline
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(store.saved.sanitizeFailure == nil)

        // The process ended in between, and begins again.
        let again = SanitizeTests.rig(FakeStore(cutOff))
        #expect(again.initiator.run(CDB.read10(0, 1)) == .check(.sanitizeCommandFailed))
        #expect(again.initiator.run(SanitizeTests.exit) == .good)
        #expect(again.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("Where it cannot be put on record it does not begin", arguments: [0, 0x80])
    func notRecorded(immediate: UInt8) {
        let store = FakeStore()
        store.fails = true
        let rig = SanitizeTests.rig(store)
        #expect(SanitizeTests.sanitize(rig, flags: immediate) == .check(.internalTargetFailure))
        #expect(rig.device.log.isEmpty)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("EXIT FAILURE MODE is done when it is on record")
    func exitRecorded() {
        let store = FakeStore()
        let rig = SanitizeTests.rig(store)
        rig.device.failure = { $0 == .write ? .failed(.checkCondition, .writeError()) : nil }
        #expect(SanitizeTests.sanitize(rig, flags: 0x20) == .check(.sanitizeCommandFailed))
        store.fails = true
        #expect(rig.initiator.run(SanitizeTests.exit) == .check(.internalTargetFailure))
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.sanitizeCommandFailed))
        store.fails = false
        #expect(rig.initiator.run(SanitizeTests.exit) == .good)
        #expect(store.saved.sanitizeFailure == nil)
    }
}
