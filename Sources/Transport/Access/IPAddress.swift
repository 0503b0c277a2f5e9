// SPDX-License-Identifier: Apache-2.0

/// A numeric IP address, without a port and without a zone. An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) is the IPv4
/// address that it stands for.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    public let isIPv6: Bool
    /// As a number; of an IPv4 address the low 32 bits.
    let bits: UInt128

    /// Bits of an address: 32 or 128.
    var bitCount: Int { isIPv6 ? 128 : 32 }

    /// fe80::/10 (RFC 4291 2.5.6).
    var isIPv6LinkLocal: Bool { isIPv6 && bits >> 118 == 0xFE80 >> 6 }

    init(isIPv6: Bool, bits: UInt128) {
        self.isIPv6 = isIPv6
        self.bits = bits
    }

    /// ::ffff:0:0/96
    static let mappedPrefix: UInt128 = 0xFFFF
    static let mappedPrefixBitCount = 96

    /// Parses "192.0.2.1", "2001:db8::1" or "::ffff:192.0.2.1", nothing else.
    public init?(_ text: String) {
        if let bits = Self.parseIPv4(text[...]) {
            self.init(isIPv6: false, bits: UInt128(bits))
        } else if let bits = Self.parseIPv6(text) {
            self = Self.unmapped(bits)
        } else {
            return nil
        }
    }

    /// The address of a socket's end: "fe80::1%eth0" is fe80::1.
    public init?(host: String) { self.init(String(host.prefix { $0 != "%" })) }

    static func unmapped(_ bits: UInt128) -> IPAddress {
        guard bits >> 32 == mappedPrefix else { return IPAddress(isIPv6: true, bits: bits) }
        return IPAddress(isIPv6: false, bits: bits & 0xFFFF_FFFF)
    }

    // MARK: Text

    /// Four decimal numbers without leading zeros, which some programs read as octal.
    private static func parseIPv4(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                part.utf8.count == 1 || part.utf8.first != 0x30, let number = UInt8(part)
            else { return nil }
            bits = bits << 8 | UInt32(number)
        }
        return bits
    }

    private static let groupCount = 8

    /// RFC 4291 2.2: eight groups of hexadecimal digits, "::" for one or more groups of zeros, and perhaps an IPv4
    /// address in place of the last two.
    private static func parseIPv6(_ text: String) -> UInt128? {
        // No address is longer; a longer text is not cut up.
        guard text.utf8.count <= 45 else { return nil }
        let halves = text.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
        switch halves.count {
        case 1:
            guard let groups = groups(halves[0], mayEndWithIPv4: true), groups.count == groupCount else { return nil }
            return number(groups)
        case 2:
            guard let front = groups(halves[0], mayEndWithIPv4: false),
                let back = groups(halves[1], mayEndWithIPv4: true),
                front.count + back.count < groupCount
            else { return nil }
            return number(front + Array(repeating: 0, count: groupCount - front.count - back.count) + back)
        default: return nil
        }
    }

    private static func groups(_ text: Substring, mayEndWithIPv4: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        var groups: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if mayEndWithIPv4, index == parts.count - 1, part.contains("."), let bits = parseIPv4(part) {
                groups += [UInt16(bits >> 16), UInt16(truncatingIfNeeded: bits)]
                continue
            }
            guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(isHexadecimalDigit),
                let group = UInt16(part, radix: 16)
            else { return nil }
            groups.append(group)
        }
        return groups
    }

    private static func isHexadecimalDigit(_ byte: UInt8) -> Bool {
        Unicode.Scalar(byte).properties.isASCIIHexDigit
    }

    private static func number(_ groups: [UInt16]) -> UInt128 {
        groups.reduce(0) { $0 << 16 | UInt128($1) }
    }

    /// An IPv6 address as RFC 5952 writes it: small letters, the longest run of zero groups as "::".
    public var description: String {
        guard isIPv6 else {
            return (0..<4).map { "\(UInt8(truncatingIfNeeded: bits >> ((3 - $0) * 8)))" }.joined(separator: ".")
        }
        let groups = (0..<Self.groupCount).map { UInt16(truncatingIfNeeded: bits >> ((7 - $0) * 16)) }
        let zeros = Self.longestZeros(groups)
        let words = groups.map { String($0, radix: 16) }
        guard zeros.count > 1 else { return words.joined(separator: ":") }
        return words[..<zeros.lowerBound].joined(separator: ":") + "::"
            + words[zeros.upperBound...].joined(separator: ":")
    }

    /// The first of the longest runs.
    private static func longestZeros(_ groups: [UInt16]) -> Range<Int> {
        var best = 0..<0
        var start = 0
        for (index, group) in groups.enumerated() {
            if group != 0 {
                start = index + 1
            } else if index + 1 - start > best.count {
                best = start..<index + 1
            }
        }
        return best
    }
}
