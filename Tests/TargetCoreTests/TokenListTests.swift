// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("The parameter lists of POPULATE TOKEN and WRITE USING TOKEN")
struct TokenListTests {
    enum Kind: CaseIterable { case populate, write }

    private func command(_ kind: Kind, _ ranges: [(lba: UInt64, count: UInt32)]) -> Token.Command {
        kind == .populate ? Token.populate(ranges) : Token.write(Token.zero, ranges)
    }

    /// Bytes before the descriptors.
    private func headerByteCount(_ kind: Kind) -> Int { kind == .populate ? 16 : 536 }

    private func run(_ command: Token.Command, byteCount: Int? = nil) -> Ended {
        let rig = Rig()
        let byteCount = byteCount ?? command.list.count
        let cdb = joined(Array(command.cdb[..<10]), UInt32(byteCount).bytes, [0, 0])
        let ended = rig.initiator.run(cdb, Array(command.list.prefix(byteCount)))
        if ended != .good { #expect(rig.device.log.isEmpty) }
        return ended
    }

    @Test("No list does nothing; one that is cut off anywhere is refused", arguments: Kind.allCases)
    func lengths(kind: Kind) {
        let command = command(kind, [(0, 1)])
        #expect(run(command, byteCount: 0) == .good)
        let byteCounts = [1, 2, 15, 16, 17, command.list.count - 16, command.list.count - 1]
        for byteCount in byteCounts where byteCount < command.list.count {
            #expect(run(command, byteCount: byteCount) == .check(.parameterListLengthError))
        }
        #expect(run(command, byteCount: command.list.count + 1) == .check(.parameterListLengthError))
        var padded = command
        padded.list += [1, 2, 3]
        #expect(run(padded) == .good)
    }

    @Test("Lengths that contradict each other are pointed at", arguments: Kind.allCases)
    func contradictions(kind: Kind) {
        let header = headerByteCount(kind)
        var command = command(kind, [(0, 1), (5, 1)])
        // Less than one descriptor in all.
        command.list.replaceSubrange(0..<2, with: UInt16(header + 13).bytes)
        #expect(run(command) == .check(.invalidFieldInParameterList(byte: 0)))
        for length in [0, 8, 17, 48] as [UInt16] {
            var other = self.command(kind, [(0, 1), (5, 1)])
            other.list.replaceSubrange(header - 2..<header, with: length.bytes)
            #expect(run(other) == .check(.invalidFieldInParameterList(byte: header - 2)))
        }
    }

    @Test("Ranges are as many, as long and as separate as told", arguments: Kind.allCases)
    func ranges(kind: Kind) {
        let header = headerByteCount(kind)
        let many = (0..<TargetLimits.tokenRangeCount).map { (lba: UInt64(2 * $0), count: UInt32(1)) }
        #expect(run(command(kind, many)) == .good)
        #expect(run(command(kind, many + [(lba: 900, count: 1)])) == .check(.tooManySegmentDescriptors))
        let tooLong = UInt32(TargetLimits.tokenByteCount / 512 + 1)
        #expect(run(command(kind, [(0, tooLong)])) == .check(.invalidFieldInParameterList(byte: header + 8)))
        #expect(
            run(command(kind, [(0, 1), (5, .max)])) == .check(.invalidFieldInParameterList(byte: header + 24)))
        #expect(run(command(kind, [(0, 0), (9, 0)])) == .check(.invalidFieldInParameterList(byte: header + 8)))
        #expect(run(command(kind, [(8, 4), (4, 4), (6, 0)])) == .good)
        #expect(
            run(command(kind, [(8, 4), (0, 1), (5, 4)])) == .check(.invalidFieldInParameterList(byte: header + 32)))
        for range in [(1024, 1), (1023, 2), (.max, 1)] as [(UInt64, UInt32)] {
            #expect(run(command(kind, [range])) == .check(.logicalBlockAddressOutOfRange))
        }
    }

    @Test("Reserved bits are refused with a pointer", arguments: Kind.allCases)
    func reserved(kind: Kind) {
        let header = headerByteCount(kind)
        let bytes = kind == .populate ? [3, 12, 13] : [3, 4, 5, 6, 7, 528, 533]
        for byte in bytes + [header + 12, header + 15] {
            var command = command(kind, [(0, 1)])
            command.list[byte] = 0x10
            #expect(run(command) == .check(.invalidFieldInParameterList(byte: byte, bit: 4)))
        }
        var command = command(kind, [(0, 1)])
        command.list[2] = 0x04
        #expect(run(command) == .check(.invalidFieldInParameterList(byte: 2, bit: 2)))
        command.list[2] = 0x01
        #expect(run(command) == .good)
    }

    @Test("RTV asks for a type of ROD: change vulnerable, or any point in time")
    func types() {
        for type in [0x0080_0001, 0x0080_FFFF] as [UInt32] {
            #expect(run(Token.populate([(0, 1)], type: type)) == .good)
        }
        for type in [0, 0x0001_0000, 0x0080_0000, 0x0080_0002, 0xFFFF_0001] as [UInt32] {
            #expect(run(Token.populate([(0, 1)], type: type)) == .check(.unsupportedTokenType))
        }
        var ignored = Token.populate([(0, 1)])
        ignored.list[8] = 0xFF
        #expect(run(ignored) == .good)
    }

    @Test("An INACTIVITY TIMEOUT is as long as told at most")
    func timeouts() {
        #expect(run(Token.populate([(0, 1)], timeout: 600)) == .good)
        #expect(
            run(Token.populate([(0, 1)], timeout: 601)) == .check(.invalidFieldInParameterList(byte: 4)))
    }

    @Test("RECEIVE ROD TOKEN INFORMATION tells the token of POPULATE TOKEN, byte by byte")
    func information() {
        let rig = Rig()
        let command = Token.populate([(0, 3), (9, 4)], identifier: 0xA1B2_C3D4)
        #expect(rig.initiator.run(command.cdb, command.list) == .good)
        let data = rig.initiator.run(CopyResults.tokenInformation(0xA1B2_C3D4)).data
        let head = joined(
            UInt32(546).bytes, [0x10, 0x01, 0, 1], UInt32(0xFFFF_FFFE).bytes, [0x00, 0, 0, 0xF1], UInt64(7).bytes,
            [UInt8](repeating: 0, count: 8), UInt32(514).bytes, [0, 0])
        #expect(data.count == 550)
        #expect(Array(data.prefix(38)) == head)
        #expect(rig.initiator.run(CopyResults.tokenInformation(0xA1B2_C3D4, length: 20)).data == Array(head.prefix(20)))
        #expect(rig.initiator.run(CopyResults.tokenInformation(0xA1B2_C3D5)) == .check(.invalidFieldInCDB(byte: 2)))
    }

    @Test("And with what WRITE USING TOKEN failed")
    func failure() {
        let rig = Rig()
        rig.device.failure = { _ in .failed(.checkCondition, .writeError(lba: 9)) }
        let command = Token.write(Token.zero, [(9, 1)])
        #expect(rig.initiator.run(command.cdb, command.list) == .check(.writeError(lba: 9)))
        let data = rig.initiator.run(CopyResults.tokenInformation(6)).data
        let sense = SenseData.writeError(lba: 9).encode(descriptor: false)
        let expected = joined(
            UInt32(52).bytes, [0x11, 0x02, 0, 1], UInt32(0xFFFF_FFFE).bytes, [0x02, 20, 18, 0xF1], UInt64(0).bytes,
            [UInt8](repeating: 0, count: 8), sense, [0, 0], [0, 0, 0, 0])
        #expect(data == expected)
    }
}
