// SPDX-License-Identifier: Apache-2.0

/// Which bits of a command descriptor block a device server uses: a mask of 32 bytes, made once for each command.
///
/// It is what REPORT SUPPORTED OPERATION CODES returns as CDB USAGE DATA (SPC-4 6.35.3), and the check for reserved
/// bits: a bit that is set in the CDB but not in the mask is an invalid field.
public struct CDBUsage: Equatable, Sendable {
    @usableFromInline let mask: CDBWords

    /// Bytes of the CDB that the command defines. Bytes behind them are not checked: a transport may pad.
    public let byteCount: Int

    /// `bytesAfterOpcode`: the mask of byte 1 and those that follow, the CONTROL byte included. The operation code
    /// counts as used. More than 31 bytes are a programming error.
    public init(_ bytesAfterOpcode: [UInt8]) {
        precondition(bytesAfterOpcode.count < CommandDescriptorBlock.maximumByteCount, "no CDB is that long")
        byteCount = bytesAfterOpcode.count + 1
        let padding = CommandDescriptorBlock.maximumByteCount - byteCount
        mask = CDBWords([0xFF] + bytesAfterOpcode + [UInt8](repeating: 0xFF, count: padding))
    }

    /// A position in a CDB: what a field pointer names.
    public struct Position: Equatable, Sendable {
        public let byte: Int
        /// 7 is the most significant.
        public let bit: Int

        @inlinable
        init(bitFromStart: Int) {
            byte = bitFromStart >> 3
            bit = 7 - bitFromStart & 7
        }
    }

    /// The first bit of `cdb`, in the order of bytes and from the most significant bit of each, that is set but not
    /// used; nil when there is none.
    @inlinable
    public func firstReservedBit(in cdb: CommandDescriptorBlock) -> Position? {
        let first = cdb.words.first & ~mask.first
        let second = cdb.words.second & ~mask.second
        let third = cdb.words.third & ~mask.third
        let fourth = cdb.words.fourth & ~mask.fourth
        if first | second | third | fourth == 0 { return nil }
        if first != 0 { return Position(bitFromStart: first.leadingZeroBitCount) }
        if second != 0 { return Position(bitFromStart: 64 + second.leadingZeroBitCount) }
        if third != 0 { return Position(bitFromStart: 128 + third.leadingZeroBitCount) }
        return Position(bitFromStart: 192 + fourth.leadingZeroBitCount)
    }

    /// Mask of byte `index`; zero behind `byteCount`.
    public subscript(_ index: Int) -> UInt8 {
        index < byteCount ? mask.byte(index) : 0
    }

    /// CDB USAGE DATA: the mask, with the values of OPERATION CODE and, where there is one, of SERVICE ACTION in
    /// their places.
    public func write(opcode: UInt8, serviceAction: UInt16?, to writer: inout ParameterDataWriter) {
        let field = serviceAction == nil ? ServiceActionField.none : ServiceActionField(opcode: opcode)
        let action = serviceAction ?? 0
        writer.append(opcode)
        for index in 1..<byteCount {
            switch (field, index) {
            case (.lowFiveBitsOfByte1, 1): writer.append(self[1] & 0xE0 | UInt8(truncatingIfNeeded: action) & 0x1F)
            case (.bytes8And9, 8): writer.append(UInt8(truncatingIfNeeded: action >> 8))
            case (.bytes8And9, 9): writer.append(UInt8(truncatingIfNeeded: action))
            default: writer.append(self[index])
            }
        }
    }
}
