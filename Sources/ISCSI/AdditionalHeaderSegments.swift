// SPDX-License-Identifier: Apache-2.0

internal import SCSI

/// What the additional header segments of a SCSI Command can say (RFC 7143 11.2.2).
struct AdditionalHeaderSegments {
    /// AHSType, the low six bits of byte 2.
    private enum Kind {
        static let mask: UInt8 = 0x3F
        static let extendedCDB: UInt8 = 1
        static let bidirectionalReadLength: UInt8 = 2
    }

    /// AHSLength and AHSType.
    private static let prefixByteCount = 3
    /// AHSLength of a bidirectional read length: a reserved byte and four bytes.
    private static let bidirectionalReadAHSLength = 5
    /// Bytes of a CDB that stand in the basic header segment.
    private static let basicCDBByteCount = 16

    /// Offset in `bytes` and length of what follows the first 16 bytes of the CDB.
    private(set) var extendedCDB: (offset: Int, byteCount: Int)?
    private(set) var bidirectionalReadLength: UInt32?

    /// Reads all segments, each at most once. An unknown type or a length that does not fit is refused.
    init(_ bytes: RawSpan) throws(PDUError) {
        var offset = 0
        while offset < bytes.byteCount {
            guard bytes.byteCount - offset >= Self.prefixByteCount else { throw .reject(.invalidPDUField) }
            let length = Int(bytes.uint16(at: offset))
            let content = offset + Self.prefixByteCount
            guard length >= 1, length <= bytes.byteCount - content else { throw .reject(.invalidPDUField) }
            switch bytes.uint8(at: offset + 2) & Kind.mask {
            case Kind.extendedCDB:
                // One reserved byte, then the CDB's bytes from the 17th on.
                let limit = CommandDescriptorBlock.maximumByteCount - Self.basicCDBByteCount
                guard extendedCDB == nil, length > 1 else { throw .reject(.invalidPDUField) }
                guard length - 1 <= limit else { throw .reject(.commandNotSupported) }
                extendedCDB = (content + 1, length - 1)
            case Kind.bidirectionalReadLength:
                guard bidirectionalReadLength == nil, length == Self.bidirectionalReadAHSLength else {
                    throw .reject(.invalidPDUField)
                }
                bidirectionalReadLength = bytes.uint32(at: content + 1)
            default:
                throw .reject(.invalidPDUField)
            }
            // Each segment is padded to a multiple of four bytes, and so is their sum.
            offset = (content + length + 3) & ~3
        }
    }

    /// The segments for an extended CDB and a bidirectional read length, as they stand behind the header.
    static func encode(cdb: CommandDescriptorBlock, bidirectionalReadLength: UInt32?) -> [UInt8] {
        var bytes: [UInt8] = []
        if cdb.byteCount > basicCDBByteCount {
            let length = cdb.byteCount - basicCDBByteCount + 1
            bytes += [UInt8(length >> 8), UInt8(length & 0xFF), Kind.extendedCDB, 0]
            bytes += cdb.bytes[basicCDBByteCount...]
            while bytes.count % 4 != 0 { bytes.append(0) }
        }
        if let length = bidirectionalReadLength {
            bytes += [0, UInt8(bidirectionalReadAHSLength), Kind.bidirectionalReadLength, 0]
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) }
        }
        return bytes
    }
}
