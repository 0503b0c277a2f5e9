// SPDX-License-Identifier: Apache-2.0
import TestInitiator

/// One command under way in a `WireSession`: cuts its data as negotiated, and checks the target's half of the exchange.
final class WireTask {
    struct Limits {
        /// Longest data segment to the target, and to us.
        let segmentByteCount: Int
        let ownSegmentByteCount: Int
        let firstBurst: Int
        let maxBurst: Int
        let immediateData: Bool
        let initialR2T: Bool
        let outstandingR2Ts: Int
    }

    private(set) var outcome: Outcome?
    private let command: Command
    private let tag: UInt32
    private let limits: Limits
    private var received: [UInt8] = []
    private var expectedDataSN: UInt32 = 0
    private var expectedR2TSN: UInt32 = 0
    private var burstByteCount = 0
    /// The end of what was sent or asked for so far.
    private var solicitedEnd: Int

    init(_ command: Command, tag: UInt32, limits: Limits) {
        self.command = command
        self.tag = tag
        self.limits = limits
        solicitedEnd = limits.initialR2T ? 0 : min(command.sending.count, limits.firstBurst)
        solicitedEnd = max(solicitedEnd, Self.immediateByteCount(command, limits))
    }

    private static func immediateByteCount(_ command: Command, _ limits: Limits) -> Int {
        limits.immediateData ? min(command.sending.count, limits.firstBurst, limits.segmentByteCount) : 0
    }

    /// The SCSI Command PDU with its immediate data; sequence numbers are the session's to fill in.
    func commandPDU(lun: Int) -> WirePDU {
        let immediate = Self.immediateByteCount(command, limits)
        var pdu = WirePDU(opcode: WirePDU.Opcode.scsiCommand, flags: 0x01)  // SIMPLE
        if immediate == solicitedEnd { pdu.header[1] |= WirePDU.final }
        if command.receiving > 0 { pdu.header[1] |= 0x40 }
        if !command.sending.isEmpty { pdu.header[1] |= 0x20 }
        pdu.lun = lun
        pdu.initiatorTaskTag = tag
        pdu.expectedLength = UInt32(max(command.receiving, command.sending.count))
        let fixed = command.cdb.prefix(16)
        pdu.header.replaceSubrange(32..<32 + fixed.count, with: fixed)
        pdu.additionalHeader = Self.extendedCDB(command.cdb.dropFirst(16))
        pdu.data = [UInt8](command.sending.prefix(immediate))
        return pdu
    }

    /// An Extended CDB segment (RFC 7143 11.2.2.3): its length counts the reserved byte, not the padding.
    private static func extendedCDB(_ rest: ArraySlice<UInt8>) -> [UInt8] {
        guard !rest.isEmpty else { return [] }
        let padding = [UInt8](repeating: 0, count: (4 - rest.count % 4) % 4)
        return bigEndian(UInt64(rest.count + 1), count: 2) + [1, 0] + rest + padding
    }

    /// The Data-Out PDUs that follow without being asked for.
    func unsolicitedData(lun: Int) -> [WirePDU] {
        let start = Self.immediateByteCount(command, limits)
        return dataOut(start..<solicitedEnd, transferTag: WirePDU.noTag, lun: lun)
    }

    /// The Data-Out PDUs that an R2T asks for.
    func answer(r2t: WirePDU, lun: Int) throws -> [WirePDU] {
        let start = Int(r2t.bufferOffset)
        let end = start + Int(r2t.desiredLength)
        guard r2t.dataSN == expectedR2TSN else { throw HarnessError("R2TSN \(r2t.dataSN), not \(expectedR2TSN)") }
        guard start == solicitedEnd, end > start, end <= command.sending.count, end - start <= limits.maxBurst,
            r2t.targetTransferTag != WirePDU.noTag
        else { throw HarnessError("R2T for \(start)..<\(end) of \(command.sending.count), after \(solicitedEnd)") }
        expectedR2TSN += 1
        solicitedEnd = end
        return dataOut(start..<end, transferTag: r2t.targetTransferTag, lun: lun)
    }

    private func dataOut(_ range: Range<Int>, transferTag: UInt32, lun: Int) -> [WirePDU] {
        stride(from: range.lowerBound, to: range.upperBound, by: limits.segmentByteCount).enumerated().map {
            let end = min($1 + limits.segmentByteCount, range.upperBound)
            var pdu = WirePDU(opcode: WirePDU.Opcode.dataOut, flags: end == range.upperBound ? WirePDU.final : 0)
            pdu.lun = lun
            pdu.initiatorTaskTag = tag
            pdu.targetTransferTag = transferTag
            pdu.dataSN = UInt32($0)
            pdu.bufferOffset = UInt32($1)
            pdu.data = [UInt8](command.sending[$1..<end])
            return pdu
        }
    }

    func receive(dataIn pdu: WirePDU) throws {
        guard pdu.dataSN == expectedDataSN else { throw HarnessError("DataSN \(pdu.dataSN), not \(expectedDataSN)") }
        guard Int(pdu.bufferOffset) == received.count else { throw HarnessError("Data-In at \(pdu.bufferOffset)") }
        guard pdu.data.count <= limits.ownSegmentByteCount else { throw HarnessError("Data-In of \(pdu.data.count)") }
        expectedDataSN += 1
        received += pdu.data
        burstByteCount += pdu.data.count
        guard received.count <= command.receiving, burstByteCount <= limits.maxBurst else {
            throw HarnessError("\(received.count) bytes of \(command.receiving), \(burstByteCount) in one burst")
        }
        if pdu.isFinal { burstByteCount = 0 }
        if pdu.flags & 0x01 != 0 {
            guard pdu.isFinal else { throw HarnessError("Data-In with S and without F (RFC 7143 11.7.3)") }
            try end(status: pdu.header[3], pdu)
        }
    }

    func receive(response pdu: WirePDU) throws {
        guard pdu.header[2] == 0 else { throw HarnessError("the target failed the command: \(pdu.header)") }
        guard burstByteCount == 0 else { throw HarnessError("a response inside a burst of Data-In") }
        let sense = pdu.data.count > 2 ? Self.sense([UInt8](pdu.data.dropFirst(2))) : nil
        try end(status: pdu.header[3], sense: sense, pdu)
    }

    private func end(status: UInt8, sense: Outcome.Sense? = nil, _ pdu: WirePDU) throws {
        let residual = pdu.flags & 0x02 != 0 ? Int(pdu.residual) : pdu.flags & 0x04 != 0 ? -Int(pdu.residual) : 0
        if status == Outcome.good, received.count != command.receiving - max(residual, 0), command.receiving > 0 {
            throw HarnessError("\(received.count) bytes of \(command.receiving) with residual \(residual)")
        }
        outcome = Outcome(status: status, data: received, sense: sense, residual: residual)
    }

    /// Sense data in fixed (70h, 71h) or descriptor (72h, 73h) format, SPC-5 4.5.
    private static func sense(_ bytes: [UInt8]) -> Outcome.Sense? {
        let code = bytes.first.map { $0 & 0x7F }
        if code == 0x70 || code == 0x71, bytes.count >= 14 {
            return Outcome.Sense(
                key: bytes[2] & 0x0F, additional: UInt16(bytes.bigEndian(at: 12, count: 2)),
                information: bytes[0] & 0x80 != 0 ? UInt32(bytes.bigEndian(at: 3, count: 4)) : nil)
        }
        if code == 0x72 || code == 0x73, bytes.count >= 8 {
            return Outcome.Sense(key: bytes[1] & 0x0F, additional: UInt16(bytes.bigEndian(at: 2, count: 2)))
        }
        return nil
    }
}
