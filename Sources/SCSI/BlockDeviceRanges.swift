// SPDX-License-Identifier: Apache-2.0

/// The parameter list of POPULATE TOKEN (SBC-3 5.9): 16 bytes, then 16 for each block device range descriptor.
public struct PopulateTokenParameterList: Equatable, Sendable {
    /// IMMED
    public var isImmediate: Bool
    /// INACTIVITY TIMEOUT, seconds; zero asks for the default.
    public var inactivityTimeoutSeconds: UInt32
    /// ROD TYPE, where RTV says that it matters.
    public var rodType: UInt32?
    public var ranges: [BlockRange]

    public static let headerByteCount = 16
    public static let inactivityTimeoutByte = 4
    public static let rodTypeByte = 8

    /// Reads the list in `bytes`, all of PARAMETER LIST LENGTH bytes, at least one. Throws as
    /// `BlockDeviceRanges.read` does.
    public init(_ bytes: RawSpan, limits: BlockDeviceRanges.Limits) throws(SenseData) {
        guard bytes.byteCount >= Self.headerByteCount else { throw .parameterListLengthError }
        let flags = bytes.uint8(at: 2)
        try BlockDeviceRanges.checkReserved(bytes, byte: 2, mask: 0xFC)
        for byte in [3, 12, 13] { try BlockDeviceRanges.checkReserved(bytes, byte: byte, mask: 0xFF) }
        isImmediate = flags & 0x01 != 0
        inactivityTimeoutSeconds = bytes.uint32(at: Self.inactivityTimeoutByte)
        rodType = flags & 0x02 == 0 ? nil : bytes.uint32(at: Self.rodTypeByte)
        ranges = try BlockDeviceRanges.read(bytes, headerByteCount: Self.headerByteCount, limits: limits)
    }
}

/// The parameter list of WRITE USING TOKEN (SBC-3 5.45): 536 bytes, then 16 for each block device range descriptor.
public struct WriteUsingTokenParameterList: Equatable, Sendable {
    /// DEL_TKN: the token is not wanted any more once the command has ended well.
    public var deletesToken: Bool
    /// IMMED
    public var isImmediate: Bool
    /// OFFSET INTO ROD, logical blocks of the destination.
    public var offsetIntoROD: UInt64
    /// ROD TOKEN, 512 bytes.
    public var token: [UInt8]
    public var ranges: [BlockRange]

    public static let headerByteCount = 536
    public static let offsetIntoRODByte = 8
    public static let tokenByte = 16

    /// Reads the list in `bytes`, all of PARAMETER LIST LENGTH bytes, at least one. Throws as
    /// `BlockDeviceRanges.read` does.
    public init(_ bytes: RawSpan, limits: BlockDeviceRanges.Limits) throws(SenseData) {
        guard bytes.byteCount >= Self.headerByteCount else { throw .parameterListLengthError }
        let flags = bytes.uint8(at: 2)
        try BlockDeviceRanges.checkReserved(bytes, byte: 2, mask: 0xFC)
        for byte in [3, 4, 5, 6, 7, 528, 529, 530, 531, 532, 533] {
            try BlockDeviceRanges.checkReserved(bytes, byte: byte, mask: 0xFF)
        }
        isImmediate = flags & 0x01 != 0
        deletesToken = flags & 0x02 != 0
        offsetIntoROD = bytes.uint64(at: Self.offsetIntoRODByte)
        token = (0..<RODToken.byteCount).map { bytes.uint8(at: Self.tokenByte + $0) }
        ranges = try BlockDeviceRanges.read(bytes, headerByteCount: Self.headerByteCount, limits: limits)
    }
}

/// Block device range descriptors (SBC-3 5.9.3): LOGICAL BLOCK ADDRESS in eight bytes, NUMBER OF LOGICAL BLOCKS in four,
/// four reserved.
public enum BlockDeviceRanges {
    public static let descriptorByteCount = 16

    /// What a copy manager takes, as it tells in VPD page 8Fh.
    public struct Limits: Equatable, Sendable {
        public var descriptorCount: Int
        public var blockCount: UInt64

        public init(descriptorCount: Int, blockCount: UInt64) {
            self.descriptorCount = descriptorCount
            self.blockCount = blockCount
        }
    }

    /// The descriptors behind a header whose first two bytes are the data length and whose last two are the length of
    /// the descriptors.
    ///
    /// Throws PARAMETER LIST LENGTH ERROR when they are cut off, TOO MANY SEGMENT DESCRIPTORS, and INVALID FIELD IN
    /// PARAMETER LIST for lengths that contradict each other, for no blocks, too many, and a block that is named twice.
    static func read(
        _ bytes: RawSpan, headerByteCount: Int, limits: Limits
    ) throws(SenseData) -> [BlockRange] {
        let dataByteCount = Int(bytes.uint16(at: 0)) + 2
        guard dataByteCount <= bytes.byteCount else { throw .parameterListLengthError }
        let lengthByte = headerByteCount - 2
        let length = Int(bytes.uint16(at: lengthByte))
        guard dataByteCount >= headerByteCount + descriptorByteCount else {
            throw .invalidFieldInParameterList(byte: 0)
        }
        guard length >= descriptorByteCount, length % descriptorByteCount == 0,
            headerByteCount + length <= dataByteCount
        else { throw .invalidFieldInParameterList(byte: lengthByte) }
        let count = length / descriptorByteCount
        guard count <= limits.descriptorCount else { throw .tooManySegmentDescriptors }
        var ranges: [BlockRange] = []
        // The sum of at most 4,095 counts of 32 bits does not overflow.
        var blockCount: UInt64 = 0
        for index in 0..<count {
            let offset = headerByteCount + index * descriptorByteCount
            for byte in offset + 12..<offset + 16 { try checkReserved(bytes, byte: byte, mask: 0xFF) }
            ranges.append(BlockRange(lba: bytes.uint64(at: offset), count: UInt64(bytes.uint32(at: offset + 8))))
            blockCount += ranges[index].count
            guard blockCount <= limits.blockCount else { throw .invalidFieldInParameterList(byte: offset + 8) }
        }
        guard blockCount > 0 else { throw .invalidFieldInParameterList(byte: headerByteCount + 8) }
        try checkOverlap(ranges, headerByteCount: headerByteCount)
        return ranges.filter { $0.count > 0 }
    }

    private static func checkOverlap(_ ranges: [BlockRange], headerByteCount: Int) throws(SenseData) {
        let order = ranges.indices.filter { ranges[$0].count > 0 }.sorted { ranges[$0].lba < ranges[$1].lba }
        for (first, second) in zip(order, order.dropFirst())
        where ranges[second].lba - ranges[first].lba < ranges[first].count {
            let later = max(first, second)
            throw .invalidFieldInParameterList(byte: headerByteCount + later * descriptorByteCount)
        }
    }

    static func checkReserved(_ bytes: RawSpan, byte: Int, mask: UInt8) throws(SenseData) {
        let wrong = bytes.uint8(at: byte) & mask
        guard wrong == 0 else {
            throw .invalidFieldInParameterList(byte: byte, bit: 7 - wrong.leadingZeroBitCount)
        }
    }
}
