// SPDX-License-Identifier: Apache-2.0

/// The parameter list of FORMAT UNIT (SBC-4 5.4.2): a header of four (short) or eight bytes, then an initialization
/// pattern descriptor if IP is one. A defect list is refused: nothing here has defects to be told of.
///
/// ```
/// byte 0           PROTECTION FIELD USAGE (2 to 0)
/// byte 1           FOV (7), DPRY (6), DCRT (5), STPF (4), IP (3), IMMED (1)
/// short: 2, 3      DEFECT LIST LENGTH
/// long:  3         P_I_INFORMATION (7 to 4), PROTECTION INTERVAL EXPONENT (3 to 0)
///        4 to 7    DEFECT LIST LENGTH
/// descriptor: 0    reserved; SI (5), obsolete IP MODIFIER (7, 6)
///             1    INITIALIZATION PATTERN TYPE
///             2, 3 INITIALIZATION PATTERN LENGTH
/// ```
public struct FormatUnitParameterList: Equatable, Sendable {
    public static let shortHeaderByteCount = 4
    public static let longHeaderByteCount = 8
    private static let descriptorByteCount = 4

    /// PROTECTION FIELD USAGE: with FMTPINFO it asks for a type of protection.
    public var protectionFieldUsage: UInt8 = 0
    /// PROTECTION INTERVAL EXPONENT.
    public var protectionIntervalExponent: UInt8 = 0
    /// IMMED: status comes once the list is checked.
    public var isImmediate = false
    /// INITIALIZATION PATTERN TYPE 01h: repeated from the start of every logical block. Nil: the default pattern.
    public var pattern: [UInt8]?

    /// Without FMTDATA.
    public init() {}

    /// Checks `bytes`: all that came. Throws with a pointer to the field.
    public init(_ bytes: [UInt8], isLong: Bool, blockByteCount: Int) throws(SenseData) {
        let headerByteCount = isLong ? Self.longHeaderByteCount : Self.shortHeaderByteCount
        guard bytes.count >= headerByteCount else { throw .parameterListLengthError }
        try Self.checkReserved(bytes, mask: 0x07, at: 0)
        protectionFieldUsage = bytes[0] & 0x07
        try Self.checkReserved(bytes, mask: 0xFA, at: 1)
        let isOptionsValid = bytes[1] & 0x80 != 0
        if !isOptionsValid, bytes[1] & 0x78 != 0 {
            // FOV zero: DPRY, DCRT, STPF and IP shall be zero.
            throw .invalidFieldInParameterList(byte: 1, bit: 7 - (bytes[1] & 0x78).leadingZeroBitCount)
        }
        isImmediate = bytes[1] & 0x02 != 0
        let lengthByte = isLong ? 4 : 2
        if isLong {
            try Self.checkReserved(bytes, mask: 0, at: 2)
            // P_I_INFORMATION shall be zero.
            try Self.checkReserved(bytes, mask: 0x0F, at: 3)
            protectionIntervalExponent = bytes[3] & 0x0F
        }
        guard bytes[lengthByte..<headerByteCount].allSatisfy({ $0 == 0 }) else {
            throw .invalidFieldInParameterList(byte: lengthByte)
        }
        if bytes[1] & 0x08 != 0 {
            pattern = try Self.pattern(bytes, at: headerByteCount, blockByteCount: blockByteCount)
        }
    }

    private static func pattern(
        _ bytes: [UInt8], at start: Int, blockByteCount: Int
    ) throws(SenseData) -> [UInt8]? {
        guard bytes.count >= start + descriptorByteCount else { throw .parameterListLengthError }
        // SI and IP MODIFIER ask for what is obsolete.
        try checkReserved(bytes, mask: 0, at: start)
        let length = Int(bytes[start + 2]) << 8 | Int(bytes[start + 3])
        switch bytes[start + 1] {
        case 0x00:
            guard length == 0 else { throw .invalidFieldInParameterList(byte: start + 2) }
            return nil
        case 0x01:
            guard length > 0, length <= blockByteCount else { throw .invalidFieldInParameterList(byte: start + 2) }
            let first = start + descriptorByteCount
            guard bytes.count >= first + length else { throw .parameterListLengthError }
            return Array(bytes[first..<first + length])
        default:
            throw .invalidFieldInParameterList(byte: start + 1)
        }
    }

    /// Throws with a pointer to the highest bit of byte `offset` that is set and not in `mask`.
    private static func checkReserved(_ bytes: [UInt8], mask: UInt8, at offset: Int) throws(SenseData) {
        let wrong = bytes[offset] & ~mask
        guard wrong == 0 else {
            throw .invalidFieldInParameterList(byte: offset, bit: 7 - wrong.leadingZeroBitCount)
        }
    }
}
