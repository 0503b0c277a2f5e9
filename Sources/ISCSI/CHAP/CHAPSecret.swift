// SPDX-License-Identifier: Apache-2.0

/// A secret of CHAP. However it is printed, its bytes are not.
public struct CHAPSecret: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    /// 96 bits: with less, whoever has listened finds it by trying (RFC 7143 9.2.1).
    public static let minimumByteCount = 12
    /// As long as any simple value (RFC 7143 6.1).
    public static let maximumByteCount = 255

    let bytes: [UInt8]

    /// Nil when there are too few bytes or too many.
    public init?(_ bytes: [UInt8]) {
        guard (Self.minimumByteCount...Self.maximumByteCount).contains(bytes.count) else { return nil }
        self.bytes = bytes
    }

    /// Stands for the secret of a name that nobody has: what it takes to find that out is the same.
    static let ofNobody = CHAPSecret(padded: minimumByteCount)

    private init(padded byteCount: Int) { bytes = Array(repeating: 0, count: byteCount) }

    public var description: String { "(secret)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A name of CHAP_N and its secret.
public struct CHAPCredential: Equatable, Sendable {
    /// Bytes of a name (RFC 7143 6.1: a simple value).
    public static let nameByteLimit = 255

    public let name: String
    public let secret: CHAPSecret

    /// Nil for a name that is empty or too long.
    public init?(name: String, secret: CHAPSecret) {
        guard Self.isName(name) else { return nil }
        self.name = name
        self.secret = secret
    }

    static func isName(_ name: String) -> Bool { !name.isEmpty && name.utf8.count <= nameByteLimit }
}

enum ConstantTime {
    /// Whether both are the same, in a time that tells nothing about where they differ. Their lengths are no secret.
    @inline(never)
    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}
