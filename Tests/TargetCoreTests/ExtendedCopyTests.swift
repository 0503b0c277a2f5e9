// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("EXTENDED COPY")
struct ExtendedCopyTests {
    private func segment(_ count: UInt16, _ from: UInt64, _ to: UInt64, flags: UInt8 = 0) -> [UInt8] {
        ExtendedCopy.segment(count, from: from, to: to, source: 0, destination: 1, flags: flags)
    }

    private func lbaError(_ segment: Int, _ count: UInt64, byte: Int) -> Ended {
        .check(.copyAborted(.logicalBlockAddressOutOfRange, segment: segment, residue: count, byte: byte))
    }

    @Test("Blocks go from one unit to another, whichever of them was asked, and nothing else is touched")
    func twoUnits() {
        for lun in [CopyRig.lun0, CopyRig.lun1] {
            let rig = CopyRig()
            #expect(rig.copy([segment(3, 10, 20), segment(0, 0, 0), segment(1, 40, 50)], lun: lun) == .good)
            for offset in 0..<3 { #expect(rig.devices[1].block(20 + offset) == CopyRig.block(0, 10 + offset)) }
            #expect(rig.devices[1].block(50) == CopyRig.block(0, 40))
            #expect(rig.devices[1].block(19) == CopyRig.block(1, 19))
            #expect(rig.devices[1].block(23) == CopyRig.block(1, 23))
            #expect(rig.devices[0].operations == [.read, .read] && rig.devices[1].operations == [.write, .write])
        }
    }

    @Test("A segment of many pieces is copied whole, in bounded memory")
    func pieces() {
        let rig = CopyRig { _, features in features.maximumTransferBlockCount = 100 }
        #expect(rig.copy([segment(1001, 0, 1000)]) == .good)
        for lba in 0..<1001 { #expect(rig.devices[1].block(1000 + lba) == CopyRig.block(0, lba)) }
        #expect(rig.devices[1].block(2001) == CopyRig.block(1, 2001))
        #expect(rig.devices[1].log.allSatisfy { $0.extentByteCount <= 100 * 512 })
    }

    @Test(
        "Ranges that overlap on one unit give the bytes as they were", arguments: [(0, 37), (37, 0), (0, 450), (5, 5)])
    func overlap(from: Int, to: Int) {
        let rig = CopyRig { _, features in features.maximumTransferBlockCount = 64 }
        let list = ExtendedCopy.list(
            targets: [ExtendedCopy.target(CopyRig.serials[0])],
            segments: [ExtendedCopy.segment(500, from: UInt64(from), to: UInt64(to))])
        #expect(rig.a.run(ExtendedCopy.cdb(list), list) == .good)
        for lba in 0..<500 { #expect(rig.devices[0].block(to + lba) == CopyRig.block(0, from + lba)) }
    }

    @Test("DC says whose blocks are counted; blocks of two sizes are copied where they fit")
    func blockSizes() {
        let rig = CopyRig(blockByteCounts: [512, 4096, 512])
        #expect(rig.copy([segment(16, 8, 3)]) == .good)
        #expect(rig.devices[1].block(3) == (8..<16).flatMap { CopyRig.block(0, $0) })
        #expect(rig.devices[1].block(4) == (16..<24).flatMap { CopyRig.block(0, $0) })
        #expect(rig.devices[1].block(5) == CopyRig.block(1, 5, 4096))
        #expect(rig.copy([segment(1, 0, 5, flags: 0x02)]) == .good)
        #expect(rig.devices[1].block(5) == (0..<8).flatMap { CopyRig.block(0, $0) })
        let inexact = SenseData.copyAborted(.unexpectedInexactSegment, segment: 0, residue: 7, byte: 10)
        #expect(rig.copy([segment(7, 0, 5)]) == .check(inexact))
        let concatenated = SenseData.copyAborted(.copySegmentGranularityViolation, segment: 0, residue: 7, byte: 10)
        #expect(rig.copy([segment(7, 0, 5, flags: 0x01)]) == .check(concatenated))
    }

    @Test("A unit is named by NAA or T10 vendor ID, and by nothing else that it has")
    func designators() {
        let rig = CopyRig()
        let vendor = Array("MARTLET unit-two".utf8)
        let good = ExtendedCopy.target(designatorType: 1, codeSet: 2, vendor)
        func run(_ target: [UInt8]) -> Ended {
            let list = ExtendedCopy.list(
                targets: [ExtendedCopy.target(CopyRig.serials[0]), target], segments: [segment(1, 0, 0)])
            return rig.a.run(ExtendedCopy.cdb(list), list)
        }
        #expect(run(good) == .good)
        let unreachable = Ended.check(.copyAborted(.copyTargetDeviceNotReachable, parameterListByte: 48))
        var port = good
        port[5] |= 0x10
        var shorter = good
        shorter[7] -= 1
        var codeSet = good
        codeSet[4] = 1
        let relativePort = ExtendedCopy.target(designatorType: 4, codeSet: 1, [0, 0, 0, 1])
        for bad in [port, shorter, codeSet, relativePort] { #expect(run(bad) == unreachable) }
        var tape = good
        tape[1] = 0x01
        #expect(run(tape) == .check(.copyAborted(.incorrectCopyTargetDeviceType, parameterListByte: 49)))
        var blocks = good
        blocks[30] = 0x10
        #expect(run(blocks) == .check(.invalidFieldInParameterList(byte: 77)))
    }

    @Test(
        "A unit that the initiator does not see is not there, as source or destination, whatever it knows of its name")
    func invisible() {
        let rig = CopyRig()
        for (from, to, byte) in [(2, 0, 16), (0, 2, 48)] {
            let unreachable = Ended.check(.copyAborted(.copyTargetDeviceNotReachable, parameterListByte: byte))
            #expect(rig.copy([segment(1, 0, 0)], by: rig.a, from: from, to: to) == unreachable)
        }
        #expect(rig.devices.allSatisfy { $0.log.isEmpty })
        #expect(rig.copy([segment(1, 0, 0)], by: rig.b, from: 0, to: 2) == .good)
        #expect(rig.copy([segment(1, 0, 0)], by: rig.b, from: 1, to: 0) != .good)
    }

    @Test("Blocks behind the end are refused before anything is copied, with the segment and the field")
    func beyondTheEnd() {
        let rig = CopyRig()
        let good = segment(1, 0, 0)
        #expect(rig.copy([good, segment(2, 4095, 0)]) == lbaError(1, 2, byte: 12))
        #expect(rig.copy([segment(2, 0, 4095)]) == lbaError(0, 2, byte: 20))
        #expect(rig.copy([segment(2, .max, 0)]) == lbaError(0, 2, byte: 12))
        #expect(rig.devices.allSatisfy { $0.log.isEmpty })
    }

    @Test(
        "A volatile cache that is reported off is flushed before GOOD, on the destination alone",
        arguments: [false, true])
    func flush(isCached: Bool) {
        let rig = CopyRig {
            $1.hasVolatileWriteCache = true
        } options: {
            $0.writeCacheEnabled = isCached
        }
        #expect(rig.copy([segment(1, 0, 0), segment(1, 1, 1)]) == .good)
        #expect(rig.devices[1].operations == [.write, .write] + (isCached ? [] : [.flush]))
        #expect(rig.devices[0].operations == [.read, .read])
        guard !isCached else { return }
        rig.devices[1].failure = { $0 == .flush ? .failed(.checkCondition, .writeError()) : nil }
        #expect(rig.copy([segment(1, 0, 0)]) == .check(.copyAborted(.thirdPartyDeviceFailure, segment: 0)))
    }

    @Test("A reservation of either unit that keeps this initiator out keeps its copies out, too")
    func reservations() {
        let rig = CopyRig()
        let failed = Ended.check(.copyAborted(.thirdPartyDeviceFailure, segment: 0, residue: 1))
        // B reserves the unit that both see, under which A may read.
        #expect(ReservationTests.out(rig.b, .register, newKey: 7) == .good)
        #expect(ReservationTests.out(rig.b, .reserve, type: .writeExclusive, key: 7) == .good)
        #expect(rig.copy([segment(1, 0, 0)], from: 0, to: 1, lun: CopyRig.lun1) == .good)
        #expect(rig.copy([segment(1, 0, 0)], from: 1, to: 0, lun: CopyRig.lun1) == failed)
        #expect(rig.copy([segment(1, 0, 0)], from: 0, to: 1, lun: CopyRig.lun0) == .reservationConflict)
        #expect(ReservationTests.out(rig.b, .release, type: .writeExclusive, key: 7) == .good)
        #expect(ReservationTests.out(rig.b, .reserve, type: .exclusiveAccess, key: 7) == .good)
        #expect(rig.copy([segment(1, 0, 0)], from: 0, to: 1, lun: CopyRig.lun1) == failed)
        #expect(rig.devices[0].operations == [.read])
    }

    @Test("A destination that is write protected, or a unit that is stopped, is told by its own words")
    func states() {
        let rig = CopyRig { index, features in features.isReadOnly = index == 1 }
        #expect(
            rig.copy([segment(1, 0, 0)]) == .check(.copyAborted(.writeProtected, segment: 0, residue: 1)))
        #expect(rig.copy([segment(1, 0, 0)], from: 1, to: 0) == .good)
        #expect(rig.a.run([0x1B, 0, 0, 0, 0, 0], lun: CopyRig.lun1) == .good)
        let stopped = SenseData.copyAborted(
            .logicalUnitNotReadyInitializingCommandRequired, segment: 0, residue: 1)
        #expect(rig.copy([segment(1, 0, 0)], from: 1, to: 0) == .check(stopped))
    }

    @Test("A reservation made in the midst of a copy ends it at its next piece")
    func reservedMeanwhile() {
        let rig = CopyRig { _, features in features.maximumTransferBlockCount = 8 }
        let list = ExtendedCopy.list(
            targets: [ExtendedCopy.target(CopyRig.serials[1]), ExtendedCopy.target(CopyRig.serials[0])],
            segments: [segment(1, 0, 0), segment(32, 0, 0)])
        #expect(ReservationTests.out(rig.b, .register, newKey: 7) == .good)
        rig.devices[0].ending = .deferred
        let tag = rig.a.start(ExtendedCopy.cdb(list), list, lun: CopyRig.lun1).tag
        for _ in 0..<2 {
            rig.devices[0].completeNext()
            rig.a.loop.turn()
        }
        #expect(ReservationTests.out(rig.b, .reserve, type: .writeExclusive, key: 7) == .good)
        rig.devices[0].completeAll()
        rig.a.loop.turn()
        #expect(
            rig.a.port.finished[tag] == .check(.copyAborted(.thirdPartyDeviceFailure, segment: 1, residue: 16)))
    }

    @Test(
        "A failure says how far the copy came, and never ends GOOD", arguments: [BlockRequest.Operation.read, .write])
    func failures(operation: BlockRequest.Operation) {
        let rig = CopyRig { _, features in features.maximumTransferBlockCount = 8 }
        var seen = 0
        for device in rig.devices {
            device.failure = {
                guard $0 == operation else { return nil }
                seen += 1
                // The first segment passes, and eight blocks of the second.
                return seen == 3 ? .failed(.checkCondition, .unrecoveredReadError(lba: 5)) : nil
            }
        }
        let ended = rig.copy([segment(2, 0, 0), segment(20, 100, 100)])
        #expect(ended == .check(.copyAborted(.thirdPartyDeviceFailure, segment: 1, residue: 12)))
        let status = rig.a.run(CopyResults.cdb(0x00, 7)).data
        #expect(status == joined(UInt32(8).bytes, [0x02, 0, 1, 0], UInt32(10 * 512).bytes))
        let sense = ended.sense!.encode(descriptor: false)
        let details = rig.a.run(CopyResults.cdb(0x04, 7)).data
        #expect(
            details
                == joined(
                    UInt32(56 + sense.count).bytes, [UInt8](repeating: 0, count: 52), [0x02, 0, 0, 18], sense))
        // Key COPY ABORTED; the residue as INFORMATION, the segment in the last bytes of COMMAND-SPECIFIC INFORMATION.
        #expect(sense[..<14] == [0xF0, 0, 0x0A, 0, 0, 0, 12, 10, 0, 0, 0, 1, 0x0D, 0x01])
    }

    @Test("An abort takes hold between two pieces, gives the blocks back, and the record tells of it")
    func abort() {
        let rig = CopyRig { _, features in features.maximumTransferBlockCount = 8 }
        let list = ExtendedCopy.list(
            targets: CopyRig.serials[..<2].map { ExtendedCopy.target($0) }, segments: [segment(100, 0, 0)])
        rig.devices[1].ending = .deferred
        let tag = rig.a.start(ExtendedCopy.cdb(list), list).tag
        let written = { rig.devices[1].operations.count(where: { $0 == .write }) }
        #expect(rig.devices[1].waitingCount == 1 && written() == 1)
        // The status of a copy can be asked for while it goes on, and its list identifier is taken.
        #expect(rig.a.run(CopyResults.cdb(0x00, 7)).data[4] == 0x00)
        #expect(rig.a.run(ExtendedCopy.cdb(list), list) == .check(.operationInProgress))
        var response: TaskManagementResponse?
        rig.a.nexus.perform(.abortTask, lun: CopyRig.lun0, tag: tag) { response = $0 }
        #expect(response == nil && rig.devices[1].cancelledOperations == [.write])
        rig.devices[1].completeAll()
        rig.a.loop.turn()
        #expect(response == .functionComplete && rig.a.port.aborted == [tag] && written() == 1)
        #expect(rig.a.run(CopyResults.cdb(0x00, 7)).data[4] == 0x02)
        rig.devices[1].ending = .inline
        #expect(
            rig.a.run(CompareAndWriteTests.cdb(50, 1), CopyRig.block(1, 50) + CopyRig.block(0, 0), lun: CopyRig.lun1)
                == .good)
    }
}
