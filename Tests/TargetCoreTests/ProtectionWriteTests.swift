// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Writing with protection information")
struct ProtectionWriteTests {
    private static let blocks = (0..<4).map { ProtectedData.block($0 + 90) }

    private static func write(_ lba: UInt64, _ blocks: [[UInt8]]) -> ([UInt8], [UInt8]) {
        (
            ProtectedCDB(type: .type1, field: 1).bytes(.write, lba, UInt32(blocks.count)),
            ProtectedData.transferred(blocks, reference: UInt32(lba))
        )
    }

    private static func read(_ lba: UInt64, _ count: UInt32, field: UInt8 = 1) -> [UInt8] {
        ProtectedCDB(type: .type1, field: field).bytes(.read, lba, count)
    }

    @Test("Escapes, data, tuples, in this order; tuples that share a block are read before")
    func order() {
        let rig = ProtectionRig(.type1)
        let (cdb, data) = Self.write(10, Self.blocks)
        #expect(rig.initiator.run(cdb, data) == .good)
        #expect(rig.device.log == [.at(.write, 10, 4)])
        #expect(rig.tuples.log == [.at(.read, 0, 1), .at(.write, 0, 1), .at(.write, 0, 1)])
        #expect(rig.initiator.run(Self.read(10, 4)).data == data)
        #expect(rig.initiator.run(Self.read(10, 4, field: 0)).data == Self.blocks.flatMap { $0 })
        #expect(rig.tuple(9) == .escape && rig.tuple(14) == .escape)
        rig.forgetLogs()
        let all = (0..<128).map { ProtectedData.block($0) }
        let (whole, wholeData) = Self.write(64, all)
        #expect(rig.initiator.run(whole, wholeData) == .good)
        #expect(rig.tuples.log == [.at(.write, 1, 2), .at(.write, 1, 2)], "whole blocks of tuples")
    }

    @Test("Neighbours keep their tuples, across blocks of tuples too")
    func neighbours() {
        let rig = ProtectionRig(.type1)
        let many = (0..<200).map { ProtectedData.block($0) }
        let (first, firstData) = Self.write(0, many)
        #expect(rig.initiator.run(first, firstData) == .good)
        for (lba, count) in [(63, 2), (64, 1), (1, 130), (127, 3)] as [(Int, Int)] {
            let new = (0..<count).map { ProtectedData.block($0 + lba) }
            let (cdb, data) = Self.write(UInt64(lba), new)
            #expect(rig.initiator.run(cdb, data) == .good)
            #expect(rig.initiator.run(Self.read(0, 200)).status == .good)
        }
    }

    @Test("Data that come short are written as far as they are whole blocks with their tuples")
    func shortData() {
        let rig = ProtectionRig(.type1)
        let (cdb, data) = Self.write(10, Self.blocks)
        #expect(rig.initiator.run(cdb, Array(data[..<1559])) == .good)
        #expect(rig.device.log == [.at(.write, 10, 2)])
        #expect(rig.tuple(11).referenceTag == 11 && rig.tuple(12) == .escape)
        rig.forgetLogs()
        #expect(rig.initiator.run(cdb, Array(data[..<519])) == .good)
        #expect(rig.device.log.isEmpty && rig.tuples.log.isEmpty)
    }

    @Test("FUA, a cache that is off and SYNCHRONIZE CACHE flush data, then tuples")
    func flushes() {
        let rig = ProtectionRig(.type1) { $0.hasVolatileWriteCache = true }
        let (_, data) = Self.write(10, Self.blocks)
        let forced = ProtectedCDB(type: .type1, field: 1, flags: 0x08).bytes(.write, 10, 4)
        #expect(rig.initiator.run(forced, data) == .good)
        #expect(rig.device.operations == [.write, .flush])
        #expect(rig.tuples.operations == [.read, .write, .write, .flush])
        rig.forgetLogs()
        #expect(rig.initiator.run([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == .good)
        #expect(rig.device.operations == [.flush] && rig.tuples.operations == [.flush])
        // Each fails alone.
        for store in [rig.device, rig.tuples] {
            store.failure = { $0 == .flush ? .failed(.checkCondition, .writeError()) : nil }
            #expect(rig.initiator.run([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == .check(.writeError()))
            #expect(rig.initiator.run(forced, data) == .check(.writeError()))
            store.failure = { _ in nil }
        }
    }

    @Test("A volatile cache of either store is told, and makes FUA flush")
    func eitherCache() {
        let rig = ProtectionRig(.type1)
        rig.tuples.features.hasVolatileWriteCache = true
        let forced = ProtectedCDB(type: .type1, field: 1, flags: 0x08).bytes(.write, 10, 4)
        #expect(rig.initiator.run(forced, Self.write(10, Self.blocks).1) == .good)
        #expect(rig.tuples.operations.last == .flush)
    }

    /// Type, and the reference tag of block `index` of a range from 60.
    @Test(
        "WRITE SAME: one tuple for all, its reference tag counted up but for type 3", arguments: ProtectionType.allCases
    )
    func writeSame(type: ProtectionType) {
        let rig = ProtectionRig(type)
        let first: UInt32 = type == .type1 ? 60 : 0xCAFE_0000
        let cdb = ProtectedCDB(type: type, field: 1, reference: type == .type2 ? first : nil)
        let data = ProtectedData.transferred([Self.blocks[0]], reference: first, application: 0x77)
        #expect(rig.initiator.run(cdb.bytes(.writeSame, 60, 10), data) == .good)
        for index in 0..<10 {
            let reference = type == .type3 ? first : first + UInt32(index)
            #expect(rig.device.block(60 + index) == Self.blocks[0])
            #expect(
                rig.tuple(60 + index)
                    == ProtectedData.tuple(Self.blocks[0], reference: reference, application: 0x77))
        }
        var wrong = data
        wrong[0] ^= 1
        rig.forgetLogs()
        #expect(
            rig.initiator.run(cdb.bytes(.writeSame, 60, 10), wrong)
                == .check(.protectionCheckFailed(.guardTag, lba: 60)))
        #expect(rig.device.log.isEmpty)
        #expect(rig.initiator.run(cdb.bytes(.writeSame, 60, 10), Array(data[..<519])).status == .checkCondition)
    }

    @Test("WRITE SAME of many blocks goes in pieces, without tags too")
    func longWriteSame() {
        let rig = ProtectionRig(.type1, device: FakeDevice(blockCount: 8192))
        let cdb = ProtectedCDB(type: .type1, field: 0).bytes(.writeSame, 1, 5000)
        #expect(rig.initiator.run(cdb, Self.blocks[1]) == .good)
        #expect(rig.device.log.map(\.extentByteCount) == [1_048_576, 1_048_576, 462_848])
        for lba in [1, 2048, 2049, 4097, 5000] {
            #expect(rig.device.block(lba) == Self.blocks[1])
            #expect(rig.tuple(lba) == ProtectedData.tuple(Self.blocks[1], reference: UInt32(lba)))
        }
        #expect(rig.tuple(0) == .escape && rig.tuple(5001) == .escape)
        #expect(rig.initiator.run(ProtectedCDB(type: .type1, field: 1).bytes(.read, 0, 5002)).status == .good)
    }

    @Test("Without a block WRITE SAME makes zeroes with tuples of all ones; deallocated blocks have the same")
    func zeroes() {
        let rig = ProtectionRig(.type1) {
            $0.canUnmap = true
            $0.unmappedReadsZero = true
            $0.unmapGranularity = 8
        }
        let (cdb, data) = Self.write(0, (0..<64).map { ProtectedData.block($0) })
        #expect(rig.initiator.run(cdb, data) == .good)
        let noData = ProtectedCDB(type: .type1, field: 0, flags: 0x01).bytes(.writeSame, 2, 3)
        #expect(rig.initiator.run(noData) == .good)
        for lba in 2..<5 { #expect(rig.tuple(lba) == .escape) }
        rig.forgetLogs()
        let unmapping = ProtectedCDB(type: .type1, field: 0, flags: 0x08).bytes(.writeSame, 6, 15)
        #expect(rig.initiator.run(unmapping, [UInt8](repeating: 0, count: 512)) == .good)
        #expect(rig.device.log == [.at(.write, 6, 2), .at(.unmap, 8, 8), .at(.write, 16, 5)])
        for lba in 8..<16 { #expect(rig.tuple(lba) == .escape) }
        for lba in [6, 7, 16, 20] {
            #expect(rig.tuple(lba) == ProtectionTuple(guardTag: 0, applicationTag: 0, referenceTag: UInt32(lba)))
        }
        let (unmap, list) = WriteSameTests.unmap([(lba: 30, count: 5), (lba: 0, count: 0), (lba: 50, count: 2)])
        #expect(rig.initiator.run(unmap, list) == .good)
        for lba in 0..<64 {
            let isEscape = (30..<35).contains(lba) || (50..<52).contains(lba) || (2..<5).contains(lba)
            #expect((rig.tuple(lba) == .escape) == (isEscape || (8..<16).contains(lba)))
        }
        #expect(rig.initiator.run(Self.read(0, 64)).status == .good)
    }

    @Test("COMPARE AND WRITE compares data, checks tags, and writes both", arguments: [0, 1] as [UInt8])
    func compareAndWrite(field: UInt8) {
        let rig = ProtectionRig(.type1)
        let old = Array(Self.blocks[..<2])
        let new = Array(Self.blocks[2...])
        let (first, firstData) = Self.write(62, old)
        #expect(rig.initiator.run(first, firstData) == .good)
        func halves(_ compared: [[UInt8]]) -> [UInt8] {
            guard field != 0 else { return (compared + new).flatMap { $0 } }
            return ProtectedData.transferred(compared, reference: 62) + ProtectedData.transferred(new, reference: 62)
        }
        let cdb = CompareAndWriteTests.cdb(62, 2, flags: field << 5)
        var other = old
        other[1][5] ^= 1
        let offset: UInt64 = (field == 0 ? 512 : 520) + 5
        #expect(rig.initiator.run(cdb, halves(other)) == .check(.miscompare(atByte: offset)))
        #expect(rig.device.block(62) == old[0])
        #expect(rig.initiator.run(cdb, halves(old)) == .good)
        #expect(rig.initiator.run(Self.read(62, 2)).data == ProtectedData.transferred(new, reference: 62))
        let short = Array(halves(old).dropLast())
        #expect(rig.initiator.run(cdb, short) == .check(.invalidFieldInCDB(byte: 13)))
        // The medium is checked before it is compared.
        rig.setTuple(ProtectionTuple(guardTag: 1, applicationTag: 0, referenceTag: 63), 63)
        #expect(rig.initiator.run(cdb, halves(new)) == .check(.protectionCheckFailed(.guardTag, lba: 63)))
    }

    @Test("ORWRITE makes guards of what it writes, and keeps the tags that came", arguments: [0, 1] as [UInt8])
    func orWrite(field: UInt8) {
        let rig = ProtectionRig(.type1, device: FakeDevice(blockCount: 8192))
        let count = 3000
        let old = (0..<count).map { ProtectedData.block($0) }
        let new = (0..<count).map { ProtectedData.block($0 / 3) }
        let (first, firstData) = Self.write(5, old)
        #expect(rig.initiator.run(first, firstData) == .good)
        let data =
            field == 0 ? new.flatMap { $0 } : ProtectedData.transferred(new, reference: 5, application: 0x99)
        #expect(rig.initiator.run(OrWriteTests.cdb(5, UInt32(count), flags: field << 5), data) == .good)
        for index in [0, 1, 2047, 2048, 2999] {
            let both = zip(old[index], new[index]).map { $0 | $1 }
            #expect(rig.device.block(5 + index) == both)
            #expect(
                rig.tuple(5 + index)
                    == ProtectedData.tuple(both, reference: UInt32(5 + index), application: field == 0 ? 0 : 0x99))
        }
        #expect(rig.initiator.run(Self.read(5, UInt32(count))).status == .good)
    }

    @Test("Writers that become ready together do not wait for each other for ever")
    func readyTogether() {
        let rig = ProtectionRig(.type1)
        let (one, oneData) = Self.write(3, [Self.blocks[0]])
        let (two, twoData) = Self.write(4, [Self.blocks[1]])
        var tags: [UInt64] = []
        rig.initiator.port.afterFinished = { _ in
            // As a transport does that has waited for memory: within the end of another command.
            rig.initiator.port.afterFinished = nil
            for (cdb, data) in [(one, oneData), (two, twoData), (Self.read(3, 2), [])] {
                tags.append(rig.initiator.start(cdb, data).tag)
            }
        }
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        for _ in 0..<20 { rig.initiator.loop.turn() }
        for tag in tags { #expect(rig.initiator.port.finished[tag]?.status == .good) }
        #expect(tags.count == 3 && rig.tuple(4).referenceTag == 4)
    }

    @Test("Two writers of blocks whose tuples stand in one block follow each other, on two loops")
    func writersOfNeighbours() {
        let rig = ProtectionRig(.type1)
        let other = rig.rig.anotherInitiator()
        rig.device.ending = .deferred
        rig.tuples.ending = .deferred
        let (one, oneData) = Self.write(3, [Self.blocks[0]])
        let (two, twoData) = Self.write(4, [Self.blocks[1]])
        let (first, _) = rig.initiator.start(one, oneData)
        let (second, _) = other.start(two, twoData)
        let (reader, _) = other.start(Self.read(3, 2))
        for _ in 0..<60 {
            #expect(rig.device.waitingCount + rig.tuples.waitingCount <= 1)
            rig.initiator.loop.turn()
            other.loop.turn()
            if !rig.tuples.completeNext() { rig.device.completeNext() }
        }
        #expect(rig.initiator.port.finished[first] == .good)
        #expect(other.port.finished[second] == .good)
        #expect(other.port.finished[reader]?.status == .good)
        #expect(rig.tuple(3) == ProtectedData.tuple(Self.blocks[0], reference: 3))
        #expect(rig.tuple(4) == ProtectedData.tuple(Self.blocks[1], reference: 4))
    }
}
