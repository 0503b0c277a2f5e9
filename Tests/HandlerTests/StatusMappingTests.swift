// SPDX-License-Identifier: Apache-2.0

import HandlerHost
import SCSI
import TargetCore
import Testing

struct StatusRow: Sendable, CustomTestStringConvertible {
    var status: Int32
    var outcome: BlockOutcome

    init(_ status: Int32, _ key: SenseKey, _ asc: UInt8, _ ascq: UInt8) {
        self.status = status
        outcome = .failed(.checkCondition, SenseData(key, AdditionalSense(asc, ascq)))
    }

    init(_ status: Int32, _ outcome: BlockOutcome) {
        self.status = status
        self.outcome = outcome
    }

    var testDescription: String { "status \(status)" }
}

struct StatusMappingTests {
    static let empty = [UInt8](repeating: 0, count: StatusMapping.senseByteCount)

    static func sense(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: StatusMapping.senseByteCount - bytes.count)
    }

    static let table: [StatusRow] = [
        StatusRow(-2, .hardwareError, 0x44, 0x00), StatusRow(-1, .illegalRequest, 0x20, 0x00), StatusRow(0, .good),
        StatusRow(1, .failed(.taskSetFull, nil)), StatusRow(2, .hardwareError, 0x44, 0x00),
        StatusRow(3, .failed(.busy, nil)), StatusRow(4, .mediumError, 0x0C, 0x00),
        StatusRow(5, .mediumError, 0x11, 0x00), StatusRow(6, .miscompare(atByte: nil)),
        StatusRow(7, .illegalRequest, 0x20, 0x00), StatusRow(8, .illegalRequest, 0x24, 0x00),
        StatusRow(9, .illegalRequest, 0x26, 0x00), StatusRow(10, .illegalRequest, 0x1A, 0x00),
        StatusRow(11, .failed(.busy, nil)), StatusRow(12, .notReady, 0x04, 0x0B),
        StatusRow(13, .hardwareError, 0x44, 0x00), StatusRow(14, .illegalRequest, 0x21, 0x00),
        StatusRow(15, .notReady, 0x04, 0x04), StatusRow(16, .unitAttention, 0x2A, 0x09),
        StatusRow(17, .illegalRequest, 0x39, 0x00), StatusRow(18, .illegalRequest, 0x30, 0x05),
        StatusRow(19, .notReady, 0x04, 0x0A), StatusRow(20, .unitAttention, 0x2A, 0x07),
        StatusRow(21, .hardwareError, 0x67, 0x0A), StatusRow(22, .hardwareError, 0x44, 0x00),
        StatusRow(23, .illegalRequest, 0x26, 0x09), StatusRow(24, .illegalRequest, 0x26, 0x07),
        StatusRow(25, .copyAborted, 0x0D, 0x02), StatusRow(26, .copyAborted, 0x0D, 0x03),
        StatusRow(27, .illegalRequest, 0x26, 0x08), StatusRow(28, .illegalRequest, 0x26, 0x06),
        StatusRow(29, .hardwareError, 0x44, 0x00), StatusRow(-5, .hardwareError, 0x44, 0x00),
        StatusRow(.min, .hardwareError, 0x44, 0x00), StatusRow(.max, .hardwareError, 0x44, 0x00),
    ]

    @Test("Each status of a block operation has its sense", arguments: table)
    func blockOperation(_ row: StatusRow) {
        #expect(StatusMapping.outcome(row.status, sense: Self.empty.span.bytes) == row.outcome)
    }

    @Test("A command handed over as a CDB may be left to the core, and tells MISCOMPARE as sense data")
    func passthrough() {
        let sense = Self.sense([0xF0, 0, 0x0E, 0, 0, 1, 2])
        #expect(StatusMapping.passthroughOutcome(-1, sense: Self.empty.span.bytes) == .notHandled)
        let expected = SenseData(.miscompare, .miscompareDuringVerifyOperation, information: 0x102)
        #expect(StatusMapping.passthroughOutcome(6, sense: sense.span.bytes) == .failed(.checkCondition, expected))
    }

    @Test("No status but 0 ends GOOD, whatever the sense buffer holds", arguments: [UInt8(0), 0x70, 0x72, 0xF0, 0xFF])
    func noFailureIsGood(_ fill: UInt8) {
        let sense = [UInt8](repeating: fill, count: StatusMapping.senseByteCount)
        for status in Int32(-300)...300 {
            let outcomes = [
                StatusMapping.outcome(status, sense: sense.span.bytes),
                StatusMapping.passthroughOutcome(status, sense: sense.span.bytes),
            ]
            for outcome in outcomes {
                #expect((outcome == .good) == (status == 0), "status \(status)")
                if case .failed(.good, _) = outcome { Issue.record("status \(status) fails with GOOD") }
                if case .failed(.checkCondition, nil) = outcome { Issue.record("status \(status) has no sense") }
            }
        }
    }

    @Test("MISCOMPARE tells the byte only where the handler set VALID", arguments: [true, false])
    func miscompareOffset(_ isValid: Bool) {
        let sense = Self.sense([isValid ? 0xF0 : 0x70, 0, 0x0E, 0, 0, 2, 1])
        #expect(StatusMapping.outcome(6, sense: sense.span.bytes) == .miscompare(atByte: isValid ? 0x201 : nil))
    }

    @Test("FORMAT IN PROGRESS keeps the progress that the handler set")
    func formatProgress() {
        let sense = Self.sense([0x70] + [UInt8](repeating: 0, count: 14) + [0x80, 0x12, 0x34])
        let expected = SenseData(.notReady, .logicalUnitNotReadyFormatInProgress, specific: .progress(0x1234))
        #expect(StatusMapping.outcome(15, sense: sense.span.bytes) == .failed(.checkCondition, expected))
    }

    @Test(
        "A handler's own sense is taken where it is sense data",
        arguments: [
            ([0x70, 0, 0x05], true, true), ([0x72, 0x05], true, true), ([0xF0, 0, 0x03], true, true),
            ([0x70, 0, 0x00], false, true), ([0x72, 0x00], false, true), ([0x00, 0, 0x05], false, false),
            ([0x7F, 0, 0x05], false, false), ([0x05, 0x24], false, false),
        ] as [([UInt8], Bool, Bool)])
    func ownSense(_ bytes: [UInt8], _ forBlocks: Bool, _ forCDBs: Bool) {
        let sense = Self.sense(bytes)
        let failure = BlockOutcome.failed(.checkCondition, SenseData(.hardwareError, .internalTargetFailure))
        let block = StatusMapping.outcome(2, sense: sense.span.bytes)
        let cdb = StatusMapping.passthroughOutcome(2, sense: sense.span.bytes)
        #expect(block == (forBlocks ? .failedWithStoreSense : failure))
        #expect(cdb == (forCDBs ? .failedWithStoreSense : failure))
    }
}
