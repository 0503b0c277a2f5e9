// SPDX-License-Identifier: Apache-2.0

/// What the target says of a task, checked against RFC 7143 11.4, 11.7 and 11.8.
extension InitiatorTask {
    // MARK: Ready To Transfer

    /// Takes an R2T. Nil when it came before.
    func receive(r2t pdu: WirePDU) throws -> R2T? {
        let r2t = R2T(
            number: pdu.dataSN, targetTransferTag: pdu.targetTransferTag, offset: Int(pdu.bufferOffset),
            byteCount: Int(pdu.desiredLength))
        guard pdu.isFinal, pdu.data.isEmpty, r2t.targetTransferTag != WirePDU.noTag, pdu.lun == lun else {
            throw InitiatorFailure.violation("an R2T's fixed fields", pdu)
        }
        guard r2t.byteCount > 0, r2t.byteCount <= limits.maxBurst,
            r2t.offset + r2t.byteCount <= command.expectedWriteByteCount
        else { throw InitiatorFailure.violation("an R2T beyond the data or MaxBurstLength", pdu) }
        if let known = r2ts[r2t.number], !isRecovering {
            guard known == r2t else {
                throw InitiatorFailure.violation("an R2T that differs from its first sending", pdu)
            }
            return nil
        }
        if isRecovering {
            // After a reassignment R2TSN may go on or begin again.
            isRecovering = false
            nextNumber = r2t.number
            r2ts = [:]
        } else {
            try checkNumber(r2t.number, pdu)
            // DataSequenceInOrder=Yes; an R2T for data that were sent is a recovery R2T (RFC 7143 7.5).
            let isRecovery = limits.errorRecoveryLevel > 0 && r2t.offset < solicitedEnd
            guard r2t.offset == solicitedEnd || isRecovery || !missingNumbers.isEmpty else {
                throw InitiatorFailure.violation("an R2T at \(r2t.offset), not \(solicitedEnd)", pdu)
            }
        }
        r2ts[r2t.number] = r2t
        r2tCount += 1
        solicitedEnd = max(solicitedEnd, r2t.offset + r2t.byteCount)
        advance()
        return r2t
    }

    // MARK: Data-In

    /// Takes a Data-In. False when it came before.
    func receive(dataIn pdu: WirePDU) throws -> Bool {
        let number = pdu.dataSN
        let piece = DataIn(offset: Int(pdu.bufferOffset), byteCount: pdu.data.count, isFinal: pdu.isFinal)
        guard command.readingByteCount > 0, piece.byteCount <= limits.ownSegment,
            piece.offset + piece.byteCount <= command.readingByteCount
        else { throw InitiatorFailure.violation("Data-In beyond the data or MaxRecvDataSegmentLength", pdu) }
        let hasStatus = pdu.flags & 0x01 != 0
        let asksForAcknowledgement = pdu.flags & 0x40 != 0
        guard !hasStatus || (pdu.isFinal && pdu.header[3] != CommandOutcome.checkCondition) else {
            throw InitiatorFailure.violation("Data-In with S without F, or with CHECK CONDITION", pdu)
        }
        guard hasStatus || pdu.flags & 0x06 == 0 else {
            throw InitiatorFailure.violation("Data-In with a residual and no status", pdu)
        }
        guard !asksForAcknowledgement || (limits.errorRecoveryLevel > 0 && pdu.targetTransferTag != WirePDU.noTag)
        else { throw InitiatorFailure.violation("Data-In with A at level 0 or without a tag", pdu) }
        if number &- nextNumber >= 0x8000_0000 || pieces[number] != nil { return false }
        try checkNumber(number, pdu)
        pieces[number] = piece
        dataInCount += 1
        data.replaceSubrange(piece.offset..<piece.offset + piece.byteCount, with: pdu.data)
        advance()
        return true
    }

    private func checkNumber(_ number: UInt32, _ pdu: WirePDU) throws {
        guard number == nextNumber || (limits.errorRecoveryLevel > 0 && number &- nextNumber < 0x8000_0000) else {
            throw InitiatorFailure.violation("DataSN or R2TSN \(number), not \(nextNumber)", pdu)
        }
    }

    private func advance() {
        while pieces[nextNumber] != nil || r2ts[nextNumber] != nil { nextNumber &+= 1 }
    }

    /// Runs of numbers that did not come although later ones did, or a response counts them.
    var missingNumbers: [(first: UInt32, count: UInt32)] {
        var end = nextNumber
        for number in pieces.keys where number &- end < 0x8000_0000 { end = number &+ 1 }
        for number in r2ts.keys where number &- end < 0x8000_0000 { end = number &+ 1 }
        if !isCountUnknown, let told = heldResponse?.dataSN, told &- end < 0x8000_0000 { end = told }
        var runs: [(first: UInt32, count: UInt32)] = []
        var number = nextNumber
        while number != end {
            if pieces[number] == nil && r2ts[number] == nil {
                if let last = runs.last, last.first &+ last.count == number {
                    runs[runs.count - 1].count += 1
                } else {
                    runs.append((number, 1))
                }
            }
            number &+= 1
        }
        return runs
    }

    // MARK: The end

    /// How many R2Ts the target sent altogether is not known here.
    private var isCountUnknown: Bool { wasReassigned && command.expectedWriteByteCount > 0 }

    /// Takes a SCSI Response, or a Data-In with status. Ends the task unless data are still missing.
    func receive(status pdu: WirePDU) throws {
        let isResponse = pdu.opcode == WirePDU.Opcode.scsiResponse
        guard isResponse || !command.isBidirectional else {
            throw InitiatorFailure.violation("the status of a bidirectional command in Data-In", pdu)
        }
        guard pdu.isFinal, !isResponse || pdu.flags & 0x61 == 0, pdu.flags & 0x06 != 0x06, pdu.flags & 0x18 != 0x18
        else { throw InitiatorFailure.violation("flags of a status", pdu) }
        if isResponse && snackTag != 0 && pdu.targetTransferTag != snackTag { return }
        heldResponse = pdu
        guard missingNumbers.isEmpty else {
            guard limits.errorRecoveryLevel > 0 else {
                throw InitiatorFailure.violation("ExpDataSN tells of \(pdu.dataSN), \(nextNumber) came", pdu)
            }
            return
        }
        try end(pdu, isResponse: isResponse)
    }

    /// Data that were missing have come.
    func endIfWhole() throws {
        guard outcome == nil, let pdu = heldResponse, missingNumbers.isEmpty else { return }
        try end(pdu, isResponse: pdu.opcode == WirePDU.Opcode.scsiResponse)
    }

    private func end(_ pdu: WirePDU, isResponse: Bool) throws {
        var ending = CommandOutcome(status: pdu.header[3])
        if isResponse {
            ending.response = pdu.header[2]
            ending.sense = try Self.sense(pdu)
            // 0 when no Data-In was sent (RFC 7143 11.4.8); R2Ts are counted by some.
            let isCounted = pdu.dataSN == nextNumber || (pieces.isEmpty && pdu.dataSN == 0)
            guard ending.response != 0 || isCounted || isCountUnknown else {
                throw InitiatorFailure.violation("ExpDataSN \(pdu.dataSN), not \(nextNumber)", pdu)
            }
            if command.isBidirectional {
                ending.bidirectionalReadResidual = Self.residual(
                    pdu, underflow: 0x08, overflow: 0x10, count: pdu.bufferOffset)
            } else if pdu.flags & 0x18 != 0 {
                throw InitiatorFailure.violation("a bidirectional residual of another command", pdu)
            }
        }
        ending.residual = Self.residual(pdu, underflow: 0x02, overflow: 0x04, count: pdu.residual)
        ending.data = try joinedData(ending)
        if ending.isGood {
            let written = command.expectedWriteByteCount - max(0, ending.residual)
            guard command.expectedWriteByteCount == 0 || solicitedEnd >= written else {
                throw InitiatorFailure.violation(
                    "GOOD, and only \(solicitedEnd) of \(written) bytes were asked for", pdu)
            }
        }
        outcome = ending
    }

    private static func residual(_ pdu: WirePDU, underflow: UInt8, overflow: UInt8, count: UInt32) -> Int {
        if pdu.flags & underflow != 0 { return Int(count) }
        return pdu.flags & overflow != 0 ? -Int(count) : 0
    }

    private static func sense(_ pdu: WirePDU) throws -> [UInt8] {
        guard pdu.data.count >= 2 else { return [] }
        let count = Int(pdu.data[0]) << 8 | Int(pdu.data[1])
        guard pdu.data.count >= 2 + count else { throw InitiatorFailure.violation("SenseLength \(count)", pdu) }
        return [UInt8](pdu.data[2..<2 + count])
    }

    /// What was read, after a check that the Data-Ins tile it in order, in bursts that end with F.
    private func joinedData(_ ending: CommandOutcome) throws -> [UInt8] {
        var end = 0
        var burst = 0
        for number in pieces.keys.sorted(by: { Int32(bitPattern: $0 &- $1) < 0 }) {
            guard let piece = pieces[number] else { continue }
            guard piece.offset == end else {
                throw InitiatorFailure.violation("Data-In \(number) at \(piece.offset), not \(end)")
            }
            end += piece.byteCount
            burst += piece.byteCount
            guard burst <= limits.maxBurst else { throw InitiatorFailure.violation("a burst of \(burst) bytes") }
            if piece.isFinal { burst = 0 }
        }
        guard burst == 0 else { throw InitiatorFailure.violation("a status inside a sequence of Data-In") }
        let residual = command.isBidirectional ? ending.bidirectionalReadResidual : ending.residual
        if ending.isGood, command.readingByteCount > 0 {
            guard end == command.readingByteCount - max(0, residual) else {
                throw InitiatorFailure.violation(
                    "\(end) bytes of \(command.readingByteCount) with residual \(residual)")
            }
        }
        return [UInt8](data.prefix(end))
    }
}
