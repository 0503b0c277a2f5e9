// SPDX-License-Identifier: Apache-2.0

/// One IP address, or all those with the same leading bits (CIDR, RFC 4632): "192.0.2.7", "10.0.0.0/8",
/// "2001:db8::/32".
///
/// A range of IPv6 addresses has no IPv4 address in it, "::/0" neither. One of IPv4-mapped addresses is the range of
/// IPv4 addresses that they stand for.
public struct AddressRange: Hashable, Sendable, CustomStringConvertible {
    private let first: IPAddress
    /// Leading bits that are the same in all addresses.
    private let prefixBitCount: Int

    /// What keeps a text from being a range.
    public enum Defect: Error, Equatable, Sendable {
        case noAddress
        /// The length behind the slash is none for this address.
        case badLength(minimum: Int, maximum: Int)
        /// Bits behind the prefix are set: perhaps a digit is wrong. `meant` is the range without them.
        case hostBits(meant: AddressRange)
    }

    private init(first: IPAddress, prefixBitCount: Int) {
        self.first = first
        self.prefixBitCount = prefixBitCount
    }

    public init(_ text: String) throws(Defect) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let head = String(parts[0])
        guard let address = IPAddress(head) else { throw .noAddress }
        guard parts.count > 1 else {
            self.init(first: address, prefixBitCount: address.bitCount)
            return
        }
        // An address that was written as IPv6 has a length for 128 bits, although it may stand for one of 32.
        let isMapped = head.contains(":") && !address.isIPv6
        let skipped = isMapped ? IPAddress.mappedPrefixBitCount : 0
        let maximum = skipped + address.bitCount
        guard let length = Self.length(parts[1]), length <= maximum, length >= skipped else {
            throw .badLength(minimum: skipped, maximum: maximum)
        }
        let range = Self.masked(address, length - skipped)
        guard range.first == address else { throw .hostBits(meant: range) }
        self = range
    }

    /// One to three decimal digits.
    private static func length(_ text: Substring) -> Int? {
        guard (1...3).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(text)
    }

    private static func masked(_ address: IPAddress, _ prefixBitCount: Int) -> AddressRange {
        // A shift by the whole width gives zero, as `/0` asks.
        let hostBitCount = address.bitCount - prefixBitCount
        let bits = (address.bits >> hostBitCount) << hostBitCount
        return AddressRange(
            first: IPAddress(isIPv6: address.isIPv6, bits: bits), prefixBitCount: prefixBitCount)
    }

    public func contains(_ address: IPAddress) -> Bool {
        address.isIPv6 == first.isIPv6 && Self.masked(address, prefixBitCount).first == first
    }

    /// Whether every address of `other` is in this range, too.
    public func contains(_ other: AddressRange) -> Bool {
        prefixBitCount <= other.prefixBitCount && contains(other.first)
    }

    public var description: String {
        prefixBitCount == first.bitCount ? "\(first)" : "\(first)/\(prefixBitCount)"
    }
}
