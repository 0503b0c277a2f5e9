// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("COMPARE AND WRITE")
struct CompareAndWriteTests {
    static func cdb(_ lba: UInt64, _ count: UInt8, flags: UInt8 = 0) -> [UInt8] {
        [0x89, flags] + lba.bytes + [0, 0, 0, count, 0, 0]
    }

    private static func block(_ value: UInt8) -> [UInt8] { [UInt8](repeating: value, count: 512) }

    @Test("Writes when equal, and only then; the offset of the difference is told", arguments: [false, true])
    func basics(storeCan: Bool) {
        let rig = Rig { $0.canCompareAndWrite = storeCan }
        #expect(rig.initiator.run(Self.cdb(3, 1), Self.block(0) + Self.block(7)) == .good)
        #expect(rig.device.block(3) == Self.block(7))
        var wrong = Self.block(7)
        wrong[77] = 0
        let ended = rig.initiator.run(Self.cdb(3, 1), wrong + Self.block(9))
        #expect(ended == .check(.miscompare(atByte: 77)))
        #expect(rig.device.block(3) == Self.block(7))
        #expect(rig.initiator.run(Self.cdb(3, 0)) == .good)
    }

    @Test("FUA flushes a volatile cache", arguments: [false, true])
    func forceUnitAccess(storeCan: Bool) {
        let rig = Rig {
            $0.canCompareAndWrite = storeCan
            $0.hasVolatileWriteCache = true
        }
        #expect(rig.initiator.run(Self.cdb(3, 1, flags: 0x08), Self.block(0) + Self.block(7)) == .good)
        #expect(rig.device.operations.last == .flush)
    }

    @Test("Both halves must come whole, and nothing besides", arguments: [0, 512, 1023, 1025, 2048])
    func shortData(byteCount: Int) {
        let rig = Rig()
        let ended = rig.initiator.run(Self.cdb(0, 1), [UInt8](repeating: 0, count: byteCount))
        #expect(ended == .check(.invalidFieldInCDB(byte: 13)))
        #expect(rig.device.log.isEmpty)
    }

    @Test("More blocks than told are refused")
    func tooMany() {
        let rig = Rig { $0.maximumTransferBlockCount = 4 }
        #expect(rig.initiator.run(Self.cdb(0, 5)) == .check(.invalidFieldInCDB(byte: 13)))
        #expect(rig.initiator.run(Self.cdb(1024, 1)) == .check(.logicalBlockAddressOutOfRange))
    }

    @Test("Of two that expect the same old value, on two loops, one wins and one miscompares")
    func exclusive() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        rig.device.ending = .deferred
        rig.initiator.start(Self.cdb(3, 1), Self.block(0) + Self.block(7))
        other.start(Self.cdb(3, 1), Self.block(0) + Self.block(9))
        turnAll(rig.initiator, other)
        #expect(rig.device.waitingCount == 1, "the second waits before it reads")
        rig.device.ending = .inline
        rig.device.completeNext()
        turnAll(rig.initiator, other)
        #expect(rig.initiator.port.finished[1] == .good)
        #expect(other.port.finished[1] == .check(.miscompare(atByte: 0)))
        #expect(rig.device.block(3) == Self.block(7))
    }

    @Test("One that waits is aborted at once, and a failing one lets the next run")
    func waitsAndFailures() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        rig.device.ending = .deferred
        rig.initiator.start(Self.cdb(3, 1), Self.block(0) + Self.block(7))
        let waiting = other.start(Self.cdb(3, 1), Self.block(0) + Self.block(9)).tag
        let third = other.start(Self.cdb(3, 1), Self.block(0) + Self.block(9)).tag
        turnAll(rig.initiator, other)
        var answer: TaskManagementResponse?
        other.nexus.perform(.abortTask, lun: .init(0), tag: waiting) { answer = $0 }
        #expect(answer == .functionComplete)
        rig.device.failure = { _ in .failed(.checkCondition, .unrecoveredReadError()) }
        rig.device.completeNext()
        rig.device.failure = { _ in nil }
        rig.device.ending = .inline
        turnAll(rig.initiator, other)
        #expect(rig.initiator.port.finished[1] == .check(.unrecoveredReadError()))
        #expect(other.port.finished[third] == .good)
        #expect(other.port.aborted == [waiting])
    }

    @Test("One aborted in the moment its turn has come passes the turn on")
    func abortedWithTheTurn() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        rig.device.ending = .deferred
        rig.initiator.start(Self.cdb(3, 1), Self.block(0) + Self.block(7))
        let waiting = other.start(Self.cdb(3, 1), Self.block(0) + Self.block(9)).tag
        turnAll(rig.initiator, other)
        rig.device.ending = .inline
        rig.device.completeNext()
        rig.initiator.loop.turn()
        // The turn has been posted to the other loop, which has not heard of it.
        var answer: TaskManagementResponse?
        other.nexus.perform(.abortTask, lun: .init(0), tag: waiting) { answer = $0 }
        #expect(answer == nil)
        turnAll(rig.initiator, other)
        #expect(answer == .functionComplete)
        // The turn was passed on: the next comes at once.
        let next = rig.initiator.start(Self.cdb(3, 0)).ended
        #expect(next == .good)
        let last = rig.initiator.start(Self.cdb(5, 1), Self.block(0) + Self.block(1)).tag
        turnAll(rig.initiator, other)
        #expect(rig.initiator.port.finished[last] == .good)
    }
}
