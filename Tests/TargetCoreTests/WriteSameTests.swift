// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("WRITE SAME and UNMAP")
struct WriteSameTests {
    static func cdb(_ opcode: UInt8, lba: UInt64, count: UInt64, flags: UInt8 = 0) -> [UInt8] {
        opcode == 0x41
            ? [opcode, flags] + UInt32(lba).bytes + [0] + UInt16(count).bytes + [0]
            : [opcode, flags] + lba.bytes + UInt32(count).bytes + [0, 0]
    }

    static func unmap(_ ranges: [(lba: UInt64, count: UInt32)], declared: Int? = nil) -> (cdb: [UInt8], list: [UInt8]) {
        var body: [UInt8] = []
        for range in ranges { body += range.lba.bytes + range.count.bytes + [0, 0, 0, 0] as [UInt8] }
        var list: [UInt8] = UInt16(body.count + 6).bytes
        list += UInt16(declared ?? body.count).bytes
        list += [0, 0, 0, 0] + body
        return ([0x42, 0, 0, 0, 0, 0, 0] + UInt16(list.count).bytes + [0], list)
    }

    private let pattern = (0..<512).map { UInt8(truncatingIfNeeded: $0 ^ 0x35) }

    @Test("The block is written over the whole range", arguments: [0x41, 0x93] as [UInt8], [false, true])
    func pattern(opcode: UInt8, storeCan: Bool) {
        let rig = Rig { $0.canWriteSame = storeCan }
        #expect(rig.initiator.run(Self.cdb(opcode, lba: 10, count: 20), pattern) == .good)
        for lba in 10..<30 { #expect(rig.device.block(lba) == pattern) }
        #expect(rig.device.block(9) == [UInt8](repeating: 0, count: 512))
        #expect(rig.device.block(30) == [UInt8](repeating: 0, count: 512))
        #expect(rig.device.operations == [storeCan ? .writeSame : .write])
    }

    @Test(
        "One block must come, no less and no more", arguments: [0, 256, 511, 513, 1024],
        [(0x41, 0, 7), (0x41, 8, 7), (0x93, 0, 10), (0x93, 8, 10)] as [(UInt8, UInt8, Int)])
    func oneBlock(byteCount: Int, command: (opcode: UInt8, flags: UInt8, lengthByte: Int)) {
        let rig = Rig {
            $0.canUnmap = true
            $0.unmappedReadsZero = true
        }
        let cdb = Self.cdb(command.opcode, lba: 10, count: 20, flags: command.flags)
        let ended = rig.initiator.run(cdb, [UInt8](repeating: 1, count: byteCount))
        #expect(ended == .check(.invalidFieldInCDB(byte: command.lengthByte)))
        #expect(rig.device.log.isEmpty)
    }

    @Test("A long range is written in pieces")
    func pieces() {
        let rig = Rig(FakeDevice(blockCount: 8192))
        #expect(rig.initiator.run(Self.cdb(0x93, lba: 1, count: 5000), pattern) == .good)
        #expect(rig.device.log.map(\.extentByteCount) == [1_048_576, 1_048_576, 462_848])
        #expect(rig.device.block(5000) == pattern)
        #expect(rig.device.block(5001) == [UInt8](repeating: 0, count: 512))
    }

    @Test("No blocks means up to the last", arguments: [0x41, 0x93] as [UInt8])
    func toTheEnd(opcode: UInt8) {
        let rig = Rig()
        #expect(rig.initiator.run(Self.cdb(opcode, lba: 1000, count: 0), pattern) == .good)
        #expect(rig.device.log == [.at(.write, 1000, 24)])
    }

    @Test("More than the maximum is refused, by count or to the end")
    func aboveMaximum() {
        let rig = Rig(FakeDevice(blockCount: 1 << 30))
        #expect(
            rig.initiator.run(Self.cdb(0x93, lba: 0, count: 1 << 20), pattern) == .check(.invalidFieldInCDB(byte: 10)))
        #expect(rig.initiator.run(Self.cdb(0x93, lba: 0, count: 0), pattern) == .check(.invalidFieldInCDB(byte: 10)))
        #expect(
            rig.initiator.run(Self.cdb(0x93, lba: 1 << 30, count: 1), pattern) == .check(.logicalBlockAddressOutOfRange)
        )
        #expect(rig.device.log.isEmpty)
    }

    @Test("NDOB writes zeroes without data")
    func noDataOut() {
        let rig = Rig()
        rig.device.contents = [UInt8](repeating: 1, count: 1024 * 512)
        #expect(rig.initiator.run(Self.cdb(0x93, lba: 5, count: 2, flags: 0x01)) == .good)
        #expect(rig.device.block(5) + rig.device.block(6) == [UInt8](repeating: 0, count: 1024))
        #expect(rig.device.block(7) == [UInt8](repeating: 1, count: 512))
    }

    @Test("UNMAP deallocates what lies on the store's grid and writes the rest")
    func unmapGrid() {
        let rig = Rig {
            $0.canUnmap = true
            $0.unmappedReadsZero = true
            $0.unmapGranularity = 8
            $0.unmapGranularityAlignment = 3
        }
        rig.device.contents = [UInt8](repeating: 1, count: 1024 * 512)
        let zeroes = [UInt8](repeating: 0, count: 512)
        #expect(rig.initiator.run(Self.cdb(0x93, lba: 5, count: 30, flags: 0x08), zeroes) == .good)
        let expected: [FakeDevice.Entry] = [
            .at(.write, 5, 6),
            .at(.unmap, 11, 24),
        ]
        #expect(rig.device.log == expected)
        for lba in 5..<35 { #expect(rig.device.block(lba) == zeroes) }
        #expect(rig.device.block(4)[0] == 1 && rig.device.block(35)[0] == 1)
        rig.device.forgetLog()
        #expect(rig.initiator.run(Self.cdb(0x93, lba: 5, count: 30, flags: 0x08), pattern) == .good)
        #expect(rig.device.log == expected, "UNMAP asks for deallocation, whatever block came with it")
        for lba in 5..<35 { #expect(rig.device.block(lba) == zeroes) }
    }

    @Test(
        "A store that writes zeroes by itself is asked to, and without data no memory is leased for it",
        arguments: [
            // Flags; whether the block is of zeroes; may lose its storage.
            (0x00, true, false), (0x01, true, false), (0x08, true, true), (0x08, false, true), (0x09, true, true),
        ] as [(UInt8, Bool, Bool)])
    func zeroes(flags: UInt8, isZero: Bool, mayUnmap: Bool) {
        for storeCan in [false, true] {
            let rig = Rig {
                $0.canUnmap = true
                $0.unmappedReadsZero = true
                $0.canWriteZeroes = true
                $0.canWriteSame = storeCan
            }
            rig.device.contents = [UInt8](repeating: 1, count: 1024 * 512)
            let block: [UInt8] = flags & 1 == 1 ? [] : isZero ? [UInt8](repeating: 0, count: 512) : pattern
            #expect(rig.initiator.run(Self.cdb(0x93, lba: 3, count: 700, flags: flags), block) == .good)
            #expect(rig.device.log == [.at(.writeZeroes, 3, 700, mayUnmap: mayUnmap)])
            #expect(rig.device.block(3) + rig.device.block(702) == [UInt8](repeating: 0, count: 1024))
            #expect(rig.device.block(2)[0] == 1 && rig.device.block(703)[0] == 1)
        }
    }

    @Test(
        "A block that is not all zeroes is written as it is, wherever its one bit stands", arguments: [0, 7, 255, 511])
    func notZero(byte: Int) {
        let rig = Rig { $0.canWriteZeroes = true }
        var block = [UInt8](repeating: 0, count: 512)
        block[byte] = 0x10
        #expect(rig.initiator.run(Self.cdb(0x41, lba: 1, count: 3), block) == .good)
        #expect(rig.device.log == [.at(.write, 1, 3)])
        for lba in 1..<4 { #expect(rig.device.block(lba) == block) }
    }

    @Test("UNMAP one, where unmapped blocks read as anything, writes the block that came")
    func unmapWithoutZeroes() {
        let rig = Rig {
            $0.canUnmap = true
            $0.canWriteZeroes = true
        }
        #expect(rig.initiator.run(Self.cdb(0x93, lba: 1, count: 2, flags: 0x08), pattern) == .good)
        #expect(rig.device.log == [.at(.write, 1, 2)] && rig.device.block(2) == pattern)
    }

    @Test("Zeroes that a store cannot write end as its failure says")
    func zeroesFail() {
        let rig = Rig { $0.canWriteZeroes = true }
        rig.device.failure = { $0 == .writeZeroes ? .failed(.checkCondition, .writeError()) : nil }
        #expect(rig.initiator.run(Self.cdb(0x93, lba: 1, count: 2, flags: 0x01)) == .check(.writeError()))
    }

    @Test("UNMAP bit and ANCHOR are refused where they cannot be kept", arguments: [0x41, 0x93] as [UInt8])
    func refusedFlags(opcode: UInt8) {
        let rig = Rig()
        #expect(
            rig.initiator.run(Self.cdb(opcode, lba: 0, count: 1, flags: 0x08), pattern)
                == .check(.invalidFieldInCDB(byte: 1, bit: 3)))
        #expect(
            rig.initiator.run(Self.cdb(opcode, lba: 0, count: 1, flags: 0x10), pattern)
                == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
    }

    // MARK: - UNMAP

    private func thin() -> Rig {
        Rig {
            $0.canUnmap = true
            $0.maximumUnmapBlockCount = 100
        }
    }

    @Test("Each descriptor is a request, empty ones are none")
    func unmapDescriptors() {
        let rig = thin()
        let (cdb, list) = Self.unmap([(1, 2), (9, 0), (20, 3)])
        #expect(rig.initiator.run(cdb, list) == .good)
        let expected: [FakeDevice.Entry] = [
            .at(.unmap, 1, 2),
            .at(.unmap, 20, 3),
        ]
        #expect(rig.device.log == expected)
        #expect(rig.initiator.run([0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == .good)
        let (empty, header) = Self.unmap([])
        #expect(rig.initiator.run(empty, header) == .good)
    }

    @Test("A bad descriptor is found before anything is unmapped")
    func unmapChecksFirst() {
        let rig = thin()
        let (outside, outsideList) = Self.unmap([(1, 2), (1023, 2)])
        #expect(rig.initiator.run(outside, outsideList) == .check(.logicalBlockAddressOutOfRange))
        let (huge, hugeList) = Self.unmap([(1, 60), (100, 41)])
        #expect(rig.initiator.run(huge, hugeList) == .check(.invalidFieldInParameterList))
        let (many, manyList) = Self.unmap(Array(repeating: (1, 0), count: 257))
        #expect(rig.initiator.run(many, manyList) == .check(.invalidFieldInParameterList))
        #expect(rig.device.log.isEmpty)
    }

    @Test("A list that is cut off, or longer than it is, is refused")
    func unmapLengths() {
        let rig = thin()
        let (cdb, list) = Self.unmap([(1, 2)])
        for count in 0..<list.count {
            #expect(rig.initiator.run(cdb, Array(list[..<count])) == .check(.parameterListLengthError))
        }
        let (long, longList) = Self.unmap([(1, 2)], declared: 32)
        #expect(rig.initiator.run(long, longList) == .check(.parameterListLengthError))
        #expect(rig.initiator.run([0x42, 0, 0, 0, 0, 0, 0, 0, 7, 0], list) == .check(.parameterListLengthError))
        #expect(rig.device.log.isEmpty)
    }
}
