// SPDX-License-Identifier: Apache-2.0
import ISCSI
import LoadGenerator
import SCSI
import Testing

/// What a target must not do, and what it may but a load does not bear.
@Suite("A target that errs")
struct IllegalTargetTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let access: Access
        let hasDigests: Bool
        /// What the sentence must say.
        let words: String
        let bytes: @Sendable (Bench, UInt32) -> [UInt8]

        init(
            _ description: String, _ access: Access = .read, digests: Bool = false, says words: String,
            _ bytes: @escaping @Sendable (Bench, UInt32) -> [UInt8]
        ) {
            testDescription = description
            self.access = access
            hasDigests = digests
            self.words = words
            self.bytes = bytes
        }
    }

    private static let unit = [UInt8](repeating: 1, count: 4096)

    /// Bytes of a header, one of them changed.
    private static func changed(_ bytes: [UInt8], at index: Int, to value: UInt8) -> [UInt8] {
        var bytes = bytes
        bytes[index] = value
        return bytes
    }

    static let ends = [
        Case("check condition", says: "CHECK CONDITION, MEDIUM ERROR, unrecovered read error (11h/00h)") {
            $0.response($1, .checkCondition, sense: SenseData(.mediumError, .unrecoveredReadError))
        },
        Case("the command by its place", says: "the read of 8 blocks at block 0 of LUN 0 ended with") {
            $0.response($1, .checkCondition, sense: SenseData(.mediumError, .unrecoveredReadError))
        },
        Case("a write that is refused", .write, says: "DATA PROTECT, write protected (27h/00h)") {
            $0.response($1, .checkCondition, sense: SenseData(.dataProtect, .writeProtected))
        },
        Case("sense without a name here", says: "ILLEGAL REQUEST, additional sense 4Ah/00h") {
            $0.response($1, .checkCondition, sense: SenseData(.illegalRequest, AdditionalSense(0x4A, 0x00)))
        },
        Case("check condition without sense", says: "CHECK CONDITION without sense data") {
            $0.response($1, .checkCondition)
        },
        Case("busy", says: "BUSY") { $0.response($1, .busy) },
        Case("task set full", says: "TASK SET FULL") { $0.response($1, .taskSetFull) },
        Case("reservation conflict", says: "RESERVATION CONFLICT") { $0.response($1, .reservationConflict) },
        Case("task aborted", says: "TASK ABORTED") { $0.response($1, .taskAborted) },
        Case("condition met", says: "CONDITION MET") { $0.response($1, .conditionMet) },
        Case("a status in Data-In", says: "BUSY") { $0.dataIn($1, [], status: .busy) },
        Case("target failure", says: "the target itself failed") { $0.response($1, response: .targetFailure) },
        Case("underflow", says: "4096 bytes were not moved") {
            $0.response($1, residual: Residual(amount: .underflow(4096)))
        },
        Case("overflow", says: "wanted to move 512 bytes more") {
            $0.dataIn($1, unit, residual: Residual(amount: .overflow(512)))
        },
        Case("good without data", says: "0 of 4096 bytes") { $0.response($1) },
        Case("good with half the data", says: "2048 of 4096 bytes") { $0.dataIn($1, Array(unit[..<2048])) },
        Case("reject", says: "protocolError") { bench, _ in
            bench.encoded(
                RejectPDU(reason: .protocolError, numbers: bench.numbersNow()), [UInt8](repeating: 0, count: 48))
        },
        Case("a wish for logout", says: "log out within 7 seconds") { bench, _ in
            bench.encoded(
                AsyncMessagePDU(event: .requestsLogout(timeSeconds: 7), lun: Bench.lun, numbers: bench.numbersNow()))
        },
        Case("an announced end", says: "drops the connection") { bench, _ in
            bench.encoded(
                AsyncMessagePDU(
                    event: .dropsAllConnections(time2WaitSeconds: 2, time2RetainSeconds: 0), lun: Bench.lun,
                    numbers: bench.numbersNow()))
        },
        Case("all tasks ended", says: "reset") { bench, _ in
            bench.encoded(
                AsyncMessagePDU(event: .terminatesTasks(parameter1: 0), lun: Bench.lun, numbers: bench.numbersNow()))
        },
        Case("an asynchronous event", says: "UNIT ATTENTION, capacity data has changed (2Ah/09h)") { bench, _ in
            let sense = Bench.fixedFormat(SenseData(.unitAttention, .capacityDataHasChanged))
            let data = [0, UInt8(sense.count)] + sense
            return bench.encoded(
                AsyncMessagePDU(
                    event: .scsiAsynchronousEvent, lun: Bench.lun, numbers: bench.numbersNow(),
                    dataSegmentLength: UInt32(data.count)), data)
        },
    ]

    static let faults = [
        Case("an unknown operation code", says: "0x2a") { bench, tag in
            changed(bench.response(tag), at: 0, to: 0x2A)
        },
        Case("a request of an initiator", says: "0x1") { bench, tag in changed(bench.response(tag), at: 0, to: 0x01) },
        Case("a login response", says: "nobody asked for") { bench, tag in
            changed(bench.response(tag), at: 0, to: 0x23)
        },
        Case("a tag beyond the queue", says: "not outstanding") { bench, _ in bench.response(4) },
        Case("the reserved tag", says: "not allow") { bench, _ in
            bench.response(BasicHeaderSegment.reservedTag)
        },
        Case("a command answered twice", says: "not outstanding") { bench, tag in
            bench.dataIn(tag, unit) + bench.dataIn(tag, unit)
        },
        Case("an unknown status", says: "not allow") { bench, tag in changed(bench.response(tag), at: 3, to: 0x11) },
        Case("an unknown response", says: "not allow") { bench, tag in changed(bench.response(tag), at: 2, to: 0x09) },
        Case("both residuals at once", says: "not allow") { bench, tag in
            changed(bench.response(tag), at: 1, to: 0x86)
        },
        Case("a StatSN that was skipped", says: "StatSN") { bench, tag in
            bench.statSN += 1
            return bench.dataIn(tag, unit)
        },
        Case("a StatSN again", says: "StatSN") { bench, tag in
            bench.statSN -= 1
            return bench.dataIn(tag, unit)
        },
        Case("data at another offset", says: "offset 512") { $0.dataIn($1, unit, offset: 512) },
        Case("data at an offset far away", says: "offset 4294967295") { $0.dataIn($1, unit, offset: .max) },
        Case("data again", says: "where offset 2048 was due") { bench, tag in
            bench.dataIn(tag, Array(unit[..<2048]), status: nil) + bench.dataIn(tag, unit, sn: 1)
        },
        Case("a DataSN that was skipped", says: "DataSN 1") { $0.dataIn($1, unit, sn: 1) },
        Case("more data than was asked for", says: "4100 bytes") {
            $0.dataIn($1, [UInt8](repeating: 0, count: 4100))
        },
        Case("a segment longer than we take", says: "MaxRecvDataSegmentLength") {
            $0.dataIn($1, [UInt8](repeating: 0, count: 65540))
        },
        Case("data for a write", .write, says: "Data-In for a write") { $0.dataIn($1, unit) },
        Case("R2T for a read", says: "R2T for a read") { $0.r2t($1, offset: 0, length: 512) },
        Case("R2T for what was sent", .write, says: "where offset 1024") { $0.r2t($1, offset: 0, length: 512) },
        Case("R2T beyond the command", .write, says: "3073 bytes") { $0.r2t($1, offset: 1024, length: 3073) },
        Case("R2T beyond a burst", .write, says: "a burst of 2048 bytes") { $0.r2t($1, offset: 1024, length: 3072) },
        Case("R2T of nothing", .write, says: "not allow") { $0.r2t($1, offset: 1024, length: 0) },
        Case("R2T with the reserved tag", .write, says: "not allow") {
            $0.r2t($1, offset: 1024, length: 512, transfer: BasicHeaderSegment.reservedTag)
        },
        Case("an R2TSN that was skipped", .write, says: "R2TSN 1") { $0.r2t($1, offset: 1024, length: 512, sn: 1) },
        Case("a storm of R2Ts", .write, says: "MaxOutstandingR2T") { bench, tag in
            (0..<9 as Range<UInt32>).flatMap { bench.r2t(tag, offset: 1024 + $0, length: 1, sn: $0) }
        },
        Case("good before all data was asked for", .write, says: "1024 of 4096 bytes") { $0.response($1) },
        Case("a storm of NOP-Ins", says: "NOP-Ins faster") { bench, _ in
            (0..<17).flatMap { _ in
                bench.encoded(
                    NOPInPDU(
                        lun: Bench.lun, initiatorTaskTag: BasicHeaderSegment.reservedTag, targetTransferTag: 1,
                        numbers: bench.numbersNow()))
            }
        },
        Case("an answer to no NOP-Out", says: "NOP-Out") { bench, tag in
            bench.encoded(
                NOPInPDU(
                    lun: Bench.lun, initiatorTaskTag: tag, targetTransferTag: BasicHeaderSegment.reservedTag,
                    numbers: bench.numbersNow()))
        },
        Case("additional header segments", says: "not allow") { bench, tag in
            changed(bench.response(tag), at: 4, to: 1) + [0, 0, 0, 0]
        },
        Case("a wrong header digest", digests: true, says: "header with a wrong digest") { bench, tag in
            let bytes = bench.dataIn(tag, unit)
            return changed(bytes, at: 48, to: ~bytes[48])
        },
        Case("a wrong data digest", digests: true, says: "data with a wrong digest") { bench, tag in
            let bytes = bench.dataIn(tag, unit)
            return changed(bytes, at: bytes.count - 1, to: ~bytes[bytes.count - 1])
        },
        Case("a changed byte under a digest", digests: true, says: "data with a wrong digest") { bench, tag in
            changed(bench.dataIn(tag, unit), at: 2000, to: 99)
        },
    ]

    @Test("What ends a load is told in words", arguments: ends + faults)
    func told(_ example: Case) throws {
        let bench = try Bench(access: example.access, depth: 4) {
            $0.maxSendDataSegmentLength = 1024
            $0.session.initialR2T = true
            $0.session.maxBurstLength = 2048
            $0.hasHeaderDigest = example.hasDigests
            $0.hasDataDigest = example.hasDigests
        }
        let tag = try #require(try bench.sent().first).command.initiatorTaskTag
        let bytes = example.bytes(bench, tag)
        let failure = failure { () throws(LoadFailure) in try bench.take(bytes) }
        #expect(failure.kind == .runTime)
        #expect(failure.description.contains(example.words), "\(failure)")
        #expect(!failure.description.contains("\n"))
    }

    @Test("Noise from the target ends in a sentence or in waiting, and never in a crash", arguments: 0..<200)
    func noise(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let bench = try Bench(access: seed % 2 == 0 ? .read : .write, depth: 4)
        let tag = try #require(try bench.sent().first).command.initiatorTaskTag
        let opcodes: [UInt8] = [0x20, 0x21, 0x25, 0x31, 0x32, 0x3F]
        for _ in 0..<20 {
            var bytes = bench.dataIn(tag, Array(Self.unit[..<Int.random(in: 1...4096, using: &random)]), status: nil)
            bytes[0] = opcodes.randomElement(using: &random) ?? 0x25
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                bytes[Int.random(in: 0..<48, using: &random)] = .random(in: 0...255, using: &random)
            }
            do throws(LoadFailure) { try bench.take(bytes) } catch { return }
            _ = try bench.sent()
        }
    }
}
