// SPDX-License-Identifier: Apache-2.0

/// Third-party Copy VPD page 8Fh (SPC-4 7.8.17, SBC-3 6.6.7): descriptors of four bytes (type, length) and content,
/// each a multiple of four bytes, in the order of their types.
public struct ThirdPartyCopyPage: Equatable, Sendable {
    /// Operation codes 83h and 84h with the service actions that are there.
    public var commands: [Command] = []
    public var limits: ExtendedCopyParameterList.Limits
    /// CSCD and segment descriptor type codes, ascending.
    public var descriptorTypeCodes: [UInt8] = []
    public var concurrentCopyCount: UInt32 = 0
    /// Bytes of the longest segment.
    public var maximumSegmentByteCount: UInt32 = 0
    public var dataSegmentGranularity: UInt8 = 0
    public var tokens = TokenLimits()

    public struct Command: Equatable, Sendable {
        public var operationCode: UInt8
        public var serviceActions: [UInt8]

        public init(operationCode: UInt8, serviceActions: [UInt8]) {
            self.operationCode = operationCode
            self.serviceActions = serviceActions
        }
    }

    public struct TokenLimits: Equatable, Sendable {
        public var rangeDescriptorCount: UInt16 = 0
        public var maximumInactivitySeconds: UInt32 = 0
        public var defaultInactivitySeconds: UInt32 = 0
        /// Logical blocks.
        public var maximumTransferBlockCount: UInt64 = 0
        public var optimalTransferBlockCount: UInt64 = 0
        public var blockByteCount = 512

        public init() {}
    }

    public init(limits: ExtendedCopyParameterList.Limits) {
        self.limits = limits
    }

    private enum DescriptorType: UInt16 {
        case blockDeviceRODTokenLimits = 0x0000
        case supportedCommands = 0x0001
        case parameterData = 0x0004
        case supportedDescriptors = 0x0008
        case rodTokenFeatures = 0x0106
        case supportedRODTypes = 0x0108
        case generalCopyOperations = 0x8001
    }

    func writeBody(to writer: inout ParameterDataWriter) {
        write(.blockDeviceRODTokenLimits, to: &writer, content: writeTokenLimits)
        write(.supportedCommands, to: &writer, content: writeCommands)
        write(.parameterData, to: &writer, content: writeParameterData)
        write(.supportedDescriptors, to: &writer) { writer in
            writer.append(UInt8(clamping: descriptorTypeCodes.count))
            writer.append(descriptorTypeCodes)
        }
        write(.rodTokenFeatures, to: &writer, content: writeTokenFeatures)
        write(.supportedRODTypes, to: &writer, content: writeRODTypes)
        write(.generalCopyOperations, to: &writer) { writer in
            writer.append(concurrentCopyCount)
            writer.append(concurrentCopyCount)
            writer.append(maximumSegmentByteCount)
            writer.append(dataSegmentGranularity)
            writer.append(UInt8(0))  // INLINE DATA GRANULARITY
            writer.appendZeroes(18)
        }
    }

    private func write(
        _ type: DescriptorType, to writer: inout ParameterDataWriter,
        content: (inout ParameterDataWriter) -> Void
    ) {
        writer.append(type.rawValue)
        let length = writer.reserveLength(.twoBytes)
        let start = writer.byteCount
        content(&writer)
        writer.appendZeroes((4 - (writer.byteCount - start) % 4) % 4)
        writer.fill(length)
    }

    private func writeTokenLimits(to writer: inout ParameterDataWriter) {
        writer.appendZeroes(6)
        writer.append(tokens.rangeDescriptorCount)
        writer.append(tokens.maximumInactivitySeconds)
        writer.append(tokens.defaultInactivitySeconds)
        writer.append(tokens.maximumTransferBlockCount)
        writer.append(tokens.optimalTransferBlockCount)
    }

    private func writeCommands(to writer: inout ParameterDataWriter) {
        let listLength = writer.reserveLength(.oneByte)
        for command in commands {
            writer.append(command.operationCode)
            writer.append(UInt8(clamping: command.serviceActions.count))
            writer.append(command.serviceActions)
        }
        writer.fill(listLength)
    }

    private func writeParameterData(to writer: inout ParameterDataWriter) {
        writer.appendZeroes(4)
        writer.append(UInt16(clamping: limits.targetCount))
        writer.append(UInt16(clamping: limits.segmentCount))
        writer.append(UInt32(clamping: limits.descriptorListByteCount))
        writer.append(UInt32(0))  // MAXIMUM INLINE DATA LENGTH
        writer.appendZeroes(12)
    }

    /// REMOTE TOKENS 0h: only tokens of this copy manager are taken. A token may live as briefly as its source stays
    /// unchanged, and as long as it is used.
    private func writeTokenFeatures(to writer: inout ParameterDataWriter) {
        let blockByteCount = UInt64(tokens.blockByteCount)
        writer.appendZeroes(12)
        writer.append(UInt32(0))  // MINIMUM TOKEN LIFETIME: not told
        writer.append(UInt32(0))  // MAXIMUM TOKEN LIFETIME: not told
        writer.append(tokens.maximumInactivitySeconds)
        writer.appendZeroes(18)
        let length = writer.reserveLength(.twoBytes)
        writer.append(UInt8(0))  // block devices
        writer.append(UInt8(0))
        let blockLength = writer.reserveLength(.twoBytes)
        writer.appendZeroes(2)
        writer.append(UInt16(1))  // OPTIMAL BLOCK ROD LENGTH GRANULARITY
        writer.append(tokens.maximumTransferBlockCount * blockByteCount)
        writer.append(tokens.optimalTransferBlockCount * blockByteCount)
        writer.append(tokens.optimalTransferBlockCount * blockByteCount)
        writer.append(tokens.optimalTransferBlockCount * blockByteCount)
        writer.appendZeroes(8)
        writer.fill(blockLength)
        writer.fill(length)
    }

    private func writeRODTypes(to writer: inout ParameterDataWriter) {
        writer.appendZeroes(2)
        let length = writer.reserveLength(.twoBytes)
        // TOKEN_OUT: tokens of the type are made; TOKEN_IN: they are taken.
        let types: [(code: UInt32, flags: UInt8, preference: UInt16)] = [
            (RODType.pointInTimeChangeVulnerable, 0x03, 0x8000), (RODType.blockDeviceZero, 0x02, 0x0000),
        ]
        for type in types {
            writer.append(type.code)
            writer.append(type.flags)
            writer.append(UInt8(0))
            writer.append(type.preference)
            writer.appendZeroes(56)
        }
        writer.fill(length)
    }
}
