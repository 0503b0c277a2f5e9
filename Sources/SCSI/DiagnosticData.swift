// SPDX-License-Identifier: Apache-2.0

/// SEND DIAGNOSTIC (SPC-4 6.42): what its CDB asks for.
public struct SendDiagnosticRequest: Equatable, Sendable {
    /// SELF-TEST CODE.
    public enum SelfTestCode: UInt8, Sendable {
        /// None, or the default self-test when SELFTEST is one.
        case none = 0b000
        case backgroundShort = 0b001
        case backgroundExtended = 0b010
        case abortBackground = 0b100
        case foregroundShort = 0b101
        case foregroundExtended = 0b110

        public var isBackground: Bool { self == .backgroundShort || self == .backgroundExtended }
        public var isExtended: Bool { self == .backgroundExtended || self == .foregroundExtended }
    }

    public let code: SelfTestCode
    /// SELFTEST: the default self-test.
    public let isDefaultSelfTest: Bool
    /// PARAMETER LIST LENGTH, bytes: a diagnostic page.
    public let parameterListLength: Int

    private static let flagByte = 1
    private static let codeBit = 7
    private static let pageFormatBit = 4
    private static let lengthByte = 3

    /// Throws for reserved codes and combinations. DEVOFFL and UNITOFFL allow what no self-test here does.
    public init(_ cdb: CommandDescriptorBlock) throws(SenseData) {
        let flags = cdb[Self.flagByte]
        guard let code = SelfTestCode(rawValue: flags >> 5) else {
            throw .invalidFieldInCDB(byte: Self.flagByte, bit: Self.codeBit)
        }
        self.code = code
        isDefaultSelfTest = flags & 0x04 != 0
        parameterListLength = Int(cdb.uint16(at: Self.lengthByte))
        if isDefaultSelfTest, code != .none { throw .invalidFieldInCDB(byte: Self.flagByte, bit: Self.codeBit) }
        if parameterListLength > 0 {
            guard !isDefaultSelfTest, code == .none else { throw .invalidFieldInCDB(byte: Self.lengthByte) }
            // PF zero: the list would be vendor specific.
            guard flags & 0x10 != 0 else { throw .invalidFieldInCDB(byte: Self.flagByte, bit: Self.pageFormatBit) }
        }
    }

    public var isSelfTest: Bool { isDefaultSelfTest || code != .none && code != .abortBackground }
}

/// Diagnostic pages (SPC-4 7.2). The list of supported pages is the only one.
public enum DiagnosticPage {
    public static let supportedPages: UInt8 = 0x00
    private static let headerByteCount = 4

    /// Whether page `code` is there.
    public static func isSupported(_ code: UInt8) -> Bool { code == supportedPages }

    /// Supported Diagnostic Pages: PAGE CODE, a reserved byte, PAGE LENGTH in two bytes, the codes ascending.
    public static func writeSupportedPages(to writer: inout ParameterDataWriter) {
        writer.append(supportedPages)
        writer.append(UInt8(0))
        let length = writer.reserveLength(.twoBytes)
        writer.append(supportedPages)
        writer.fill(length)
    }

    /// Checks a page of SEND DIAGNOSTIC, all of PARAMETER LIST LENGTH bytes; it asks for what RECEIVE DIAGNOSTIC
    /// RESULTS returns next.
    public static func check(sent bytes: [UInt8]) throws(SenseData) {
        guard bytes.count >= headerByteCount else { throw .parameterListLengthError }
        guard isSupported(bytes[0]) else { throw .invalidFieldInParameterList(byte: 0) }
        guard bytes[1] == 0 else {
            throw .invalidFieldInParameterList(byte: 1, bit: 7 - bytes[1].leadingZeroBitCount)
        }
        guard bytes[2] == 0, bytes[3] == 0 else { throw .invalidFieldInParameterList(byte: 2) }
        // One page, and nothing behind it.
        guard bytes.count == headerByteCount else { throw .parameterListLengthError }
    }
}

/// One self-test as the Self-Test Results log page (10h, SPC-4 7.3.21) tells of it.
public struct SelfTestResult: Equatable, Sendable {
    /// SELF-TEST RESULTS.
    public enum Outcome: UInt8, Sendable {
        case completedWithoutError = 0x0
        /// By SEND DIAGNOSTIC with SELF-TEST CODE 100b.
        case abortedBySendDiagnostic = 0x1
        /// By task management, a reset, or a command that takes the medium away.
        case abortedOtherwise = 0x2
        /// The test itself could not go on.
        case unknownError = 0x3
        case failedSegmentUnknown = 0x4
        case failedFirstSegment = 0x5
        case failedSecondSegment = 0x6
        case failedOtherSegment = 0x7
        case inProgress = 0xF
    }

    public var code: SendDiagnosticRequest.SelfTestCode
    public var outcome: Outcome
    /// SELF-TEST NUMBER: the segment that failed, from 1; 0 when it does not apply.
    public var segmentNumber: UInt8 = 0
    /// ACCUMULATED POWER ON HOURS: 0, since nobody counts them.
    public var powerOnHours: UInt16 = 0
    /// ADDRESS OF FIRST FAILURE; nil: all ones.
    public var firstFailureLBA: UInt64?
    /// SENSE KEY, ADDITIONAL SENSE CODE and its QUALIFIER.
    public var sense: SenseData?

    public static let parameterByteCount = 20

    public init(code: SendDiagnosticRequest.SelfTestCode, outcome: Outcome) {
        self.code = code
        self.outcome = outcome
    }

    /// The log parameter `parameterCode`, 0001h for the newest result to 0014h: 20 bytes.
    public func write(parameterCode: UInt16, to writer: inout ParameterDataWriter) {
        writer.append(parameterCode)
        writer.append(UInt8(0x03))  // binary format list parameter
        writer.append(UInt8(Self.parameterByteCount - 4))
        writer.append(code.rawValue << 5 | outcome.rawValue)
        writer.append(segmentNumber)
        writer.append(powerOnHours)
        writer.append(firstFailureLBA ?? .max)
        writer.append(sense?.key.rawValue ?? 0)
        writer.append(sense?.additional.asc ?? 0)
        writer.append(sense?.additional.ascq ?? 0)
        writer.append(UInt8(0))
    }
}
