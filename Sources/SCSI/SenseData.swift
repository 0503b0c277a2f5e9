// SPDX-License-Identifier: Apache-2.0

/// Sense data (SPC-4 4.5): what goes with CHECK CONDITION, or answers REQUEST SENSE.
///
/// A plain value without heap memory; thrown where a command is refused. Every condition has a named constructor in
/// `SenseConditions.swift`; the two wire formats stand in `SenseFormats.swift`.
public struct SenseData: Error, Equatable, Sendable {
    public var key: SenseKey
    public var additional: AdditionalSense

    /// INFORMATION: usually a logical block address. Nil encodes as VALID zero. A value above FFFF_FFFFh does not
    /// fit in fixed format, where it is left out with VALID zero.
    public var information: UInt64?

    /// COMMAND-SPECIFIC INFORMATION. Nil encodes as zero, or as no descriptor. A value above FFFF_FFFFh does not fit
    /// in fixed format and is zero there.
    public var commandSpecific: UInt64?

    /// Nil encodes as SKSV zero.
    public var specific: SenseKeySpecific?

    /// Response codes 71h and 73h: the error belongs to an earlier command that ended with GOOD.
    public var isDeferred = false

    /// FIELD REPLACEABLE UNIT CODE; zero when none is named.
    public var fieldReplaceableUnit: UInt8 = 0

    public var stream: StreamIndications = []

    @inlinable
    public init(
        _ key: SenseKey, _ additional: AdditionalSense, information: UInt64? = nil, commandSpecific: UInt64? = nil,
        specific: SenseKeySpecific? = nil, isDeferred: Bool = false
    ) {
        self.key = key
        self.additional = additional
        self.information = information
        self.commandSpecific = commandSpecific
        self.specific = specific
        self.isDeferred = isDeferred
    }

    /// FILEMARK, EOM and ILI: bits of byte 2 in fixed format. A disk sets at most ILI (the wrong length of a long
    /// block); all three are kept so that sense data of other device types pass unchanged.
    public struct StreamIndications: OptionSet, Sendable {
        public let rawValue: UInt8

        @inlinable
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let incorrectLength = StreamIndications(rawValue: 0x20)
        public static let endOfMedium = StreamIndications(rawValue: 0x40)
        public static let filemark = StreamIndications(rawValue: 0x80)
    }
}

/// The SENSE KEY SPECIFIC field (SPC-4 4.5): three bytes, in a form that follows from the sense key.
public enum SenseKeySpecific: Equatable, Sendable {
    /// ILLEGAL REQUEST: the field in error.
    case fieldPointer(FieldPointer)
    /// HARDWARE ERROR, MEDIUM ERROR and RECOVERED ERROR: retries made.
    case actualRetryCount(UInt16)
    /// NO SENSE and NOT READY: how far an operation has come, in 1/65,536.
    case progress(UInt16)
    /// COPY ABORTED: the segment or parameter in error.
    case segmentPointer(SegmentPointer)
    /// UNIT ATTENTION: whether conditions were lost because the queue was full.
    case unitAttentionQueueOverflow(Bool)

    /// Of a field of the CDB or the parameter list.
    public struct FieldPointer: Equatable, Sendable {
        /// C/D: the field stands in the CDB, otherwise in the parameter list.
        public var isInCDB: Bool
        /// BPV and BIT POINTER: the highest-order bit of the field when it does not begin a byte, 0 to 7.
        public var bit: UInt8?
        /// FIELD POINTER: the first byte of the field.
        public var byte: UInt16

        @inlinable
        public init(isInCDB: Bool, byte: UInt16, bit: UInt8?) {
            self.isInCDB = isInCDB
            self.byte = byte
            self.bit = bit
        }
    }

    /// Of a field of a segment descriptor or the parameter list of a copy.
    public struct SegmentPointer: Equatable, Sendable {
        /// SD: the pointer counts from the start of the segment descriptor, otherwise of the parameter list.
        public var isInSegmentDescriptor: Bool
        public var bit: UInt8?
        public var byte: UInt16

        @inlinable
        public init(isInSegmentDescriptor: Bool, byte: UInt16, bit: UInt8?) {
            self.isInSegmentDescriptor = isInSegmentDescriptor
            self.byte = byte
            self.bit = bit
        }
    }
}
