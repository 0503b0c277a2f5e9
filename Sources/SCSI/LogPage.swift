// SPDX-License-Identifier: Apache-2.0

/// PC of LOG SENSE and LOG SELECT (SPC-4 6.5, 6.6): which values are meant.
public enum LogPageControl: UInt8, Sendable {
    case threshold = 0
    case cumulative = 1
    case defaultThreshold = 2
    case defaultCumulative = 3
}

/// PAGE CODE values of log pages (SPC-4 7.3, SBC-4 clause 6).
public enum LogPageCode {
    public static let supportedPages: UInt8 = 0x00
    public static let writeErrorCounters: UInt8 = 0x02
    public static let readErrorCounters: UInt8 = 0x03
    public static let verifyErrorCounters: UInt8 = 0x05
    public static let nonMediumErrors: UInt8 = 0x06
    public static let logicalBlockProvisioning: UInt8 = 0x0C
    public static let startStopCycles: UInt8 = 0x0E
    public static let selfTestResults: UInt8 = 0x10
    public static let generalStatistics: UInt8 = 0x19
    public static let informationalExceptions: UInt8 = 0x2F
    /// SUBPAGE CODE: with page 00h all pages and subpages.
    public static let allSubpages: UInt8 = 0xFF
}

/// One log parameter: four bytes, and its value (SPC-4 7.3.2.2).
public struct LogParameter: Equatable, Sendable {
    /// FORMAT AND LINKING.
    public enum Format: UInt8, Sendable {
        /// A count that stops at its maximum; it can be reset and set.
        case boundedDataCounter = 0b00
        /// Numbers that the device server alone changes.
        case binaryList = 0b11
    }

    /// PARAMETER CODE.
    public var code: UInt16
    public var format: Format
    public var value: [UInt8]

    static let headerByteCount = 4
    /// TSD: nothing is saved by and by. DU, ETC and TMC are zero: values change, and there are no thresholds.
    private static let targetSaveDisable: UInt8 = 0x20

    /// A count of eight bytes.
    public static func counter(_ code: UInt16, _ value: UInt64) -> LogParameter {
        LogParameter(
            code: code, format: .boundedDataCounter,
            value: (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) })
    }

    public static func list(_ code: UInt16, _ value: [UInt8]) -> LogParameter {
        LogParameter(code: code, format: .binaryList, value: value)
    }

    private init(code: UInt16, format: Format, value: [UInt8]) {
        self.code = code
        self.format = format
        self.value = value
    }

    /// `isDefault`: a counter as it is after a reset.
    fileprivate func write(isDefault: Bool, to writer: inout ParameterDataWriter) {
        writer.append(code)
        writer.append(Self.targetSaveDisable | format.rawValue)
        writer.append(UInt8(clamping: value.count))
        if isDefault, format == .boundedDataCounter {
            writer.appendZeroes(value.count)
        } else {
            writer.append(value)
        }
    }
}

/// One log page: its parameters in ascending order of their codes.
public struct LogPage: Equatable, Sendable {
    public var code: UInt8
    public var subpage: UInt8
    public var parameters: [LogParameter]

    public init(code: UInt8, subpage: UInt8 = 0, parameters: [LogParameter]) {
        self.code = code
        self.subpage = subpage
        self.parameters = parameters.sorted { $0.code < $1.code }
    }

    public var hasCounters: Bool { parameters.contains { $0.format == .boundedDataCounter } }
}

/// The CDB of LOG SENSE (SPC-4 6.6). SP is no used bit: nothing can be saved.
public struct LogSenseRequest: Equatable, Sendable {
    public var control: LogPageControl
    public var pageCode: UInt8
    public var subpageCode: UInt8
    /// PARAMETER POINTER: parameters with lower codes are left out.
    public var firstParameter: UInt16
    public var allocationLength: Int

    static let controlByte = 2
    static let controlBit = 7
    static let pageBit = 5
    static let subpageByte = 3
    private static let pointerByte = 5
    private static let allocationLengthByte = 7

    public init(_ cdb: CommandDescriptorBlock) {
        control = LogPageControl(rawValue: cdb[Self.controlByte] >> 6) ?? .cumulative
        pageCode = cdb[Self.controlByte] & 0x3F
        subpageCode = cdb[Self.subpageByte]
        firstParameter = cdb.uint16(at: Self.pointerByte)
        allocationLength = Int(cdb.uint16(at: Self.allocationLengthByte))
    }

    fileprivate static var invalidPointer: SenseData { .invalidFieldInCDB(byte: pointerByte) }
}

/// The log pages of a logical unit, without those that list them.
public struct LogPages: Equatable, Sendable {
    public var pages: [LogPage]

    /// DS: the page is not saved.
    private static let disableSave: UInt8 = 0x80
    /// SPF: SUBPAGE CODE is not zero.
    private static let subpageFormat: UInt8 = 0x40

    public init(_ pages: [LogPage]) {
        self.pages = pages.sorted { ($0.code, $0.subpage) < ($1.code, $1.subpage) }
    }

    public func page(_ code: UInt8, _ subpage: UInt8) -> LogPage? {
        pages.first { $0.code == code && $0.subpage == subpage }
    }

    /// The page that a CDB names. Throws INVALID FIELD IN CDB, pointing at the page or the subpage.
    public func named(_ code: UInt8, _ subpage: UInt8) throws(SenseData) -> LogPage {
        if let page = page(code, subpage) { return page }
        guard pages.contains(where: { $0.code == code }) || code == LogPageCode.supportedPages else {
            throw .invalidFieldInCDB(byte: LogSenseRequest.controlByte, bit: LogSenseRequest.pageBit)
        }
        throw .invalidFieldInCDB(byte: LogSenseRequest.subpageByte)
    }

    /// Writes what `request` asks for. Throws INVALID FIELD IN CDB, with nothing written, for a page that is not there,
    /// for thresholds, which no parameter has, for defaults of a page without counters, and for a PARAMETER POINTER
    /// behind the last parameter.
    public func write(_ request: LogSenseRequest, to writer: inout ParameterDataWriter) throws(SenseData) {
        if request.pageCode == LogPageCode.supportedPages, page(request.pageCode, request.subpageCode) == nil {
            return try writeSupported(request, to: &writer)
        }
        let page = try named(request.pageCode, request.subpageCode)
        let isDefault = request.control == .defaultCumulative
        guard request.control == .cumulative || isDefault && page.hasCounters else {
            throw .invalidFieldInCDB(byte: LogSenseRequest.controlByte, bit: LogSenseRequest.controlBit)
        }
        let parameters = page.parameters.filter { $0.code >= request.firstParameter }
        guard !parameters.isEmpty else { throw LogSenseRequest.invalidPointer }
        writer.append(Self.disableSave | (page.subpage == 0 ? 0 : Self.subpageFormat) | page.code)
        writer.append(page.subpage)
        let length = writer.reserveLength(.twoBytes)
        for parameter in parameters { parameter.write(isDefault: isDefault, to: &writer) }
        writer.fill(length)
    }

    /// Supported Log Pages (00h/00h) and Supported Log Pages and Subpages (00h/FFh), themselves included. PC means
    /// nothing there.
    private func writeSupported(_ request: LogSenseRequest, to writer: inout ParameterDataWriter) throws(SenseData) {
        let listsSubpages = request.subpageCode == LogPageCode.allSubpages
        guard listsSubpages || request.subpageCode == 0 else {
            throw .invalidFieldInCDB(byte: LogSenseRequest.subpageByte)
        }
        guard request.firstParameter == 0 else { throw LogSenseRequest.invalidPointer }
        writer.append(listsSubpages ? Self.subpageFormat : 0)
        writer.append(request.subpageCode)
        let length = writer.reserveLength(.twoBytes)
        if listsSubpages {
            writer.append([0, 0, 0, LogPageCode.allSubpages])
            for page in pages { writer.append([page.code, page.subpage]) }
        } else {
            writer.append(UInt8(0))
            for page in pages where page.subpage == 0 { writer.append(page.code) }
        }
        writer.fill(length)
    }
}
