// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// What comes from the target: numbers first, then what it means.
extension InitiatorSession {
    func receive(_ pdu: WirePDU, on connection: InitiatorConnection) throws {
        note("from", connection.cid, pdu)
        try checkShape(pdu)
        try enterCommandNumbers(pdu, connection)
        if Self.usesStatSN(pdu) {
            let order = try enterStatus(pdu, connection)
            // A status that came before may come again with data that did not.
            if order == .duplicate && pdu.opcode != WirePDU.Opcode.dataIn { return }
        } else if pdu.opcode == WirePDU.Opcode.r2t || pdu.opcode == WirePDU.Opcode.nopIn {
            try checkNextStatSN(pdu, connection)
        }
        switch pdu.opcode {
        case WirePDU.Opcode.scsiResponse: try task(of: pdu, connection)?.receive(status: pdu)
        case WirePDU.Opcode.dataIn: try receive(dataIn: pdu, connection)
        case WirePDU.Opcode.r2t: try receive(r2t: pdu, connection)
        case WirePDU.Opcode.nopIn where pdu.initiatorTaskTag == WirePDU.noTag: try receive(ping: pdu, connection)
        case WirePDU.Opcode.nopIn, WirePDU.Opcode.taskManagementResponse, WirePDU.Opcode.textResponse,
            WirePDU.Opcode.logoutResponse:
            guard awaited[pdu.initiatorTaskTag] == connection.cid else {
                throw InitiatorFailure.violation("an answer on connection \(connection.cid) to no request of it", pdu)
            }
            answers[pdu.initiatorTaskTag] = pdu
        case WirePDU.Opcode.asyncMessage: asyncMessages.append(pdu)
        case WirePDU.Opcode.reject: try receive(reject: pdu, connection)
        default: throw InitiatorFailure.violation("a PDU that no target sends now", pdu)
        }
        try acknowledgeEnd(of: pdu, connection)
        if asksAgain { try askForData(of: pdu, connection) }
    }

    /// Enters the StatSN of a PDU. That of a command whose data are not all here waits: its acknowledgement would tell the
    /// target that nothing of the command will be asked for again.
    private func enterStatus(
        _ pdu: WirePDU, _ connection: InitiatorConnection
    ) throws -> InitiatorConnection.StatusOrder {
        let isOfCommand = pdu.opcode == WirePDU.Opcode.scsiResponse || pdu.opcode == WirePDU.Opcode.dataIn
        if isOfCommand, negotiated.errorRecoveryLevel > 0, let task = tasks[pdu.initiatorTaskTag], !task.isEnded,
            task.cid == connection.cid
        {
            task.statSN = pdu.statSN
            connection.askedStatSNs.insert(pdu.statSN)
            return .new
        }
        let order = try connection.enter(statSN: pdu.statSN, errorRecoveryLevel: negotiated.errorRecoveryLevel)
        if asksAgain, !connection.missingStatSNs.isEmpty { try askForStatus(connection) }
        return order
    }

    private func acknowledgeEnd(of pdu: WirePDU, _ connection: InitiatorConnection) throws {
        guard let task = tasks[pdu.initiatorTaskTag], task.isEnded, let statSN = task.statSN else { return }
        task.statSN = nil
        _ = try connection.enter(statSN: statSN, errorRecoveryLevel: negotiated.errorRecoveryLevel)
        if asksAgain, !connection.missingStatSNs.isEmpty { try askForStatus(connection) }
    }

    /// Header whole, data not: nothing of it counts, and what its header says can be asked for again.
    func receiveDamaged(_ pdu: WirePDU, on connection: InitiatorConnection) throws {
        note("damaged on", connection.cid, pdu)
        guard negotiated.errorRecoveryLevel > 0, asksAgain else { return }
        if pdu.opcode == WirePDU.Opcode.dataIn {
            tasks[pdu.initiatorTaskTag]?.askedNumbers.insert(pdu.dataSN)
            try snack(.data, tag: pdu.initiatorTaskTag, begRun: pdu.dataSN, runLength: 1, on: connection.cid)
        } else if Self.usesStatSN(pdu) {
            connection.askedStatSNs.insert(pdu.statSN)
            try snack(.status, begRun: pdu.statSN, runLength: 1, on: connection.cid)
        }
    }

    static func usesStatSN(_ pdu: WirePDU) -> Bool {
        switch pdu.opcode {
        case WirePDU.Opcode.r2t: false
        case WirePDU.Opcode.dataIn: pdu.flags & 0x01 != 0
        case WirePDU.Opcode.nopIn: pdu.initiatorTaskTag != WirePDU.noTag
        default: true
        }
    }

    /// The target's PDUs can be read by the same layer that wrote them; what it refuses to read is a fault.
    private func checkShape(_ pdu: WirePDU) throws {
        let header = pdu.header.span.bytes
        do {
            switch TargetOpcode(rawValue: pdu.opcode) {
            case .nopIn: _ = try NOPInPDU(header)
            case .scsiResponse: _ = try SCSIResponsePDU(header)
            case .taskManagementResponse: _ = try TaskManagementResponsePDU(header)
            case .textResponse: _ = try TextResponsePDU(header)
            case .dataIn: _ = try DataInPDU(header)
            case .logoutResponse: _ = try LogoutResponsePDU(header)
            case .readyToTransfer: _ = try R2TPDU(header)
            case .asyncMessage: _ = try AsyncMessagePDU(header)
            case .reject: _ = try RejectPDU(header)
            case .loginResponse, nil: throw InitiatorFailure.violation("a PDU that no target sends now", pdu)
            }
        } catch let error as PDUError {
            throw InitiatorFailure.violation("a PDU that cannot be read (\(error))", pdu)
        }
        guard pdu.header[0] & 0xC0 == 0 else { throw InitiatorFailure.violation("the first two bits of a PDU", pdu) }
    }

    // MARK: Numbers

    /// ExpCmdSN and MaxCmdSN (RFC 7143 4.2.2.1).
    private func enterCommandNumbers(_ pdu: WirePDU, _ connection: InitiatorConnection) throws {
        let expected = pdu.expCmdSN
        guard Int32(bitPattern: pdu.maxCmdSN &- (expected &- 1)) >= 0 else {
            throw InitiatorFailure.violation("MaxCmdSN before ExpCmdSN - 1", pdu)
        }
        guard Int32(bitPattern: cmdSN &- expected) >= 0 || !obeysWindow else {
            throw InitiatorFailure.violation("ExpCmdSN \(expected), and \(cmdSN) was not sent", pdu)
        }
        if let last = connection.lastExpCmdSN, Int32(bitPattern: expected &- last) < 0 {
            throw InitiatorFailure.violation("ExpCmdSN went back from \(last)", pdu)
        }
        connection.lastExpCmdSN = expected
        if Int32(bitPattern: expected &- expCmdSN) > 0 { expCmdSN = expected }
        if Int32(bitPattern: pdu.maxCmdSN &- maxCmdSN) > 0 { maxCmdSN = pdu.maxCmdSN }
    }

    /// R2T and a ping of the target's carry the next StatSN and do not use it up.
    private func checkNextStatSN(_ pdu: WirePDU, _ connection: InitiatorConnection) throws {
        guard pdu.statSN != connection.expStatSN else { return }
        guard negotiated.errorRecoveryLevel > 0 else {
            throw InitiatorFailure.violation("StatSN is not \(connection.expStatSN)", pdu)
        }
        let last = pdu.statSN &- 1
        if asksAgain, Int32(bitPattern: last &- connection.expStatSN) >= 0, !connection.statSNsAhead.contains(last) {
            let count = last &- connection.expStatSN &+ 1
            try snack(.status, begRun: connection.expStatSN, runLength: count, on: connection.cid)
        }
    }

    /// The task of a PDU; nil when it has ended and the PDU repeats what came.
    private func task(of pdu: WirePDU, _ connection: InitiatorConnection) throws -> InitiatorTask? {
        guard let task = tasks[pdu.initiatorTaskTag] else {
            if negotiated.errorRecoveryLevel > 0 { return nil }
            throw InitiatorFailure.violation("a PDU for no task", pdu)
        }
        // Connection allegiance (RFC 7143 4.2.2.1 and 4.6.3).
        guard task.cid == connection.cid else {
            throw InitiatorFailure.violation("a PDU of a task of connection \(task.cid) on \(connection.cid)", pdu)
        }
        guard !task.isEnded else {
            if negotiated.errorRecoveryLevel > 0 { return nil }
            throw InitiatorFailure.violation("a PDU for a task that has ended", pdu)
        }
        return task
    }

    // MARK: PDUs

    private func receive(dataIn pdu: WirePDU, _ connection: InitiatorConnection) throws {
        guard let task = try task(of: pdu, connection) else { return }
        let isNew = try task.receive(dataIn: pdu)
        if pdu.flags & 0x01 != 0 { try task.receive(status: pdu) }
        try task.endIfWhole()
        if isNew, pdu.flags & 0x40 != 0 { task.acknowledgements.append((pdu.targetTransferTag, pdu.lun)) }
        if asksAgain, task.missingNumbers.isEmpty {
            for (tag, lun) in task.acknowledgements {
                try acknowledge(tag: tag, lun: lun, next: task.nextNumber, on: connection.cid)
            }
            task.acknowledgements = []
        }
    }

    private func receive(r2t pdu: WirePDU, _ connection: InitiatorConnection) throws {
        guard let task = try task(of: pdu, connection), let r2t = try task.receive(r2t: pdu) else { return }
        guard !holdsR2Ts else {
            task.heldR2Ts.append(r2t)
            guard task.heldR2Ts.count <= negotiated.maxOutstandingR2T else {
                throw InitiatorFailure.violation("\(task.heldR2Ts.count) R2Ts at once", pdu)
            }
            return
        }
        for data in task.dataOut(r2t) { try send(data, on: connection.cid) }
        try task.endIfWhole()
    }

    private func receive(ping pdu: WirePDU, _ connection: InitiatorConnection) throws {
        guard options.answersPings, pdu.targetTransferTag != WirePDU.noTag else {
            pings.append(pdu)
            return
        }
        var answer = WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate)
        answer.lun = pdu.lun
        answer.initiatorTaskTag = WirePDU.noTag
        answer.targetTransferTag = pdu.targetTransferTag
        answer.cmdSN = cmdSN
        try send(answer, on: connection.cid)
    }

    private func receive(reject pdu: WirePDU, _ connection: InitiatorConnection) throws {
        guard pdu.data.count >= WirePDU.headerByteCount else {
            throw InitiatorFailure.violation("a Reject without the header of what it refuses", pdu)
        }
        let refused = WirePDU(header: [UInt8](pdu.data.prefix(WirePDU.headerByteCount)))
        let reason = pdu.header[2]
        // The target had nothing more to send.
        if refused.opcode == WirePDU.Opcode.snack, probes.contains(refused[40]) { return }
        rejects.append(Reject(cid: connection.cid, reason: reason, header: refused))
        guard let task = tasks[refused.initiatorTaskTag], !task.isEnded else { return }
        let isDigest = reason == RejectReason.dataDigestError.rawValue
        if refused.opcode == WirePDU.Opcode.dataOut {
            // The target asks for it by a recovery R2T, or ends the task with a status (RFC 7143 7.8).
            return
        }
        // Another command may have used the tag of this one.
        guard refused.opcode == WirePDU.Opcode.scsiCommand, refused.cmdSN == task.cmdSN else { return }
        if isDigest && negotiated.errorRecoveryLevel > 0 {
            // The command was not taken: its CmdSN is missed until it is sent again (RFC 7143 7.2.1).
            try send(task, on: connection.cid)
        } else {
            task.rejection = reason
        }
    }
}
