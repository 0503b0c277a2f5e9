// SPDX-License-Identifier: Apache-2.0

/// Error recovery level 1: asking for PDUs again (RFC 7143 7.5, 11.16).
extension InitiatorSession {
    package enum SNACKKind: UInt8, Sendable {
        /// Data-In and R2T.
        case data = 0
        case status = 1
        case acknowledgement = 2
        case resegmentedData = 3
    }

    /// Sends a SNACK Request. `targetTransferTag` is the SNACK Tag of an R-Data SNACK too.
    package func snack(
        _ kind: SNACKKind, tag: UInt32 = WirePDU.noTag, targetTransferTag: UInt32 = WirePDU.noTag, lun: Int = 0,
        begRun: UInt32, runLength: UInt32, on cid: UInt16
    ) throws {
        var pdu = WirePDU(opcode: WirePDU.Opcode.snack, flags: WirePDU.final | kind.rawValue)
        pdu.lun = lun
        pdu.initiatorTaskTag = tag
        pdu.targetTransferTag = targetTransferTag
        pdu[40] = begRun
        pdu[44] = runLength
        snackCount += 1
        try send(pdu, on: cid)
    }

    /// DataACK: everything before `next` has come.
    func acknowledge(tag: UInt32, lun: Int, next: UInt32, on cid: UInt16) throws {
        try snack(.acknowledgement, targetTransferTag: tag, lun: lun, begRun: next, runLength: 0, on: cid)
    }

    /// R-Data SNACK: all data that were not acknowledged are to come again, cut anew if need be, and a SCSI Response
    /// with this SNACK Tag.
    package func askForResegmentedData(_ task: InitiatorTask, acknowledged: UInt32 = 0) throws {
        task.snackTag = makeTag()
        task.forgetData(from: acknowledged)
        try snack(
            .resegmentedData, tag: task.initiatorTaskTag, targetTransferTag: task.snackTag, begRun: 0, runLength: 0,
            on: task.cid)
    }

    /// Asks for StatSNs that are missing although later ones came.
    func askForStatus(_ connection: InitiatorConnection) throws {
        for run in connection.missingStatSNs where connection.askedStatSNs.insert(run.first).inserted {
            try snack(.status, begRun: run.first, runLength: run.count, on: connection.cid)
        }
    }

    /// Asks for data and R2Ts of the task of `pdu` that are missing although later ones came.
    func askForData(of pdu: WirePDU, _ connection: InitiatorConnection) throws {
        guard negotiated.errorRecoveryLevel > 0, let task = tasks[pdu.initiatorTaskTag], !task.isEnded,
            task.cid == connection.cid
        else { return }
        for run in task.missingNumbers where task.askedNumbers.insert(run.first).inserted {
            try snack(
                .data, tag: task.initiatorTaskTag, begRun: run.first, runLength: run.count, on: connection.cid)
        }
    }

    /// Nothing came for a while: whatever the target sent last may be lost. What it did not send it refuses to send
    /// again; such Rejects are expected.
    func askForWhatMayBeLost() throws {
        for cid in liveCIDs {
            guard let connection = connections[cid] else { continue }
            let waiting = tasks.values.filter { $0.cid == cid && !$0.isEnded }
                .sorted { $0.initiatorTaskTag < $1.initiatorTaskTag }
            for task in waiting {
                probes.insert(task.nextNumber)
                try snack(
                    .data, tag: task.initiatorTaskTag, begRun: task.nextNumber, runLength: 0, on: cid)
            }
            guard !waiting.isEmpty || awaited.values.contains(cid) else { continue }
            probes.insert(connection.expStatSN)
            try snack(.status, begRun: connection.expStatSN, runLength: 0, on: cid)
        }
    }
}

extension InitiatorTask {
    /// Data from this number on will come again.
    func forgetData(from number: UInt32) {
        pieces = pieces.filter { Int32(bitPattern: $0.key &- number) < 0 }
        nextNumber = number
        heldResponse = nil
        askedNumbers = []
    }
}
