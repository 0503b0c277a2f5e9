// SPDX-License-Identifier: Apache-2.0

/// MODE of READ BUFFER(10), READ BUFFER(16) and WRITE BUFFER (SPC-4 6.18, 6.19, 6.49), as far as a disk here has them.
public enum BufferMode: UInt8, Sendable {
    case data = 0x02
    /// READ BUFFER only.
    case descriptor = 0x03
    case echoBuffer = 0x0A
    /// READ BUFFER only.
    case echoBufferDescriptor = 0x0B

    /// MODE is the low five bits of byte 1 in all three commands.
    public init?(_ cdb: CommandDescriptorBlock) {
        self.init(rawValue: cdb[1] & 0x1F)
    }

    public var isEcho: Bool { self == .echoBuffer || self == .echoBufferDescriptor }
    public var isDescriptor: Bool { self == .descriptor || self == .echoBufferDescriptor }
}

/// The CDB of READ BUFFER(10), READ BUFFER(16) or WRITE BUFFER, with the places of its fields.
public struct BufferRequest: Equatable, Sendable {
    public let mode: BufferMode
    public let bufferID: UInt8
    /// BUFFER OFFSET, bytes.
    public let offset: UInt64
    /// ALLOCATION LENGTH, PARAMETER LIST LENGTH; bytes.
    public let length: Int

    /// Where the fields begin, for field pointers.
    public let bufferIDByte: Int
    public let offsetByte: Int
    public let lengthByte: Int

    private static let modeByte = 1
    private static let modeBit = 4

    /// Throws INVALID FIELD IN CDB, pointing at MODE, for a mode that is not there, microcode and error history among
    /// them, and for one that WRITE BUFFER has not.
    public init(_ cdb: CommandDescriptorBlock) throws(SenseData) {
        let isWrite = cdb.opcode == OperationCode.writeBuffer.rawValue
        guard let mode = BufferMode(cdb), !isWrite || !mode.isDescriptor else {
            throw .invalidFieldInCDB(byte: Self.modeByte, bit: Self.modeBit)
        }
        self.mode = mode
        if cdb.opcode == OperationCode.readBuffer16.rawValue {
            (offsetByte, lengthByte, bufferIDByte) = (2, 10, 14)
            offset = cdb.uint64(at: 2)
            length = Int(cdb.uint32(at: 10))
        } else {
            (bufferIDByte, offsetByte, lengthByte) = (2, 3, 6)
            offset = UInt64(cdb.uint24(at: 3))
            length = Int(cdb.uint24(at: 6))
        }
        bufferID = cdb[bufferIDByte]
    }
}

/// The four bytes that the descriptor modes of READ BUFFER return.
public enum BufferDescriptor {
    /// BUFFER CAPACITY of an echo buffer has 13 bits.
    public static let maximumEchoByteCount = 4096

    /// Descriptor mode (SPC-4 6.18.5): OFFSET BOUNDARY zero, any byte will do; all zeroes where there is no buffer.
    public static func write(byteCount: UInt32, to writer: inout ParameterDataWriter) {
        writer.append(UInt8(0))
        writer.append24(byteCount)
    }

    /// Echo buffer descriptor mode (SPC-4 6.18.8) with EBOS: each I_T nexus has a buffer of its own.
    public static func writeEcho(byteCount: UInt16, to writer: inout ParameterDataWriter) {
        writer.append(UInt8(0x01))
        writer.append(UInt8(0))
        writer.append(byteCount)
    }
}
