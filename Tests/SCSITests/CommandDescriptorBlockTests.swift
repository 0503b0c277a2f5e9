// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct CommandDescriptorBlockTests {
    static let counting = (0..<32).map { UInt8($0 * 7 + 1) }

    @Test("a CDB of any length up to 32 bytes gives back its bytes, and zeroes behind them")
    func bytes() throws {
        for count in 0...32 {
            let cdb = try #require(CommandDescriptorBlock(Array(Self.counting.prefix(count))))
            #expect(cdb.byteCount == count)
            #expect(cdb.bytes == Array(Self.counting.prefix(count)))
            for index in 0..<32 { #expect(cdb[index] == (index < count ? Self.counting[index] : 0)) }
        }
    }

    @Test("more than 32 bytes are refused, not cut off", arguments: [33, 64, 260])
    func tooLong(count: Int) {
        #expect(CommandDescriptorBlock([UInt8](repeating: 0, count: count)) == nil)
    }

    @Test("sixteen bytes are taken from any place")
    func sixteenBytes() {
        let bytes = Self.counting
        let cdb = CommandDescriptorBlock(sixteenBytesOf: bytes.span.bytes, at: 5)
        #expect(cdb == CommandDescriptorBlock(Array(bytes[5..<21])))
        #expect(cdb.byteCount == 16)
    }

    @Test("integers are big-endian at every offset")
    func integers() throws {
        let cdb = try #require(CommandDescriptorBlock(Self.counting))
        func expected(_ offset: Int, _ count: Int) -> UInt64 {
            (offset..<offset + count).reduce(0) { $0 << 8 | ($1 < 32 ? UInt64(Self.counting[$1]) : 0) }
        }
        for offset in 0..<32 {
            #expect(UInt64(cdb.uint16(at: offset)) == expected(offset, 2))
            #expect(UInt64(cdb.uint24(at: offset)) == expected(offset, 3))
            #expect(UInt64(cdb.uint32(at: offset)) == expected(offset, 4))
            #expect(cdb.uint64(at: offset) == expected(offset, 8))
        }
    }

    @Test(
        "the group code of the operation code gives the length",
        arguments: [
            (0x00, 6), (0x1F, 6), (0x20, 10), (0x5F, 10), (0x60, nil), (0x7E, nil), (0x80, 16), (0x9F, 16), (0xA0, 12),
            (0xBF, 12), (0xC0, nil), (0xFF, nil),
        ] as [(UInt8, Int?)])
    func definedLength(opcode: UInt8, length: Int?) throws {
        var bytes = [UInt8](repeating: 0, count: 32)
        bytes[0] = opcode
        let cdb = try #require(CommandDescriptorBlock(bytes))
        #expect(cdb.definedByteCount == length)
        #expect(cdb.isComplete == (length != nil))
    }

    @Test("a CDB shorter than its operation code asks for is not complete")
    func incomplete() throws {
        #expect(!(try #require(CommandDescriptorBlock([0x28, 0, 0, 0, 0, 0, 0, 0, 1]))).isComplete)
        #expect((try #require(CommandDescriptorBlock([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0]))).isComplete)
        #expect(!CommandDescriptorBlock().isComplete)
    }

    @Test("with variable length, byte 7 gives the length, byte 1 is the CONTROL byte")
    func variableLength() throws {
        var bytes = [UInt8](repeating: 0, count: 32)
        bytes[0] = 0x7F
        bytes[1] = 0x04
        bytes[7] = 0x18
        bytes[9] = 0x09
        let cdb = try #require(CommandDescriptorBlock(bytes))
        #expect(cdb.definedByteCount == 32)
        #expect(cdb.control == 0x04)
        #expect(cdb.naca)
        #expect(cdb.serviceAction == ServiceAction.VariableLength.read32.rawValue)
        bytes[7] = 0xFF
        let tooLong = try #require(CommandDescriptorBlock(bytes))
        #expect(tooLong.definedByteCount == 263)
        #expect(!tooLong.isComplete)
    }

    @Test(
        "the CONTROL byte is the last one, and NACA its bit 2",
        arguments: [(0x12, 5), (0x28, 9), (0x88, 15), (0xA8, 11)])
    func control(opcode: UInt8, position: Int) throws {
        var bytes = [UInt8](repeating: 0xFF, count: 16)
        bytes[0] = opcode
        bytes[position] = 0x04
        let cdb = try #require(CommandDescriptorBlock(bytes))
        #expect(cdb.control == 0x04)
        #expect(cdb.naca)
        bytes[position] = 0xFB
        #expect(!(try #require(CommandDescriptorBlock(bytes))).naca)
    }

    @Test("service actions are read where an operation code has them, and only there")
    func serviceAction() {
        #expect(([0x9E, 0xF2] as CommandDescriptorBlock).serviceAction == 0x12)
        #expect(([0xA3, 0xEC] as CommandDescriptorBlock).serviceAction == 0x0C)
        #expect(([0x5E, 0x01] as CommandDescriptorBlock).serviceAction == 0x01)
        #expect(([0x28, 0xFF] as CommandDescriptorBlock).serviceAction == nil)
        #expect(([0x93, 0x08] as CommandDescriptorBlock).serviceAction == nil)
    }

    @Test("operation codes have T10's values, each once")
    func operationCodes() {
        #expect(Set(OperationCode.allCases.map(\.rawValue)).count == OperationCode.allCases.count)
        #expect(OperationCode.compareAndWrite.rawValue == 0x89)
        #expect(OperationCode.writeSame16.rawValue == 0x93)
        #expect(OperationCode.getLBAStatusCode == 0x9E)
    }
}

extension OperationCode {
    /// GET LBA STATUS is a service action of this operation code.
    fileprivate static var getLBAStatusCode: UInt8 { OperationCode.serviceActionIn16.rawValue }
}
