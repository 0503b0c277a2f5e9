// SPDX-License-Identifier: Apache-2.0

internal import CDigest
public import SCSI

/// The digest of headers and data segments (RFC 7143 13.1), computed over a run of bytes given in any pieces.
public struct CRC32C: Equatable, Sendable {
    /// Bytes of a digest on the wire.
    public static let byteCount = 4

    /// The digest of the bytes so far. On the wire its least significant byte comes first: 32 bytes of zeroes have
    /// the value 8A91_36AAh and the digest bytes AA 36 91 8A.
    public private(set) var value: UInt32 = 0

    public init() {}

    public mutating func update(_ bytes: RawSpan) {
        // Safe: the pointer and the count are the span's own, and the call keeps neither.
        value = unsafe bytes.withUnsafeBytes { unsafe martlet_crc32c(value, $0.baseAddress, $0.count) }
    }

    /// The digest of `bytes`.
    public static func of(_ bytes: RawSpan) -> UInt32 {
        var digest = CRC32C()
        digest.update(bytes)
        return digest.value
    }

    /// The digest that stands at `offset`, `byteCount` bytes inside `bytes`.
    @inlinable
    public static func stored(in bytes: RawSpan, at offset: Int) -> UInt32 {
        bytes.uint32(at: offset).byteSwapped
    }
}
