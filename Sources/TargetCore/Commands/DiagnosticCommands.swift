// SPDX-License-Identifier: Apache-2.0

import SCSI

/// SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS (SPC-4 6.42, 6.32).
///
/// A self-test brings the cache to stable storage and reads the medium: samples of it (default and short), or all of it
/// (extended). In foreground mode other commands are kept out and the status says how it went; in background mode the
/// Self-Test Results log page does.
enum DiagnosticCommands {
    static let rows = [
        CommandDescriptor(
            name: "SEND DIAGNOSTIC", opcode: .sendDiagnostic, usage: [0xF7, 0x00, 0xFF, 0xFF, 0x00],
            data: .fromInitiator, reservation: .never, plan: plan, perform: send),
        CommandDescriptor(
            name: "RECEIVE DIAGNOSTIC RESULTS", opcode: .receiveDiagnosticResults,
            usage: [pageCodeValidMask, 0xFF, 0xFF, 0xFF, 0x00], data: .toInitiator, reservation: .duringWriteExclusive,
            plan: { task, _ throws(SenseData) in
                TransferPlan(toInitiator: Int(task.cdb.uint16(at: allocationLengthByte)))
            },
            perform: receive),
    ]

    private static let flagByte = 1
    private static let pageCodeValidMask: UInt8 = 0x01
    private static let pageCodeByte = 2
    private static let allocationLengthByte = 3

    /// PCV zero asks for what the last SEND DIAGNOSTIC was about: there is one page only.
    @Sendable
    private static func receive(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let code = task.cdb[pageCodeByte]
        let isValid = task.cdb.isSet(pageCodeValidMask, inByte: flagByte)
        guard isValid ? DiagnosticPage.isSupported(code) : code == 0 else {
            throw .invalidFieldInCDB(byte: pageCodeByte)
        }
        return task.respond { DiagnosticPage.writeSupportedPages(to: &$0) }
    }

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let request = try SendDiagnosticRequest(task.cdb)
        if request.isSelfTest { try checkReady(nexus.unit) }
        guard request.parameterListLength <= TargetLimits.parameterListByteCount else {
            throw .parameterListLengthError
        }
        return TransferPlan(fromInitiator: request.parameterListLength)
    }

    /// The other uses of the command need no medium.
    private static func checkReady(_ unit: LogicalUnit) throws(SenseData) {
        if let sense = unit.notReadySense { throw sense }
        if let current = unit.operations.current { throw .selfTestInProgress(progress: current.progress) }
    }

    @Sendable
    private static func send(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        if let operation = task.operation { return try end(of: operation) }
        let request = try SendDiagnosticRequest(task.cdb)
        if request.parameterListLength > 0 {
            try DiagnosticPage.check(sent: task.parameterList(request.parameterListLength))
        }
        if request.code == .abortBackground {
            nexus.unit.operations.abortSelfTest(.abortedBySendDiagnostic)
        }
        guard request.isSelfTest else { return .finished(toInitiator: 0) }
        return try SelfTest.begin(request, for: task, on: nexus)
    }

    private static func end(of operation: BackgroundOperation) throws(SenseData) -> CommandDescriptor.Step {
        switch operation.outcome {
        case .good, nil: return .finished(toInitiator: 0)
        case .failed, .notBegun: throw .logicalUnitFailedSelfTest
        case .cancelled: throw .commandAborted
        }
    }
}

/// Self-tests (SPC-4 5.15).
enum SelfTest {
    /// Pieces that a short self-test reads, from the first to the last block.
    private static let sampleCount = 64

    static func begin(
        _ request: SendDiagnosticRequest, for task: SCSITask, on nexus: NexusUnit
    ) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let code = request.code
        let isForeground = !code.isBackground
        // Results are kept of self-tests by SELF-TEST CODE, not of the default one.
        let isKept = !request.isDefaultSelfTest
        let operation = BackgroundOperation(
            .selfTest(code, isForeground: isForeground), on: unit, loop: nexus.nexus.loop, cdb: task.cdb,
            stages: [.flush, .read(sampleCount: code.isExtended ? nil : sampleCount)]
        ) { outcome in
            if isForeground { unit.conditions.set(.selfTesting, false) }
            if isKept { unit.operations.selfTestEnded(result(code, outcome)) }
        }
        guard unit.operations.begin(operation) else { throw .selfTestInProgress() }
        if isKept { unit.operations.selfTestBegan(code) }
        guard isForeground else { return .finished(toInitiator: 0) }
        unit.conditions.set(.selfTesting, true)
        operation.wait(task, on: nexus.nexus, untilEnd: true)
        return .wait
    }

    private static func result(
        _ code: SendDiagnosticRequest.SelfTestCode, _ outcome: BackgroundOperation.Outcome
    ) -> SelfTestResult {
        switch outcome {
        case .good:
            return SelfTestResult(code: code, outcome: .completedWithoutError)
        case .notBegun:
            return SelfTestResult(code: code, outcome: .unknownError)
        case .cancelled(let reason):
            return SelfTestResult(code: code, outcome: reason)
        case .failed(let stage, let lba, let sense):
            var result = SelfTestResult(code: code, outcome: stage == 0 ? .failedFirstSegment : .failedSecondSegment)
            result.segmentNumber = UInt8(clamping: stage + 1)
            result.firstFailureLBA = sense.information ?? lba
            result.sense = sense
            return result
        }
    }
}
