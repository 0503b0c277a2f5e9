// SPDX-License-Identifier: Apache-2.0

/// Parameter data of REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 6.36): four bytes, or 16 with REPD.
public struct SupportedTaskManagementFunctions: OptionSet, Sendable {
    /// Byte 0 in the upper half, byte 1 in the lower.
    public let rawValue: UInt16

    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    public static let abortTask = SupportedTaskManagementFunctions(rawValue: 0x8000)
    public static let abortTaskSet = SupportedTaskManagementFunctions(rawValue: 0x4000)
    public static let clearACA = SupportedTaskManagementFunctions(rawValue: 0x2000)
    public static let clearTaskSet = SupportedTaskManagementFunctions(rawValue: 0x1000)
    public static let logicalUnitReset = SupportedTaskManagementFunctions(rawValue: 0x0800)
    public static let queryTask = SupportedTaskManagementFunctions(rawValue: 0x0400)
    /// TRS, obsolete: TARGET RESET, which iSCSI still has.
    public static let targetReset = SupportedTaskManagementFunctions(rawValue: 0x0200)
    public static let queryAsynchronousEvent = SupportedTaskManagementFunctions(rawValue: 0x0004)
    public static let queryTaskSet = SupportedTaskManagementFunctions(rawValue: 0x0002)
    public static let iTNexusReset = SupportedTaskManagementFunctions(rawValue: 0x0001)

    /// Basic parameter data (SPC-4 table 300).
    public func write(to writer: inout ParameterDataWriter) {
        writer.append(rawValue)
        writer.appendZeroes(2)
    }

    /// Extended parameter data (SPC-4 table 301): functions in `short` end within the short timeout, the others
    /// within the long one. Timeouts are in units of 100 ms; with nil for both, none is told.
    public func writeExtended(
        short: SupportedTaskManagementFunctions = [], longTimeout: UInt32? = nil, shortTimeout: UInt32? = nil,
        to writer: inout ParameterDataWriter
    ) {
        writer.append(rawValue)
        writer.append(UInt8(0))
        let additionalLength = writer.reserveLength(.oneByte)
        writer.append(.bit(longTimeout != nil || shortTimeout != nil, 0))
        writer.append(UInt8(0))
        writer.append(short.rawValue)
        writer.append(longTimeout ?? 0)
        writer.append(shortTimeout ?? 0)
        writer.fill(additionalLength)
    }
}
