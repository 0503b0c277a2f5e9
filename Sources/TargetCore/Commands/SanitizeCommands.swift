// SPDX-License-Identifier: Apache-2.0

import SCSI

/// SANITIZE (SBC-4 5.30): makes what was written impossible to read again.
///
/// The operation outlives its command: neither task management nor a reset nor the loss of the nexus stops it. While it
/// is at work the unit is not ready; when it fails, or is cut off by the end of the process, the unit says SANITIZE
/// COMMAND FAILED until another one succeeds, or EXIT FAILURE MODE is sent where AUSE allowed that.
enum SanitizeCommands {
    /// There is no row where what was written could not be brought to the medium.
    static let rows = [
        row("SANITIZE, OVERWRITE", .overwrite, isSupported: { $0.canForceUnitAccess }),
        row("SANITIZE, BLOCK ERASE", .blockErase, isSupported: canErase),
        exitRow,
    ]

    private static let flagByte = 1
    private static let immediateMask: UInt8 = 0x80
    private static let unrestrictedExitMask: UInt8 = 0x20
    private static let unrestrictedExitBit = 5
    private static let lengthByte = 7

    /// IMMED, AUSE and SERVICE ACTION; ZNR is for zones. SANITIZE CRYPTOGRAPHIC ERASE would need a store with keys.
    private static let usage: [UInt8] = [0xBF, 0x00, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x00]

    private static func row(
        _ name: String, _ action: ServiceAction.Sanitize, isSupported: @escaping @Sendable (LogicalUnit) -> Bool
    ) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: .sanitize, serviceAction: action.rawValue, usage: usage, data: .fromInitiator,
            traits: [.needsMedium, .writesMedium, .claimsExtent, .rewritesMedium, .implicitHeadOfQueue],
            reservation: .never, isSupported: isSupported, plan: plan, perform: perform)
    }

    private static let exitRow = CommandDescriptor(
        name: "SANITIZE, EXIT FAILURE MODE", opcode: .sanitize,
        serviceAction: ServiceAction.Sanitize.exitFailureMode.rawValue, usage: usage,
        traits: [.rewritesMedium, .implicitHeadOfQueue], reservation: .never, plan: plan, perform: exit)

    /// BLOCK ERASE leaves every block deallocated, and what is deallocated can be read.
    @Sendable
    static func canErase(_ unit: LogicalUnit) -> Bool {
        unit.canForceUnitAccess && unit.features.canUnmap && unit.features.unmappedReadsZero
    }

    private static func isOverwrite(_ task: SCSITask) -> Bool {
        task.cdb.serviceAction == UInt16(ServiceAction.Sanitize.overwrite.rawValue)
    }

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let length = Int(task.cdb.uint16(at: lengthByte))
        let isAllowed =
            isOverwrite(task)
            ? SanitizeOverwriteList.allows(byteCount: length, blockByteCount: nexus.unit.blockByteCount) : length == 0
        guard isAllowed else { throw .invalidFieldInCDB(byte: lengthByte) }
        return TransferPlan(fromInitiator: length)
    }

    // MARK: - OVERWRITE, BLOCK ERASE

    /// Pieces read back at the end.
    private static let sampleCount = 16

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        if let operation = task.operation { return try end(of: operation) }
        let unit = nexus.unit
        let passes = try passes(task, on: unit)
        let allowsExit = task.cdb.isSet(unrestrictedExitMask, inByte: flagByte)
        if allowsExit, let failure = unit.operations.sanitizeFailure, !failure.allowsUnrestrictedExit {
            // What failed in restricted completion mode is not made good in the other one.
            throw .invalidFieldInCDB(byte: flagByte, bit: unrestrictedExitBit)
        }
        guard nexus.nexus.holdsAlone(.wholeMedium, for: task, on: nexus) else { return .wait }
        let failure = SanitizeFailure(allowsUnrestrictedExit: allowsExit)
        let stages =
            [.save { $0.sanitizeFailure = failure }] + passes
            + [
                .save {
                    $0.sanitizeFailure = nil
                    $0.isFormatCorrupt = nil
                }
            ]
        let operation = BackgroundOperation(
            .sanitize, on: unit, loop: nexus.nexus.loop, cdb: task.cdb, stages: stages
        ) { outcome in
            switch outcome {
            case .good:
                unit.operations.sanitizeFailure = nil
                unit.conditions.set([.sanitizing, .formatCorrupt], false)
            case .notBegun:
                unit.conditions.set(.sanitizing, unit.operations.sanitizeFailure != nil)
            case .failed, .cancelled:
                unit.operations.sanitizeFailure = failure
            }
        }
        guard unit.operations.begin(operation) else { throw .notReadyCauseNotReportable }
        unit.conditions.set(.sanitizing, true)
        // Those that waited for their turn are told that there is none.
        unit.extents.release(task.request)
        task.extentClaim = .none
        operation.wait(task, on: nexus.nexus, untilEnd: !task.cdb.isSet(immediateMask, inByte: flagByte))
        return .wait
    }

    /// Every pass is on the medium before the next begins. At the end samples of the whole are read back.
    private static func passes(_ task: SCSITask, on unit: LogicalUnit) throws(SenseData) -> [OperationStage] {
        let blockByteCount = unit.blockByteCount
        guard isOverwrite(task) else {
            let zeroes = [UInt8](repeating: 0, count: blockByteCount)
            return [.deallocate, .flush, .compare(zeroes, sampleCount: sampleCount)]
        }
        let bytes = try task.parameterList(Int(task.cdb.uint16(at: lengthByte)))
        let list = try SanitizeOverwriteList(bytes, blockByteCount: blockByteCount)
        var stages: [OperationStage] = []
        for pass in 0..<list.passCount {
            stages += [.fill(list.block(ofPass: pass, blockByteCount: blockByteCount)), .flush]
        }
        let last = list.block(ofPass: list.passCount - 1, blockByteCount: blockByteCount)
        return stages + [.compare(last, sampleCount: sampleCount)]
    }

    private static func end(of operation: BackgroundOperation) throws(SenseData) -> CommandDescriptor.Step {
        switch operation.outcome {
        case .good: return .finished(toInitiator: 0)
        case .notBegun: throw .internalTargetFailure
        case .failed, .cancelled: throw .sanitizeCommandFailed
        case nil:
            // IMMED: it has begun.
            return .finished(toInitiator: 0)
        }
    }

    // MARK: - EXIT FAILURE MODE

    @Sendable
    private static func exit(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        guard let failure = unit.operations.sanitizeFailure else { return .finished(toInitiator: 0) }
        guard failure.allowsUnrestrictedExit else {
            throw .invalidFieldInCDB(byte: CommandDescriptor.serviceActionByte, bit: CommandDescriptor.serviceActionBit)
        }
        if task.step == 0, unit.durable.isAvailable {
            return nexus.nexus.save(on: unit, for: task) { $0.sanitizeFailure = nil }
        }
        if task.hasFailedToSave { throw .internalTargetFailure }
        // Another one may have begun meanwhile.
        unit.operations.forgetSanitizeFailure(on: unit)
        return .finished(toInitiator: 0)
    }
}
