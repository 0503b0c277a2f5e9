// SPDX-License-Identifier: Apache-2.0

/// The parameter list of SANITIZE with the service action OVERWRITE (SBC-4): four bytes, then the pattern.
///
/// ```
/// byte 0     INVERT (7), TEST (6, 5), OVERWRITE COUNT (4 to 0)
/// byte 1     reserved
/// bytes 2, 3 INITIALIZATION PATTERN LENGTH: 1 to the bytes of a logical block
/// byte 4 on  INITIALIZATION PATTERN
/// ```
public struct SanitizeOverwriteList: Equatable, Sendable {
    public static let headerByteCount = 4

    /// INVERT: each pass writes the complement of what the one before wrote, and the last one the pattern.
    public let inverts: Bool
    /// OVERWRITE COUNT: passes over the medium, 1 to 31.
    public let passCount: Int
    /// Repeated from the start of every logical block, and cut off at its end.
    public let pattern: [UInt8]

    private static let countByte = 0
    private static let countHighestBit = 4
    private static let testHighestBit = 6
    private static let lengthByte = 2

    /// Whether PARAMETER LIST LENGTH is one that the service action allows: a pattern of at least one byte, and no
    /// more than a block of it.
    public static func allows(byteCount: Int, blockByteCount: Int) -> Bool {
        byteCount > headerByteCount && byteCount <= headerByteCount + blockByteCount
    }

    /// Checks `bytes`, of which there are as many as PARAMETER LIST LENGTH says. Throws with a pointer to the field.
    public init(_ bytes: [UInt8], blockByteCount: Int) throws(SenseData) {
        guard bytes.count > Self.headerByteCount else { throw .parameterListLengthError }
        if bytes[0] & 0x60 != 0 {
            // 01b to 11b are vendor specific.
            throw .invalidFieldInParameterList(byte: 0, bit: Self.testHighestBit)
        }
        passCount = Int(bytes[0] & 0x1F)
        guard passCount > 0 else {
            throw .invalidFieldInParameterList(byte: Self.countByte, bit: Self.countHighestBit)
        }
        if bytes[1] != 0 { throw .invalidFieldInParameterList(byte: 1, bit: 7 - bytes[1].leadingZeroBitCount) }
        inverts = bytes[0] & 0x80 != 0
        let length = Int(bytes[2]) << 8 | Int(bytes[3])
        guard length > 0, length <= blockByteCount, length == bytes.count - Self.headerByteCount else {
            throw .invalidFieldInParameterList(byte: Self.lengthByte)
        }
        pattern = Array(bytes[Self.headerByteCount...])
    }

    /// The bytes of every logical block after pass `pass`, counted from 0.
    public func block(ofPass pass: Int, blockByteCount: Int) -> [UInt8] {
        let isInverted = inverts && (passCount - 1 - pass) % 2 == 1
        return (0..<blockByteCount).map { index in
            let byte = pattern[index % pattern.count]
            return isInverted ? ~byte : byte
        }
    }
}
