// SPDX-License-Identifier: Apache-2.0
import ISCSI
import LoadGenerator
import SCSI
import Testing

/// The failure that `body` throws; records an issue when it throws none.
func failure(
    _ body: () throws(LoadFailure) -> Void, sourceLocation: SourceLocation = #_sourceLocation
) -> LoadFailure {
    do throws(LoadFailure) {
        try body()
    } catch {
        return error
    }
    Issue.record("nothing was refused", sourceLocation: sourceLocation)
    return .runTime("")
}

enum Samples {
    static let url = "iscsi://127.0.0.1:3260/iqn.2026-11.org.martlet:default/0"

    static func options(_ change: (inout LoadOptions) -> Void = { _ in }) throws -> LoadOptions {
        var options = LoadOptions(url: try LoadURL(url))
        change(&options)
        return options
    }
}

/// Both ends of a session in memory: the pipeline under test, and a target that says what the test wants.
final class Bench {
    static let blockByteCount = 512
    static let lun = LogicalUnitNumber(0)

    let pipeline: Pipeline
    let workload: Workload
    let measurement = Measurement()
    let parameters: NegotiatedParameters
    /// Of the target's next response.
    var statSN: UInt32
    /// MaxCmdSN. The first command has CmdSN 1.
    var window: UInt32
    private var now: UInt64 = 1_000_000

    /// A PDU of the initiator.
    struct Sent {
        let opcode: InitiatorOpcode?
        let header: [UInt8]
        let data: [UInt8]

        var command: SCSICommandPDU { get throws { try SCSICommandPDU(header.span.bytes) } }
        var dataOut: DataOutPDU { get throws { try DataOutPDU(header.span.bytes) } }
        var nopOut: NOPOutPDU { get throws { try NOPOutPDU(header.span.bytes) } }
    }

    init(
        access: Access = .randread, depth: Int = 4, blocksPerUnit: UInt32 = 8, unitCount: UInt64 = 64,
        firstLBA: UInt64 = 0, verifies: Bool = false, window: UInt32 = 1000,
        _ change: (inout NegotiatedParameters) -> Void = { _ in }
    ) throws {
        var parameters = NegotiatedParameters()
        parameters.maxReceiveDataSegmentLength = 65536
        parameters.session.initialR2T = false
        change(&parameters)
        self.parameters = parameters
        self.window = window
        workload = Workload(
            access: access, readPercent: 50, units: 0..<unitCount, seed: 5, verifies: verifies)
        let numbers = try Self.numbers(window: window)
        statSN = numbers.expStatSN
        let setting = Pipeline.Setting(
            lun: Self.lun, area: Area(firstLBA: firstLBA, blocksPerUnit: blocksPerUnit, unitCount: unitCount),
            blockByteCount: Self.blockByteCount, queueDepth: depth, seed: 5, parameters: parameters)
        pipeline = Pipeline(setting, numbers: numbers, workload: workload, measurement: measurement)
        workload.begin(.run)
    }

    /// Numbers as a login leaves them.
    private static func numbers(window: UInt32) throws -> InitiatorNumbers {
        var login = LoginRequester(LoginTests.proposal)
        try LoginTests.answer(&login, maxCmdSN: window) { _ in }
        return login.numbers
    }

    /// What the pipeline sends now.
    func sent() throws -> [Sent] {
        pipeline.pump(now: now)
        let bytes = pipeline.batch.takeAll()
        var framer = PDUFramer()
        framer.hasHeaderDigest = parameters.hasHeaderDigest
        framer.hasDataDigest = parameters.hasDataDigest
        framer.maxDataSegmentLength = 0xFF_FFFF
        var all: [Sent] = []
        var offset = 0
        while offset < bytes.count {
            let rest = Array(bytes[offset...])
            guard case .whole(let frame) = try framer.next(rest.span.bytes) else {
                Issue.record("the batch ends in the middle of a PDU")
                return all
            }
            let isRight = framer.dataDigestMatches(frame, in: rest.span.bytes)
            #expect(isRight, "the data digest")
            let header = Array(rest[..<48])
            all.append(
                Sent(
                    opcode: BasicHeaderSegment.initiatorOpcode(of: header.span.bytes), header: header,
                    data: Array(rest[frame.dataOffset..<frame.dataOffset + frame.dataByteCount])))
            offset += frame.totalByteCount
        }
        return all
    }

    /// Gives the pipeline bytes of the target, `nanoseconds` after the last ones. How many it took.
    @discardableResult
    func take(_ bytes: [UInt8], after nanoseconds: UInt64 = 1000) throws(LoadFailure) -> Int {
        now += nanoseconds
        return try pipeline.take(bytes.span.bytes, now: now)
    }

    // MARK: What a target says

    /// A PDU with its padding and digests.
    func encoded(_ pdu: some EncodablePDU, _ data: [UInt8] = []) -> [UInt8] {
        var bytes = pdu.encoded
        if parameters.hasHeaderDigest { bytes += Self.digest(bytes) }
        guard !data.isEmpty else { return bytes }
        let padded = data + [UInt8](repeating: 0, count: -data.count & 3)
        return bytes + padded + (parameters.hasDataDigest ? Self.digest(padded) : [])
    }

    static func digest(_ bytes: [UInt8]) -> [UInt8] {
        let value = CRC32C.of(bytes.span.bytes)
        return (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
    }

    func nextStatSN() -> UInt32 {
        defer { statSN &+= 1 }
        return statSN
    }

    /// Data-In; with a status when it is given one.
    func dataIn(
        _ tag: UInt32, _ data: [UInt8], sn: UInt32 = 0, offset: UInt32 = 0, status: Status? = .good,
        residual: Residual = .none
    ) -> [UInt8] {
        var pdu = DataInPDU(
            lun: Self.lun, initiatorTaskTag: tag, expCmdSN: 1, maxCmdSN: window, dataSN: sn, bufferOffset: offset,
            dataSegmentLength: UInt32(data.count), isFinal: false)
        if let status { pdu.setStatus(status, statSN: nextStatSN(), residual: residual) }
        return encoded(pdu, data)
    }

    func response(
        _ tag: UInt32, _ status: Status = .good, sense: SenseData? = nil, residual: Residual = .none,
        response: SCSIResponsePDU.Response = .commandCompletedAtTarget
    ) -> [UInt8] {
        var data: [UInt8] = []
        if let sense {
            let bytes = Self.fixedFormat(sense)
            data = [0, UInt8(bytes.count)] + bytes
        }
        return encoded(
            SCSIResponsePDU(
                initiatorTaskTag: tag, response: response, status: status, statSN: nextStatSN(), expCmdSN: 1,
                maxCmdSN: window, expDataSN: 0, residual: residual, dataSegmentLength: UInt32(data.count)), data)
    }

    /// SPC-4 4.5.3: 18 bytes, written out here.
    static func fixedFormat(_ sense: SenseData) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 18)
        bytes[0] = 0x70
        bytes[2] = sense.key.rawValue
        bytes[7] = 10
        bytes[12] = sense.additional.asc
        bytes[13] = sense.additional.ascq
        return bytes
    }

    func r2t(
        _ tag: UInt32, offset: UInt32, length: UInt32, sn: UInt32 = 0, transfer: UInt32 = 77
    ) -> [UInt8] {
        encoded(
            R2TPDU(
                lun: Self.lun, initiatorTaskTag: tag, targetTransferTag: transfer, statSN: statSN, expCmdSN: 1,
                maxCmdSN: window, r2tSN: sn, bufferOffset: offset, desiredDataTransferLength: length))
    }

    func numbersNow() -> SequenceNumbers { SequenceNumbers(statSN: statSN, expCmdSN: 1, maxCmdSN: window) }
}
