// SPDX-License-Identifier: Apache-2.0

/// What SPC-4 4.2 says of every command descriptor block, whatever the command.
extension CommandDescriptorBlock {
    /// Bytes that the operation code gives a meaning: by group code (SPC-4 4.2.5.1), and for variable length
    /// (7Fh) by the ADDITIONAL CDB LENGTH field. Nil for the reserved group 3 and the vendor specific groups 6 and 7.
    @inlinable
    public var definedByteCount: Int? {
        switch opcode >> 5 {
        case 0: 6
        case 1, 2: 10
        case 3 where opcode == Self.variableLengthOpcode: Int(self[7]) + 8
        case 4: 16
        case 5: 12
        default: nil
        }
    }

    @usableFromInline static var variableLengthOpcode: UInt8 { 0x7F }

    /// Whether all bytes that the operation code gives a meaning came. False where their count is unknown.
    @inlinable
    public var isComplete: Bool {
        guard let definedByteCount else { return false }
        return definedByteCount <= byteCount
    }

    /// The CONTROL byte: the last one, or byte 1 with variable length. Zero where the length is unknown.
    @inlinable
    public var control: UInt8 {
        if opcode == Self.variableLengthOpcode { return self[1] }
        guard let definedByteCount else { return 0 }
        return self[definedByteCount - 1]
    }

    /// NACA of the CONTROL byte (SAM-5 5.2): asks for an auto contingent allegiance.
    @inlinable
    public var naca: Bool {
        control & 0x04 != 0
    }

    /// The SERVICE ACTION field, for the operation codes that have one; nil for the others.
    public var serviceAction: UInt16? {
        switch ServiceActionField(opcode: opcode) {
        case .none: nil
        case .lowFiveBitsOfByte1: UInt16(self[1] & 0x1F)
        case .bytes8And9: uint16(at: 8)
        }
    }
}

/// Where an operation code has its SERVICE ACTION field (SPC-4 4.2.5.2).
public enum ServiceActionField: Sendable {
    case none
    case lowFiveBitsOfByte1
    case bytes8And9

    public init(opcode: UInt8) {
        switch opcode {
        case 0x48,  // SANITIZE
            0x5E, 0x5F,  // PERSISTENT RESERVE IN, OUT
            0x83, 0x84,  // THIRD-PARTY COPY OUT, IN
            0x86, 0x87,  // ACCESS CONTROL IN, OUT
            0x8C,  // READ ATTRIBUTE
            0x94, 0x95,  // ZBC OUT, ZBC IN
            0x9D, 0x9E, 0x9F,  // SERVICE ACTION BIDIRECTIONAL, IN(16), OUT(16)
            0xA3, 0xA4,  // MAINTENANCE IN, OUT
            0xA9, 0xAB:  // SERVICE ACTION OUT(12), IN(12)
            self = .lowFiveBitsOfByte1
        case CommandDescriptorBlock.variableLengthOpcode:
            self = .bytes8And9
        default:
            self = .none
        }
    }
}
