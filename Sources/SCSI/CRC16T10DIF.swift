// SPDX-License-Identifier: Apache-2.0

/// The CRC of the LOGICAL BLOCK GUARD field (SBC-4 4.22.4): polynomial 8BB7h, most significant bit first, from zero.
///
/// Eight bytes at a time: table `k` holds the CRC of each byte with `k` bytes of zeroes behind it, so that the eight
/// look-ups of a word do not wait for each other.
public enum CRC16T10DIF {
    private static let polynomial: UInt16 = 0x8BB7
    private static let wordByteCount = 8

    /// 256 entries for each byte of a word.
    private static let tables: [UInt16] = {
        var tables = (0..<256).map { byte in
            (0..<8).reduce(UInt16(byte) << 8) { crc, _ in
                crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ polynomial
            }
        }
        for index in 256..<256 * wordByteCount {
            let shorter = tables[index - 256]
            tables.append(shorter << 8 ^ tables[Int(shorter >> 8)])
        }
        return tables
    }()

    /// The CRC of `bytes`; `crc` is that of the bytes before them.
    public static func of(_ bytes: RawSpan, continuing crc: UInt16 = 0) -> UInt16 {
        unsafe tables.withUnsafeBufferPointer { tables in
            // Safe: an index is a table of eight and a byte.
            func look(_ table: Int, _ byte: UInt64) -> UInt16 { unsafe tables[table << 8 | Int(byte & 0xFF)] }
            var crc = crc
            var offset = 0
            while offset + wordByteCount <= bytes.byteCount {
                let word = bytes.uint64(at: offset) ^ UInt64(crc) << 48
                let first = look(7, word >> 56) ^ look(6, word >> 48) ^ look(5, word >> 40) ^ look(4, word >> 32)
                let second = look(3, word >> 24) ^ look(2, word >> 16) ^ look(1, word >> 8) ^ look(0, word)
                crc = first ^ second
                offset += wordByteCount
            }
            while offset < bytes.byteCount {
                crc = crc << 8 ^ look(0, UInt64(crc >> 8) ^ UInt64(bytes.uint8(at: offset)))
                offset += 1
            }
            return crc
        }
    }
}
