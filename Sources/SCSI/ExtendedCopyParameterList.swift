// SPDX-License-Identifier: Apache-2.0

/// The parameter list of EXTENDED COPY(LID1) (SPC-4 6.4.2): a header of 16 bytes, CSCD descriptors, segment
/// descriptors, inline data.
public struct ExtendedCopyParameterList: Equatable, Sendable {
    /// Nil with LIST ID USAGE 11b: nobody will ask how the copy went.
    public var listIdentifier: UInt8?
    public var targets: [CopyTargetDescriptor]
    public var segments: [BlockToBlockSegment]

    public static let headerByteCount = 16

    /// What a copy manager takes, as it tells in RECEIVE COPY OPERATING PARAMETERS.
    public struct Limits: Equatable, Sendable {
        public var targetCount: Int
        public var segmentCount: Int
        /// Bytes of both lists of descriptors.
        public var descriptorListByteCount: Int

        public init(targetCount: Int, segmentCount: Int, descriptorListByteCount: Int) {
            self.targetCount = targetCount
            self.segmentCount = segmentCount
            self.descriptorListByteCount = descriptorListByteCount
        }
    }

    private static let usageByte = 1
    private static let usageBit = 4
    private static let reservedMask: UInt8 = 0xC0
    private static let targetListLengthByte = 2
    private static let segmentListLengthByte = 8
    private static let inlineLengthByte = 12

    /// Reads the list in `bytes`, all of PARAMETER LIST LENGTH bytes, at least one.
    ///
    /// Throws PARAMETER LIST LENGTH ERROR for a list that is cut off or too long; TOO MANY TARGET DESCRIPTORS, TOO
    /// MANY SEGMENT DESCRIPTORS, INLINE DATA LENGTH EXCEEDED; UNSUPPORTED TARGET DESCRIPTOR TYPE CODE, UNSUPPORTED
    /// SEGMENT DESCRIPTOR TYPE CODE; UNREACHABLE COPY TARGET for a CSCD descriptor ID without a descriptor; INVALID
    /// FIELD IN PARAMETER LIST for the rest.
    public init(_ bytes: RawSpan, limits: Limits) throws(SenseData) {
        guard bytes.byteCount >= Self.headerByteCount else { throw .parameterListLengthError }
        let targetsByteCount = Int(bytes.uint16(at: Self.targetListLengthByte))
        let segmentsByteCount = Int(bytes.uint32(at: Self.segmentListLengthByte))
        guard targetsByteCount + segmentsByteCount <= limits.descriptorListByteCount else {
            throw .parameterListLengthError
        }
        guard bytes.uint32(at: Self.inlineLengthByte) == 0 else { throw .inlineDataLengthExceeded }
        let segmentsOffset = Self.headerByteCount + targetsByteCount
        guard bytes.byteCount >= segmentsOffset + segmentsByteCount else { throw .parameterListLengthError }
        listIdentifier = try Self.readListIdentifier(bytes)
        targets = try Self.readTargets(bytes, byteCount: targetsByteCount, maximumCount: limits.targetCount)
        segments = try Self.readSegments(
            bytes, segmentsOffset..<segmentsOffset + segmentsByteCount, maximumCount: limits.segmentCount,
            targetCount: targets.count)
    }

    /// LIST ID USAGE: 00b and 10b name a list identifier (with 10b held data may be discarded), 11b none.
    private static func readListIdentifier(_ bytes: RawSpan) throws(SenseData) -> UInt8? {
        let flags = bytes.uint8(at: usageByte)
        guard flags & reservedMask == 0 else { throw .invalidFieldInParameterList(byte: usageByte, bit: 7) }
        for byte in 4..<8 where bytes.uint8(at: byte) != 0 { throw .invalidFieldInParameterList(byte: byte) }
        let identifier = bytes.uint8(at: 0)
        switch flags >> 3 & 0x03 {
        case 0b00, 0b10:
            return identifier
        case 0b11:
            guard identifier == 0 else { throw .invalidFieldInParameterList(byte: 0) }
            return nil
        default:
            throw .invalidFieldInParameterList(byte: usageByte, bit: usageBit)
        }
    }

    private static func readTargets(
        _ bytes: RawSpan, byteCount: Int, maximumCount: Int
    ) throws(SenseData) -> [CopyTargetDescriptor] {
        guard byteCount % CopyTargetDescriptor.byteCount == 0 else {
            throw .invalidFieldInParameterList(byte: targetListLengthByte)
        }
        let count = byteCount / CopyTargetDescriptor.byteCount
        guard count <= maximumCount else { throw .tooManyTargetDescriptors }
        var targets: [CopyTargetDescriptor] = []
        for index in 0..<count {
            targets.append(
                try CopyTargetDescriptor(bytes, at: headerByteCount + index * CopyTargetDescriptor.byteCount))
        }
        return targets
    }

    private static func readSegments(
        _ bytes: RawSpan, _ range: Range<Int>, maximumCount: Int, targetCount: Int
    ) throws(SenseData) -> [BlockToBlockSegment] {
        var segments: [BlockToBlockSegment] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            guard segments.count < maximumCount else { throw .tooManySegmentDescriptors }
            let segment = try BlockToBlockSegment(bytes, at: offset, end: range.upperBound)
            guard segment.source < targetCount else { throw unreachable(segments.count, 4) }
            guard segment.destination < targetCount else { throw unreachable(segments.count, 6) }
            segments.append(segment)
            offset += BlockToBlockSegment.byteCount
        }
        return segments
    }

    /// A CSCD descriptor ID beyond the CSCD descriptors.
    private static func unreachable(_ segment: Int, _ byte: Int) -> SenseData {
        .copyAborted(.unreachableCopyTarget, segment: segment, byte: byte)
    }
}

/// An identification descriptor CSCD descriptor, E4h (SPC-4 6.4.5.2), 32 bytes: a copy source or copy destination by
/// one of its designators.
public struct CopyTargetDescriptor: Equatable, Sendable {
    public static let typeCode: UInt8 = 0xE4
    public static let byteCount = 32

    /// PERIPHERAL DEVICE TYPE.
    public var peripheralDeviceType: UInt8
    /// CODE SET, ASSOCIATION, DESIGNATOR TYPE and designator, as in VPD page 83h.
    public var codeSet: UInt8
    public var association: UInt8
    public var designatorType: UInt8
    public var designator: [UInt8]
    /// PAD: a part of a block is filled up.
    public var pads: Bool
    /// DISK BLOCK LENGTH, bytes.
    public var blockByteCount: UInt32
    /// Where in the parameter list the descriptor begins.
    public var offset: Int

    private static let designatorOffset = 8
    private static let longestDesignator = 20
    private static let nullMask: UInt8 = 0x20
    private static let parametersOffset = 28

    init(_ bytes: RawSpan, at offset: Int) throws(SenseData) {
        guard bytes.uint8(at: offset) == Self.typeCode else { throw .unsupportedTargetDescriptorTypeCode }
        let flags = bytes.uint8(at: offset + 1)
        // A null device is not supported. LU ID TYPE says nothing here.
        guard flags & Self.nullMask == 0 else { throw .unsupportedTargetDescriptorTypeCode }
        let length = Int(bytes.uint8(at: offset + 7))
        guard length > 0, length <= Self.longestDesignator else {
            throw .invalidFieldInParameterList(byte: offset + 7)
        }
        self.offset = offset
        peripheralDeviceType = flags & 0x1F
        codeSet = bytes.uint8(at: offset + 4) & 0x0F
        association = bytes.uint8(at: offset + 5) >> 4 & 0x03
        designatorType = bytes.uint8(at: offset + 5) & 0x0F
        designator = (0..<length).map { bytes.uint8(at: offset + Self.designatorOffset + $0) }
        pads = bytes.uint8(at: offset + Self.parametersOffset) & 0x04 != 0
        blockByteCount = bytes.uint24(at: offset + Self.parametersOffset + 1)
    }

    /// Whether this is `descriptor`'s name.
    public func names(_ descriptor: DesignationDescriptor) -> Bool {
        let bytes = [UInt8](allocationLength: 512) { descriptor.write(to: &$0) }
        return bytes[0] & 0x0F == codeSet && bytes[1] >> 4 & 0x03 == association
            && bytes[1] & 0x0F == designatorType && bytes.dropFirst(4).elementsEqual(designator)
    }

    /// A descriptor of a unit by `designation`, whose designator has at most 20 bytes: as a ROD token has it.
    public static func write(
        _ designation: DesignationDescriptor, blockByteCount: Int, to writer: inout ParameterDataWriter
    ) {
        let start = writer.byteCount
        let bytes = [UInt8](allocationLength: 4 + longestDesignator) { designation.write(to: &$0) }
        writer.append(typeCode)
        writer.appendZeroes(3)
        writer.append(bytes[0] & 0x0F)
        writer.append(bytes[1] & 0x3F)
        writer.append(UInt8(0))
        writer.append(UInt8(clamping: bytes.count - 4))
        for byte in bytes.dropFirst(4) { writer.append(byte) }
        writer.appendZeroes(parametersOffset + 1 - (writer.byteCount - start))
        writer.append24(UInt32(blockByteCount))
    }
}

/// A block device to block device segment descriptor, 02h (SPC-4 6.4.6.4), 28 bytes.
public struct BlockToBlockSegment: Equatable, Sendable {
    public static let typeCode: UInt8 = 0x02
    public static let byteCount = 28

    /// DC: the count is in blocks of the destination, otherwise of the source.
    public var countsDestinationBlocks: Bool
    /// CAT: a part of a block goes to the next segment.
    public var concatenates: Bool
    /// Indices of CSCD descriptors.
    public var source: Int
    public var destination: Int
    /// BLOCK DEVICE NUMBER OF BLOCKS.
    public var blockCount: UInt16
    public var sourceLBA: UInt64
    public var destinationLBA: UInt64
    /// Where in the parameter list the descriptor begins.
    public var offset: Int

    // Bytes of the descriptor that field pointers name.
    public static let blockCountByte = 10
    public static let sourceLBAByte = 12
    public static let destinationLBAByte = 20
    private static let flagsMask: UInt8 = 0x03

    init(_ bytes: RawSpan, at offset: Int, end: Int) throws(SenseData) {
        guard bytes.uint8(at: offset) == Self.typeCode else { throw .unsupportedSegmentDescriptorTypeCode }
        guard end - offset >= Self.byteCount else { throw .parameterListLengthError }
        let flags = bytes.uint8(at: offset + 1)
        guard flags & ~Self.flagsMask == 0 else {
            throw .invalidFieldInParameterList(byte: offset + 1, bit: 7 - (flags & ~Self.flagsMask).leadingZeroBitCount)
        }
        guard Int(bytes.uint16(at: offset + 2)) == Self.byteCount - 4 else {
            throw .invalidFieldInParameterList(byte: offset + 2)
        }
        self.offset = offset
        countsDestinationBlocks = flags & 0x02 != 0
        concatenates = flags & 0x01 != 0
        source = Int(bytes.uint16(at: offset + 4))
        destination = Int(bytes.uint16(at: offset + 6))
        blockCount = bytes.uint16(at: offset + Self.blockCountByte)
        sourceLBA = bytes.uint64(at: offset + Self.sourceLBAByte)
        destinationLBA = bytes.uint64(at: offset + Self.destinationLBAByte)
    }
}
