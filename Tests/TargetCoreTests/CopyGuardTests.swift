// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Copies and atomic commands")
struct CopyGuardTests {
    private static func list(_ identifier: UInt8, from: Int, to: Int, lba: UInt64 = 0, count: UInt16 = 16) -> [UInt8] {
        ExtendedCopy.list(
            identifier, targets: [from, to].map { ExtendedCopy.target(CopyRig.serials[$0]) },
            segments: [ExtendedCopy.segment(count, from: lba, to: lba, source: 0, destination: 1)])
    }

    private static func compareAndWrite(_ unit: Int, _ lba: UInt64) -> (cdb: [UInt8], data: [UInt8]) {
        (CompareAndWriteTests.cdb(lba, 1), CopyRig.block(unit, Int(lba)) + [UInt8](repeating: 0xEE, count: 512))
    }

    @Test(
        "COMPARE AND WRITE to the source or the destination waits for a copy, though another unit was told to make it")
    func atomicWaits() {
        for (lun, unit) in [(CopyRig.lun0, 0), (CopyRig.lun1, 1)] {
            let rig = CopyRig { _, features in features.maximumTransferBlockCount = 8 }
            rig.devices[1].ending = .deferred
            let list = Self.list(7, from: 0, to: 1)
            let copy = rig.a.start(ExtendedCopy.cdb(list), list).tag
            // Block 12 has not been reached yet, and block 20 is none of the copy's.
            let inside = Self.compareAndWrite(unit, 12)
            let outside = Self.compareAndWrite(unit, 20)
            let waiting = rig.a.start(inside.cdb, inside.data, lun: lun).tag
            let passing = rig.a.start(outside.cdb, outside.data, lun: lun).tag
            while rig.a.port.finished[copy] == nil {
                #expect(rig.a.port.finished[waiting] == nil)
                rig.devices[1].completeNext()
                rig.a.loop.turn()
            }
            rig.devices[1].ending = .inline
            rig.devices[1].completeAll()
            rig.a.loop.turn()
            #expect(rig.a.port.finished[copy] == .good && rig.a.port.finished[passing] == .good)
            // The copy has made unit one's block out of unit zero's before the comparison.
            let isEqual = unit == 0
            #expect(rig.a.port.finished[waiting]?.status == (isEqual ? .good : .checkCondition))
            #expect(rig.devices[1].block(12) == CopyRig.block(0, 12))
        }
    }

    @Test("A copy waits for the COMPARE AND WRITE of another unit, and one that waits can be aborted")
    func copyWaits() {
        let rig = CopyRig()
        rig.devices[1].ending = .deferred
        let atomic = Self.compareAndWrite(1, 3)
        let first = rig.a.start(atomic.cdb, atomic.data, lun: CopyRig.lun1).tag
        let list = Self.list(7, from: 0, to: 1)
        let other = Self.list(8, from: 1, to: 0)
        let copy = rig.a.start(ExtendedCopy.cdb(list), list).tag
        let aborted = rig.a.start(ExtendedCopy.cdb(other), other).tag
        #expect(rig.devices[0].log.isEmpty && rig.devices[1].operations == [.read])
        var response: TaskManagementResponse?
        rig.a.nexus.perform(.abortTask, lun: CopyRig.lun0, tag: aborted) { response = $0 }
        #expect(response == .functionComplete && rig.a.port.aborted == [aborted])
        for _ in 0..<4 {
            rig.devices[1].completeAll()
            rig.a.loop.turn()
        }
        #expect(rig.a.port.finished[first] == .good && rig.a.port.finished[copy] == .good)
        #expect(rig.devices[1].block(3) == CopyRig.block(0, 3))
        // Nothing is held any more.
        rig.devices[1].ending = .inline
        for (lun, unit) in [(CopyRig.lun0, 0), (CopyRig.lun1, 0)] {
            let last = Self.compareAndWrite(unit, 3)
            #expect(rig.a.run(last.cdb, last.data, lun: lun) == .good)
        }
    }

    @Test("Copies in both directions with atomic commands between them all end")
    func noDeadlock() {
        let rig = CopyRig { _, features in features.maximumTransferBlockCount = 8 }
        for device in rig.devices { device.ending = .deferred }
        var tags: [UInt64] = []
        for round in 0..<6 {
            for (from, to) in [(0, 1), (1, 0)] {
                let list = Self.list(UInt8(2 * round + from), from: from, to: to)
                tags.append(rig.a.start(ExtendedCopy.cdb(list), list, lun: from == 0 ? CopyRig.lun1 : CopyRig.lun0).tag)
                let atomic = Self.compareAndWrite(to, UInt64(round))
                tags.append(rig.a.start(atomic.cdb, atomic.data, lun: to == 0 ? CopyRig.lun0 : CopyRig.lun1).tag)
            }
        }
        for _ in 0..<400 {
            for device in rig.devices { device.completeNext() }
            rig.a.loop.turn()
        }
        for tag in tags { #expect(rig.a.port.finished[tag] != nil) }
        #expect(rig.devices.allSatisfy { $0.waitingCount == 0 })
    }

    enum Fence: CaseIterable { case preemptAndAbort, logicalUnitReset }

    @Test(
        "Who clears the tasks of a unit waits for copies to it that another unit was told to make",
        arguments: Fence.allCases)
    func fence(how: Fence) {
        let rig = CopyRig { _, features in features.maximumTransferBlockCount = 8 }
        #expect(ReservationTests.out(rig.a, .register, newKey: 1) == .good)
        #expect(ReservationTests.out(rig.b, .register, newKey: 2) == .good)
        rig.devices[0].ending = .deferred
        let list = Self.list(7, from: 1, to: 0)
        let copy = rig.a.start(ExtendedCopy.cdb(list), list, lun: CopyRig.lun1).tag
        #expect(rig.devices[0].operations == [.write])
        var isFenced = false
        switch how {
        case .preemptAndAbort:
            rig.b.port.afterFinished = { _ in isFenced = true }
            rig.b.start(
                [0x5F, 5, 1, 0, 0, 0, 0, 0, 24, 0],
                joined(UInt64(2).bytes, UInt64(1).bytes, [UInt8](repeating: 0, count: 8)))
        case .logicalUnitReset:
            rig.b.nexus.perform(.logicalUnitReset, lun: CopyRig.lun0, tag: 0) { _ in isFenced = true }
        }
        rig.a.loop.turn()
        #expect(!isFenced)
        rig.devices[0].completeAll()
        rig.a.loop.turn()
        #expect(isFenced && rig.devices[0].operations == [.write])
        #expect(rig.a.port.finished[copy] == .check(.copyOperationTerminated))
    }

    @Test("A command that became ready together with an atomic one waits for it, and not both for each other")
    func readyTogether() {
        let rig = CopyRig()
        rig.devices[0].ending = .deferred
        let first = rig.a.start(CDB.read10(900, 1), attribute: .headOfQueue).tag
        let atomic = Self.compareAndWrite(0, 3)
        let second = rig.a.start(atomic.cdb, atomic.data).tag
        let third = rig.a.start(CDB.read10(3, 1)).tag
        // Which fails, since the first has changed the block; but it ends.
        let fourth = rig.a.start(atomic.cdb, atomic.data).tag
        let zeroes = Token.write(Token.zero, [(3, 1)])
        let fifth = rig.a.start(zeroes.cdb, zeroes.list).tag
        for _ in 0..<9 {
            rig.devices[0].completeAll()
            rig.a.loop.turn()
        }
        for tag in [first, second, third, fifth] { #expect(rig.a.port.finished[tag]?.status == .good) }
        #expect(rig.a.port.finished[fourth]?.sense?.key == .miscompare)
    }
}
