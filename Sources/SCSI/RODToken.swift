// SPDX-License-Identifier: Apache-2.0

/// ROD TYPE (SPC-4 5.17.6.2): what a representation of data promises.
public enum RODType {
    /// Point in time copy, change vulnerable: the data as they were, until the source changes.
    public static let pointInTimeChangeVulnerable: UInt32 = 0x0080_0001
    /// Point in time copy, any: the copy manager chooses.
    public static let pointInTimeAny: UInt32 = 0x0080_FFFF
    /// Block device zero ROD token (SBC-3): zeroes without end. Nobody creates it.
    public static let blockDeviceZero: UInt32 = 0xFFFF_0001
}

/// A ROD token (SPC-4 5.17.6.5), 512 bytes:
///
///     0     ROD TYPE
///     6     ROD TOKEN LENGTH, 01F8h
///     8     COPY MANAGER ROD TOKEN IDENTIFIER
///     16    CREATOR LOGICAL UNIT DESCRIPTOR, an E4h CSCD descriptor
///     48    NUMBER OF BYTES REPRESENTED, 16 bytes
///     96    device type specific: LOGICAL BLOCK LENGTH and, as READ CAPACITY(16) has it, what lies behind it
///     128   extended data: the secret by which a token is known from a guessed one
public struct RODToken: Equatable, Sendable {
    public static let byteCount = 512
    /// Bytes of the secret: as hard to guess as a key of 256 bits.
    public static let secretByteCount = 32
    static let lengthFieldValue: UInt16 = 0x01F8
    private static let deviceTypeOffset = 96
    private static let secretOffset = 128

    public var identifier: UInt64
    public var byteCountRepresented: UInt64
    public var blockByteCount: Int
    public var creator: DesignationDescriptor
    public var secret: [UInt8]

    public init(
        identifier: UInt64, byteCountRepresented: UInt64, blockByteCount: Int, creator: DesignationDescriptor,
        secret: [UInt8]
    ) {
        self.identifier = identifier
        self.byteCountRepresented = byteCountRepresented
        self.blockByteCount = blockByteCount
        self.creator = creator
        self.secret = secret
    }

    /// All 512 bytes.
    public var bytes: [UInt8] {
        [UInt8](allocationLength: Self.byteCount) { writer in
            writer.append(RODType.pointInTimeChangeVulnerable)
            writer.appendZeroes(2)
            writer.append(Self.lengthFieldValue)
            writer.append(identifier)
            CopyTargetDescriptor.write(creator, blockByteCount: blockByteCount, to: &writer)
            writer.append(UInt64(0))
            writer.append(byteCountRepresented)
            writer.appendZeroes(Self.deviceTypeOffset - writer.byteCount)
            writer.append(UInt32(blockByteCount))
            writer.appendZeroes(Self.secretOffset - writer.byteCount)
            writer.append(secret)
            writer.appendZeroes(Self.byteCount - writer.byteCount)
        }
    }

    /// What the first bytes of a token say; nothing in them is to be believed.
    public struct Header: Equatable, Sendable {
        public var rodType: UInt32
        public var identifier: UInt64

        /// Throws INVALID TOKEN OPERATION, INVALID TOKEN LENGTH. `token` has 512 bytes.
        public init(_ token: [UInt8]) throws(SenseData) {
            func number(_ range: Range<Int>) -> UInt64 { token[range].reduce(0) { $0 << 8 | UInt64($1) } }
            rodType = UInt32(number(0..<4))
            identifier = number(8..<16)
            guard number(6..<8) == UInt64(RODToken.lengthFieldValue) else { throw .invalidTokenLength }
        }
    }

    /// Whether two tokens are the same, in a time that does not tell where they differ.
    public static func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        var difference: UInt8 = 0
        for index in one.indices { difference |= one[index] ^ other[index] }
        return difference == 0
    }
}
