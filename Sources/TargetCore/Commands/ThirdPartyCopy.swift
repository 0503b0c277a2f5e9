// SPDX-License-Identifier: Apache-2.0

import SCSI

/// What the third-party copy commands of a logical unit have in common: its limits, as they are told in VPD page 8Fh
/// and by RECEIVE COPY OPERATING PARAMETERS.
enum ThirdPartyCopy {
    static let limits = ExtendedCopyParameterList.Limits(
        targetCount: TargetLimits.copyTargetCount, segmentCount: TargetLimits.copySegmentCount,
        descriptorListByteCount: TargetLimits.copyTargetCount * CopyTargetDescriptor.byteCount
            + TargetLimits.copySegmentCount * BlockToBlockSegment.byteCount)

    static let descriptorTypeCodes = [BlockToBlockSegment.typeCode, CopyTargetDescriptor.typeCode]

    /// A store that answers every CDB itself may have no blocks that the core could read or write, and a copy would
    /// leave behind the protection information of a unit that has some.
    @Sendable
    static func isSupported(by unit: LogicalUnit) -> Bool {
        unit.features.passthrough != .always && !unit.isProtected
    }

    static func rangeLimits(of unit: LogicalUnit) -> BlockDeviceRanges.Limits {
        BlockDeviceRanges.Limits(
            descriptorCount: TargetLimits.tokenRangeCount, blockCount: tokenBlockCount(of: unit))
    }

    /// MAXIMUM TOKEN TRANSFER SIZE, logical blocks.
    static func tokenBlockCount(of unit: LogicalUnit) -> UInt64 {
        UInt64(TargetLimits.tokenByteCount / unit.blockByteCount)
    }

    private static func segmentByteCount(_ unit: LogicalUnit) -> UInt32 {
        UInt32(UInt16.max) * UInt32(unit.blockByteCount)
    }

    private static func granularity(_ unit: LogicalUnit) -> UInt8 { UInt8(unit.blockByteCount.trailingZeroBitCount) }

    static func operatingParameters(of unit: LogicalUnit) -> CopyOperatingParameters {
        var data = CopyOperatingParameters(limits: limits)
        data.maximumSegmentByteCount = segmentByteCount(unit)
        data.concurrentCopyCount = UInt8(TargetLimits.concurrentCopyCount)
        data.dataSegmentGranularity = granularity(unit)
        data.descriptorTypeCodes = descriptorTypeCodes
        return data
    }

    static func page(of unit: LogicalUnit) -> ThirdPartyCopyPage {
        var page = ThirdPartyCopyPage(limits: limits)
        let rows = CommandTable.directAccess.supportedRows(on: unit)
        page.commands = [OperationCode.thirdPartyCopyOut, .thirdPartyCopyIn].map { opcode in
            let actions = rows.filter { $0.opcode == opcode.rawValue }.compactMap(\.serviceAction)
            return .init(operationCode: opcode.rawValue, serviceActions: actions.map { UInt8($0) }.sorted())
        }
        page.descriptorTypeCodes = descriptorTypeCodes
        page.concurrentCopyCount = UInt32(TargetLimits.concurrentCopyCount)
        page.maximumSegmentByteCount = segmentByteCount(unit)
        page.dataSegmentGranularity = granularity(unit)
        page.tokens.rangeDescriptorCount = UInt16(TargetLimits.tokenRangeCount)
        page.tokens.maximumInactivitySeconds = TargetLimits.maximumTokenInactivitySeconds
        page.tokens.defaultInactivitySeconds = TargetLimits.defaultTokenInactivitySeconds
        page.tokens.maximumTransferBlockCount = tokenBlockCount(of: unit)
        page.tokens.optimalTransferBlockCount = tokenBlockCount(of: unit)
        page.tokens.blockByteCount = unit.blockByteCount
        return page
    }

    // MARK: - Fields that the commands share

    static let lengthByte = 10

    /// PARAMETER LIST LENGTH.
    static func parameterListLength(_ task: SCSITask) -> Int { Int(task.cdb.uint32(at: lengthByte)) }

    /// The plan of a command with a parameter list, which may need memory to move blocks through.
    static func plan(_ task: SCSITask, movesBlocks: Bool) throws(SenseData) -> TransferPlan {
        guard task.cdb.uint32(at: lengthByte) <= UInt32(TargetLimits.parameterListByteCount) else {
            throw .parameterListLengthError
        }
        let byteCount = parameterListLength(task)
        return TransferPlan(
            fromInitiator: byteCount, work: movesBlocks && byteCount > 0 ? TargetLimits.workByteCount : 0)
    }

    /// The plan of a command that answers.
    @Sendable
    static func answerPlan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let allocationLength = task.cdb.uint32(at: lengthByte)
        return TransferPlan(toInitiator: Int(min(allocationLength, UInt32(TargetLimits.responseByteCount))))
    }
}
