// SPDX-License-Identifier: Apache-2.0

/// A device clock's time as REPORT TIMESTAMP returns it (SPC-4 5.2, 6.39).
public struct TimestampData: Equatable, Sendable {
    /// TIMESTAMP ORIGIN.
    public enum Origin: UInt8, Sendable {
        case zeroedAtPowerOnOrHardReset = 0b000
        case setTimestamp = 0b010
        /// Initialised by other means than SET TIMESTAMP.
        case otherMeans = 0b011
    }

    public var origin: Origin
    /// Milliseconds since 1970-01-01 UT; 48 bits are sent.
    public var milliseconds: UInt64

    public static let byteCount = 12
    /// Bytes of SET TIMESTAMP's parameter list (SPC-4 6.46).
    public static let parameterListByteCount = 12
    private static let timestampOffset = 4

    public init(origin: Origin, milliseconds: UInt64) {
        self.origin = origin
        self.milliseconds = milliseconds
    }

    public func write(to writer: inout ParameterDataWriter) {
        let length = writer.reserveLength(.twoBytes)
        writer.append(origin.rawValue)
        writer.append(UInt8(0))
        writer.append(UInt16(truncatingIfNeeded: milliseconds >> 32))
        writer.append(UInt32(truncatingIfNeeded: milliseconds))
        writer.appendZeroes(2)
        writer.fill(length)
    }

    /// The TIMESTAMP of SET TIMESTAMP's parameter list. Throws PARAMETER LIST LENGTH ERROR for any other length, and
    /// INVALID FIELD IN PARAMETER LIST for reserved bytes.
    public static func milliseconds(of list: RawSpan) throws(SenseData) -> UInt64 {
        guard list.byteCount == parameterListByteCount else { throw .parameterListLengthError }
        for index in [0, 1, 2, 3, 10, 11] where list.uint8(at: index) != 0 {
            throw .invalidFieldInParameterList(byte: index)
        }
        return UInt64(list.uint16(at: timestampOffset)) << 32 | UInt64(list.uint32(at: timestampOffset + 2))
    }
}
