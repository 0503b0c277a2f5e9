// SPDX-License-Identifier: Apache-2.0

/// Cuts PDUs out of the byte stream (RFC 7143 11.1). It keeps no bytes and no position: each call looks at a run of
/// bytes that begins with a PDU.
public struct PDUFramer: Equatable, Sendable {
    /// What a peer may send before it has been told otherwise (RFC 7143 13.12).
    public static let defaultMaxDataSegmentLength = 8192
    /// Bytes that additional header segments can take: the largest TotalAHSLength, in words of four bytes.
    public static let maximumAHSByteCount = 255 * 4

    public var hasHeaderDigest = false
    public var hasDataDigest = false
    /// Bytes of the longest data segment that is taken: the MaxRecvDataSegmentLength that we declared.
    public var maxDataSegmentLength = defaultMaxDataSegmentLength

    /// Where the parts of a PDU stand, in bytes from its first one: header, additional headers, header digest,
    /// data segment, padding, data digest.
    public struct Frame: Equatable, Sendable {
        public let ahsByteCount: Int
        public let dataOffset: Int
        public let dataByteCount: Int
        public let hasDataDigest: Bool

        @inlinable
        public init(ahsByteCount: Int, dataOffset: Int, dataByteCount: Int, hasDataDigest: Bool) {
            self.ahsByteCount = ahsByteCount
            self.dataOffset = dataOffset
            self.dataByteCount = dataByteCount
            self.hasDataDigest = hasDataDigest && dataByteCount > 0
        }

        @inlinable
        public var paddingByteCount: Int { BasicHeaderSegment.paddingByteCount(of: dataByteCount) }

        @inlinable
        public var dataDigestOffset: Int { dataOffset + dataByteCount + paddingByteCount }

        @inlinable
        public var totalByteCount: Int { dataDigestOffset + (hasDataDigest ? CRC32C.byteCount : 0) }
    }

    public enum Step: Equatable, Sendable {
        /// The header is not whole. `byteCount` is what the header with its additional segments and its digest takes;
        /// nil before that is known.
        case needMore(byteCount: Int?)
        case whole(Frame)
        /// The header is whole and its digest is right; of the data segment, its padding and its digest not all has
        /// come. `dataByteCount` bytes of data are at hand.
        case partial(Frame, dataByteCount: Int)
    }

    public init() {}

    /// Looks at the PDU that `bytes` begin with.
    @inlinable
    public func next(_ bytes: RawSpan) throws(PDUError) -> Step {
        guard bytes.byteCount >= BasicHeaderSegment.byteCount else { return .needMore(byteCount: nil) }
        let ahsByteCount = BasicHeaderSegment.totalAHSByteCount(of: bytes)
        let headersByteCount = BasicHeaderSegment.byteCount + ahsByteCount
        let frame = Frame(
            ahsByteCount: ahsByteCount, dataOffset: headersByteCount + (hasHeaderDigest ? CRC32C.byteCount : 0),
            dataByteCount: BasicHeaderSegment.dataSegmentLength(of: bytes), hasDataDigest: hasDataDigest)
        guard bytes.byteCount >= frame.dataOffset else { return .needMore(byteCount: frame.dataOffset) }
        // The lengths are believed only once the digest over them is right.
        if hasHeaderDigest {
            let digest = CRC32C.of(bytes.extracting(first: headersByteCount))
            guard digest == CRC32C.stored(in: bytes, at: headersByteCount) else {
                throw .dropConnection(.headerDigestError)
            }
        }
        guard frame.dataByteCount <= maxDataSegmentLength else { throw .dropConnection(.dataSegmentTooLong) }
        guard bytes.byteCount >= frame.totalByteCount else {
            return .partial(frame, dataByteCount: min(bytes.byteCount - frame.dataOffset, frame.dataByteCount))
        }
        return .whole(frame)
    }

    /// Whether the data digest of a whole PDU is right, or there is none. `bytes` begin with the PDU.
    @inlinable
    public func dataDigestMatches(_ frame: Frame, in bytes: RawSpan) -> Bool {
        guard frame.hasDataDigest else { return true }
        // The digest covers the padding too.
        let digest = CRC32C.of(bytes.extracting(frame.dataOffset..<frame.dataDigestOffset))
        return digest == CRC32C.stored(in: bytes, at: frame.dataDigestOffset)
    }
}
