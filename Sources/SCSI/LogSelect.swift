// SPDX-License-Identifier: Apache-2.0

/// The CDB of LOG SELECT (SPC-4 6.5). SP is no used bit: nothing can be saved.
public struct LogSelectRequest: Equatable, Sendable {
    /// PCR: parameters are reset.
    public var resetsParameters: Bool
    public var control: LogPageControl
    public var pageCode: UInt8
    public var subpageCode: UInt8
    public var parameterListLength: Int

    private static let resetByte = 1
    private static let resetMask: UInt8 = 0x02
    private static let resetBit = 1
    private static let parameterListLengthByte = 7

    public init(_ cdb: CommandDescriptorBlock) {
        resetsParameters = cdb.isSet(Self.resetMask, inByte: Self.resetByte)
        control = LogPageControl(rawValue: cdb[LogSenseRequest.controlByte] >> 6) ?? .cumulative
        pageCode = cdb[LogSenseRequest.controlByte] & 0x3F
        subpageCode = cdb[LogSenseRequest.subpageByte]
        parameterListLength = Int(cdb.uint16(at: Self.parameterListLengthByte))
    }

    /// Without a list: whether the counters of the pages that the CDB names go back to their defaults.
    public var isReset: Bool { resetsParameters || control == .defaultCumulative }

    /// Throws INVALID FIELD IN CDB: PCR with a list; a page with a list, which names its pages itself; thresholds, which
    /// no parameter has; values with a PC other than that of cumulative ones.
    public func check() throws(SenseData) {
        if parameterListLength > 0 {
            guard !resetsParameters else { throw .invalidFieldInCDB(byte: Self.resetByte, bit: Self.resetBit) }
            guard control == .cumulative else { throw Self.invalidControl }
            guard pageCode == 0 else {
                throw .invalidFieldInCDB(byte: LogSenseRequest.controlByte, bit: LogSenseRequest.pageBit)
            }
            guard subpageCode == 0 else { throw .invalidFieldInCDB(byte: LogSenseRequest.subpageByte) }
        } else if !resetsParameters {
            guard control != .defaultThreshold else { throw Self.invalidControl }
        }
    }

    private static var invalidControl: SenseData {
        .invalidFieldInCDB(byte: LogSenseRequest.controlByte, bit: LogSenseRequest.controlBit)
    }
}

/// One value that a parameter list of LOG SELECT gives a counter.
public struct LogCounterSetting: Equatable, Sendable {
    public var pageCode: UInt8
    public var parameterCode: UInt16
    public var value: UInt64
}

extension LogPages {
    private static let pageHeaderByteCount = 4
    private static let counterByteCount = 8
    /// DU, the obsolete DS, ETC and TMC of a parameter's control byte: none can be asked for.
    private static let refusedControl: UInt8 = 0xDC

    /// The settings of a parameter list (SPC-4 6.5, 7.3.2): pages in ascending order, in each its parameters in
    /// ascending order.
    ///
    /// Throws PARAMETER LIST LENGTH ERROR for a page or parameter that is cut off, and INVALID FIELD IN PARAMETER LIST,
    /// pointing at the field, for what is not there, is no counter, or does not ascend.
    public func settings(_ list: RawSpan) throws(SenseData) -> [LogCounterSetting] {
        var settings: [LogCounterSetting] = []
        var offset = 0
        var last: (code: UInt8, subpage: UInt8)?
        while offset < list.byteCount {
            guard offset + Self.pageHeaderByteCount <= list.byteCount else { throw .parameterListLengthError }
            let code = list.uint8(at: offset) & 0x3F
            let subpage = list.uint8(at: offset + 1)
            guard (list.uint8(at: offset) & 0x40 != 0) == (subpage != 0) else {
                throw .invalidFieldInParameterList(byte: offset, bit: 6)
            }
            if let last, (code, subpage) <= last { throw .invalidFieldInParameterList(byte: offset, bit: 5) }
            last = (code, subpage)
            guard let page = page(code, subpage) else {
                let isCodeKnown = pages.contains { $0.code == code }
                throw isCodeKnown
                    ? .invalidFieldInParameterList(byte: offset + 1)
                    : .invalidFieldInParameterList(byte: offset, bit: 5)
            }
            let end = offset + Self.pageHeaderByteCount + Int(list.uint16(at: offset + 2))
            guard end <= list.byteCount else { throw .parameterListLengthError }
            try Self.read(page, list, from: offset + Self.pageHeaderByteCount, to: end, into: &settings)
            offset = end
        }
        return settings
    }

    private static func read(
        _ page: LogPage, _ list: RawSpan, from start: Int, to end: Int, into settings: inout [LogCounterSetting]
    ) throws(SenseData) {
        var offset = start
        var last: UInt16?
        while offset < end {
            guard offset + LogParameter.headerByteCount <= end else { throw .parameterListLengthError }
            let code = list.uint16(at: offset)
            if let last, code <= last { throw .invalidFieldInParameterList(byte: offset) }
            last = code
            guard let known = page.parameters.first(where: { $0.code == code }), known.format == .boundedDataCounter
            else { throw .invalidFieldInParameterList(byte: offset) }
            let refused = list.uint8(at: offset + 2) & refusedControl
            guard refused == 0 else {
                throw .invalidFieldInParameterList(byte: offset + 2, bit: 7 - refused.leadingZeroBitCount)
            }
            guard Int(list.uint8(at: offset + 3)) == counterByteCount else {
                throw .invalidFieldInParameterList(byte: offset + 3)
            }
            let value = offset + LogParameter.headerByteCount
            guard value + counterByteCount <= end else { throw .parameterListLengthError }
            settings.append(
                LogCounterSetting(pageCode: page.code, parameterCode: code, value: list.uint64(at: value)))
            offset = value + counterByteCount
        }
    }
}
