// SPDX-License-Identifier: Apache-2.0

/// The CDB of REPORT SUPPORTED OPERATION CODES (SPC-4 6.35).
public struct SupportedOperationCodesRequest: Equatable, Sendable {
    /// RCTD: with command timeouts descriptors.
    public var returnsTimeouts: Bool
    /// Nil for values that are reserved.
    public var options: ReportingOptions?
    public var operationCode: UInt8
    public var serviceAction: UInt16
    /// Bytes.
    public var allocationLength: UInt32

    public enum ReportingOptions: UInt8, Sendable {
        case all = 0
        /// One command of an operation code without service actions.
        case oneWithoutServiceAction = 1
        /// One command of an operation code with service actions.
        case oneWithServiceAction = 2
        /// One command; the service action counts where the operation code has any.
        case oneEither = 3
    }

    public init(_ cdb: CommandDescriptorBlock) {
        returnsTimeouts = cdb.isSet(0x80, inByte: 2)
        options = ReportingOptions(rawValue: cdb[2] & 0x07)
        operationCode = cdb[3]
        serviceAction = cdb.uint16(at: 4)
        allocationLength = cdb.uint32(at: 6)
    }
}

/// A command timeouts descriptor (SPC-4 6.35.4): 12 bytes. Zero: not told.
public struct CommandTimeouts: Equatable, Sendable {
    public var commandSpecific: UInt8 = 0
    public var nominalSeconds: UInt32 = 0
    public var recommendedSeconds: UInt32 = 0

    public init(nominalSeconds: UInt32 = 0, recommendedSeconds: UInt32 = 0) {
        self.nominalSeconds = nominalSeconds
        self.recommendedSeconds = recommendedSeconds
    }

    fileprivate func write(to writer: inout ParameterDataWriter) {
        let length = writer.reserveLength(.twoBytes)
        writer.append(UInt8(0))
        writer.append(commandSpecific)
        writer.append(nominalSeconds)
        writer.append(recommendedSeconds)
        writer.fill(length)
    }
}

/// A supported command, as REPORT SUPPORTED OPERATION CODES tells of it.
public struct SupportedCommand: Equatable, Sendable {
    public var operationCode: UInt8
    /// Nil: the operation code has no service actions.
    public var serviceAction: UInt16?
    public var usage: CDBUsage
    public var timeouts: CommandTimeouts

    public init(
        operationCode: UInt8, serviceAction: UInt16? = nil, usage: CDBUsage, timeouts: CommandTimeouts = .init()
    ) {
        self.operationCode = operationCode
        self.serviceAction = serviceAction
        self.usage = usage
        self.timeouts = timeouts
    }

    /// CDB LENGTH or CDB SIZE, bytes.
    private var cdbByteCount: UInt16 { UInt16(usage.byteCount) }

    /// All_commands parameter data (SPC-4 6.35.2): four bytes, then 8 or 20 for each command.
    public static func write(
        all commands: [SupportedCommand], withTimeouts: Bool, to writer: inout ParameterDataWriter
    ) {
        let dataLength = writer.reserveLength(.fourBytes)
        for command in commands {
            writer.append(command.operationCode)
            writer.append(UInt8(0))
            writer.append(command.serviceAction ?? 0)
            writer.append(UInt8(0))
            writer.append(.bit(withTimeouts, 1) | .bit(command.serviceAction != nil, 0))
            writer.append(command.cdbByteCount)
            if withTimeouts { command.timeouts.write(to: &writer) }
        }
        writer.fill(dataLength)
    }

    /// SUPPORT of the one_command parameter data.
    private enum Support {
        static let notSupported: UInt8 = 0x1
        static let asStandardized: UInt8 = 0x3
    }

    /// One_command parameter data (SPC-4 6.35.3); nil: the command is not supported, and there is neither a CDB size
    /// nor a timeouts descriptor.
    public static func write(
        one command: SupportedCommand?, withTimeouts: Bool, to writer: inout ParameterDataWriter
    ) {
        writer.append(UInt8(0))
        guard let command else {
            writer.append(Support.notSupported)
            writer.append(UInt16(0))
            return
        }
        writer.append(.bit(withTimeouts, 7) | Support.asStandardized)
        writer.append(command.cdbByteCount)
        command.usage.write(
            opcode: command.operationCode, serviceAction: command.serviceAction, to: &writer)
        if withTimeouts { command.timeouts.write(to: &writer) }
    }
}
