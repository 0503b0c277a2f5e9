// SPDX-License-Identifier: Apache-2.0

/// A TransportID for iSCSI (SPC-4 7.6.4): the name of an initiator device (format 00b), or of an initiator port
/// with its ISID (format 01b, `NAME,i,0xISID`).
public struct TransportID: Hashable, Sendable {
    /// The name as it stands in the TransportID, without its terminating zero.
    public let name: String
    /// Format 01b: the name ends with the separator and the ISID.
    public let isPort: Bool

    /// Between an iSCSI name and the ISID of a port's name (RFC 7143 4.2.7.1).
    public static let separator = ",i,0x"

    /// Bytes before the name.
    private static let headerByteCount = 4
    /// The least ADDITIONAL LENGTH.
    private static let minimumNameByteCount = 20
    /// The greatest: 223 bytes of iSCSI name, separator, 12 digits and a zero, up to a multiple of four.
    private static let maximumNameByteCount = 244
    private static let portFormat: UInt8 = 1
    /// Bytes of the longest TransportID.
    public static let maximumByteCount = headerByteCount + maximumNameByteCount

    /// Names a port when `iSCSIName` holds the separator, otherwise a device.
    public init(iSCSIName: String) {
        name = iSCSIName
        isPort = Self.holdsSeparator(iSCSIName)
    }

    private static let isidDigitCount = 12

    /// The initiator port's name as sessions are named: the ISID in 12 lower-case digits, whatever form the initiator
    /// wrote it in. Nil for a device's name, and for an ISID that is none.
    public var portName: String? {
        let bytes = Array(name.utf8)
        let separator = Array(Self.separator.utf8)
        guard isPort, bytes.count > separator.count,
            let start = (0...bytes.count - separator.count).last(where: {
                Array(bytes[$0..<$0 + separator.count]) == separator
            })
        else { return nil }
        let digits = bytes[(start + separator.count)...]
        guard start > 0, (1...Self.isidDigitCount).contains(digits.count),
            digits.allSatisfy({ UInt8(ascii: "0") <= $0 && $0 <= UInt8(ascii: "9") || Self.isLetterDigit($0) }),
            let isid = UInt64(String(decoding: digits, as: UTF8.self), radix: 16)
        else { return nil }
        let text = String(isid, radix: 16)
        let zeroes = String(repeating: "0", count: Self.isidDigitCount - text.utf8.count)
        return String(decoding: bytes[..<start], as: UTF8.self) + Self.separator + zeroes + text
    }

    private static func isLetterDigit(_ byte: UInt8) -> Bool {
        UInt8(ascii: "a") <= byte | 0x20 && byte | 0x20 <= UInt8(ascii: "f")
    }

    private static func holdsSeparator(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        let wanted = Array(separator.utf8)
        guard bytes.count >= wanted.count else { return false }
        return (0...bytes.count - wanted.count).contains { Array(bytes[$0..<$0 + wanted.count]) == wanted }
    }

    public func write(to writer: inout ParameterDataWriter) {
        writer.append((isPort ? Self.portFormat << 6 : 0) | ProtocolIdentifier.iSCSI.rawValue)
        writer.append(UInt8(0))
        let additionalLength = writer.reserveLength(.twoBytes)
        let start = writer.byteCount
        writer.append(nullTerminated: name)
        writer.appendZeroes(max(0, Self.minimumNameByteCount - (writer.byteCount - start)))
        writer.fill(additionalLength)
    }

    /// Reads the TransportID at `offset` of a parameter list, and says how many bytes it takes.
    ///
    /// Throws INVALID FIELD IN PARAMETER LIST, pointing at the field, for another protocol or format, an impossible
    /// length, or a name that is empty, has no end, is no UTF-8, or contradicts its format; PARAMETER LIST LENGTH
    /// ERROR when it is cut off.
    public static func read(from list: RawSpan, at offset: Int) throws(SenseData) -> (TransportID, byteCount: Int) {
        guard list.byteCount - offset >= headerByteCount else { throw .parameterListLengthError }
        let first = list.uint8(at: offset)
        guard first & 0x0F == ProtocolIdentifier.iSCSI.rawValue else {
            throw .invalidFieldInParameterList(byte: offset, bit: 3)
        }
        guard first >> 6 <= portFormat else { throw .invalidFieldInParameterList(byte: offset, bit: 7) }
        let length = Int(list.uint16(at: offset + 2))
        guard length >= minimumNameByteCount, length <= maximumNameByteCount, length % 4 == 0 else {
            throw .invalidFieldInParameterList(byte: offset + 2)
        }
        let start = offset + headerByteCount
        guard list.byteCount - start >= length else { throw .parameterListLengthError }

        var bytes: [UInt8] = []
        var position = start
        while position < start + length, list.uint8(at: position) != 0 {
            bytes.append(list.uint8(at: position))
            position += 1
        }
        guard !bytes.isEmpty, position < start + length, let name = String(validating: bytes, as: UTF8.self) else {
            throw .invalidFieldInParameterList(byte: start)
        }
        let identifier = TransportID(iSCSIName: name)
        guard identifier.isPort == (first >> 6 == portFormat) else {
            throw .invalidFieldInParameterList(byte: offset, bit: 7)
        }
        return (identifier, headerByteCount + length)
    }
}
