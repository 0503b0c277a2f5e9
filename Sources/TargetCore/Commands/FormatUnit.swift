// SPDX-License-Identifier: Apache-2.0

import SCSI

/// FORMAT UNIT (SBC-4 5.4): all blocks hold the initialization pattern, by default zeroes. The capacity and the length
/// of a block stay. There are no defects, so that a defect list is refused and certification has nothing to find.
///
/// As with SANITIZE the operation outlives its command. One that fails, or is cut off by the end of the process, leaves
/// a medium that says MEDIUM FORMAT CORRUPTED until it is formatted.
enum FormatUnit {
    /// FFMT is not offered: a format that leaves blocks as they are would not be one.
    static let row = CommandDescriptor(
        name: "FORMAT UNIT", opcode: .formatUnit, usage: [0xFF, 0x00, 0x00, 0x00, 0x00], data: .fromInitiator,
        traits: [.needsMedium, .writesMedium, .claimsExtent, .rewritesMedium], reservation: .never, plan: plan,
        perform: perform)

    private static let flagByte = 1
    private static let protectionBit = 7
    private static let longListMask: UInt8 = 0x20
    private static let formatDataMask: UInt8 = 0x10
    private static let defectListFormatBit = 2
    /// DEFECT LIST FORMAT: short and long block format.
    private static let blockFormats: Set<UInt8> = [0b000, 0b011]

    private static func hasList(_ cdb: CommandDescriptorBlock) -> Bool { cdb.isSet(formatDataMask, inByte: flagByte) }

    /// The CDB does not say how long the list is: what the transport announces is taken, up to a limit.
    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        try checkProtection(task.cdb, FormatUnitParameterList(), on: nexus.unit)
        guard hasList(task.cdb) else { return TransferPlan() }
        guard blockFormats.contains(task.cdb[flagByte] & 0x07) else {
            throw .invalidFieldInCDB(byte: flagByte, bit: defectListFormatBit)
        }
        return TransferPlan(fromInitiator: min(task.expectedFromInitiator, TargetLimits.parameterListByteCount))
    }

    /// FMTPINFO with PROTECTION FIELD USAGE (SBC-4 table 42): the type of protection that the medium is formatted with.
    /// 00b with 000b is type 0, none.
    private static func checkProtection(
        _ cdb: CommandDescriptorBlock, _ list: FormatUnitParameterList, on unit: LogicalUnit
    ) throws(SenseData) {
        guard cdb[flagByte] >> 6 == 0 else { throw .invalidFieldInCDB(byte: flagByte, bit: protectionBit) }
        guard list.protectionFieldUsage == 0 else { throw .invalidFieldInParameterList(byte: 0, bit: 2) }
        guard list.protectionIntervalExponent == 0 else { throw .invalidFieldInParameterList(byte: 3, bit: 3) }
    }

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        if let operation = task.operation { return try end(of: operation) }
        let unit = nexus.unit
        var list = FormatUnitParameterList()
        if hasList(task.cdb) {
            list = try FormatUnitParameterList(
                try task.parameterList(task.plan.fromInitiator), isLong: task.cdb.isSet(longListMask, inByte: flagByte),
                blockByteCount: unit.blockByteCount)
        }
        try checkProtection(task.cdb, list, on: unit)
        guard nexus.nexus.holdsAlone(.wholeMedium, for: task, on: nexus) else { return .wait }
        let stages: [OperationStage] = [
            .save { $0.isFormatCorrupt = true }, pass(list, on: unit), .flush, .save { $0.isFormatCorrupt = nil },
        ]
        let operation = BackgroundOperation(
            .format, on: unit, loop: nexus.nexus.loop, cdb: task.cdb, stages: stages
        ) { outcome in
            switch outcome {
            case .good: unit.conditions.set(.formatCorrupt, false)
            case .notBegun: break
            case .failed, .cancelled: unit.conditions.set(.formatCorrupt, true)
            }
            unit.conditions.set(.formatting, false)
        }
        guard unit.operations.begin(operation) else { throw .notReadyCauseNotReportable }
        unit.conditions.set(.formatting, true)
        unit.extents.release(task.request)
        task.extentClaim = .none
        operation.wait(task, on: nexus.nexus, untilEnd: !list.isImmediate)
        return .wait
    }

    private static func pass(_ list: FormatUnitParameterList, on unit: LogicalUnit) -> OperationStage {
        guard let pattern = list.pattern else {
            return unit.features.canUnmap && unit.features.unmappedReadsZero ? .deallocate : .zero
        }
        return .fill((0..<unit.blockByteCount).map { pattern[$0 % pattern.count] })
    }

    private static func end(of operation: BackgroundOperation) throws(SenseData) -> CommandDescriptor.Step {
        switch operation.outcome {
        case .good, nil: return .finished(toInitiator: 0)
        case .notBegun: throw .internalTargetFailure
        case .failed, .cancelled: throw .formatCommandFailed
        }
    }
}
