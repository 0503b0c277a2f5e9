// SPDX-License-Identifier: Apache-2.0

/// The parameter list of UNMAP (SBC-4): eight bytes, then 16 for each block descriptor.
///
/// Only the count is kept: the descriptors stay in the command's buffer and are read there, one after the other.
public struct UnmapParameterList: Equatable, Sendable {
    public static let headerByteCount = 8
    public static let descriptorByteCount = 16

    /// Whole block descriptors in the list.
    public let descriptorCount: Int

    /// Checks the lengths of the list in `bytes`, all of PARAMETER LIST LENGTH bytes. An empty list unmaps nothing.
    /// Bytes of an incomplete last descriptor are ignored, as SBC-4 says.
    ///
    /// Throws PARAMETER LIST LENGTH ERROR when the header is cut off, or the descriptors are longer than the list.
    public init(_ bytes: RawSpan) throws(SenseData) {
        guard bytes.byteCount > 0 else {
            descriptorCount = 0
            return
        }
        guard bytes.byteCount >= Self.headerByteCount else { throw .parameterListLengthError }
        // UNMAP DATA LENGTH in bytes 0 and 1 says what PARAMETER LIST LENGTH says already.
        let descriptorsByteCount = Int(bytes.uint16(at: 2))
        guard Self.headerByteCount + descriptorsByteCount <= bytes.byteCount else {
            throw .parameterListLengthError
        }
        descriptorCount = descriptorsByteCount / Self.descriptorByteCount
    }

    /// Block descriptor `index`, below `descriptorCount`, of the list in `bytes`.
    @inlinable
    public static func descriptor(_ index: Int, in bytes: RawSpan) -> BlockRange {
        let offset = headerByteCount + index * descriptorByteCount
        return BlockRange(lba: bytes.uint64(at: offset), count: UInt64(bytes.uint32(at: offset + 8)))
    }
}
