// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI
internal import TargetCore

/// Recovery within a connection (RFC 7143 7.1.4.2 and 11.16): what was sent is kept until it is acknowledged, and is sent
/// again when the initiator asks; what came with a wrong data digest is asked for again. Error recovery levels 1 and 2.
extension ISCSIConnection {
    // MARK: Acknowledgements

    /// Every PDU of the initiator tells which status it expects next. One beyond what was sent tells nothing.
    func acknowledged(_ expStatSN: UInt32) {
        guard SerialNumber.precedes(acknowledgedStatSN, expStatSN), !SerialNumber.precedes(statSN, expStatSN)
        else { return }
        acknowledgedStatSN = expStatSN
        while let item = retention?.removeAcknowledged(by: expStatSN) { letGo(item) }
        session?.statusAcknowledged(on: self)
    }

    private func letGo(_ item: StatusRetention.Item) {
        if case .task(let task) = item { task.use { $0.letGo() } }
    }

    func retain(_ task: ISCSITask) {
        task.retain(statSN: statSN)
        retention?.append(.task(Borrowed(task)), statSN: statSN)
        limitRetention()
    }

    /// An answer that is no response of a command: `slot` begins with its header.
    func retain(_ slot: UnsafeRawBufferPointer, data: [UInt8]) {
        let header = unsafe Array(slot.prefix(BasicHeaderSegment.byteCount))
        retention?.append(.control(header: header, data: data), statSN: statSN)
        limitRetention()
    }

    private func limitRetention() {
        while retention?.isOverfull ?? false { _ = shedRetained() }
        // Who waits for memory may wait for what has just been kept.
        let isAwaited = session.map { !$0.memoryWaiters.isEmpty } ?? false
        if isAwaited || retention?.count ?? 0 >= StatusRetention.wantedEntryCount { askForAcknowledgement() }
    }

    /// The oldest answer is kept no longer. False when there is none.
    func shedRetained() -> Bool {
        guard let item = retention?.removeFirst() else { return false }
        letGo(item)
        return true
    }

    /// A NOP-In whose answer tells what the initiator has. One at a time.
    func askForAcknowledgement() {
        guard retention?.isEmpty == false, keepaliveTag == nil, phase == .fullFeature else { return }
        sendKeepalive()
    }

    // MARK: Data that came damaged

    /// The data segment of a Data-Out came with a wrong digest: it is rejected, and its bytes are asked for again.
    func dataLost(_ segment: DataSegment) {
        context.totals.protocolErrorCount += 1
        reject(header: segment.header, .dataDigestError)
        segment.task?.use { task in
            task.write?.lose(segment.placement)
            proceed(task)
        }
    }

    // MARK: SNACK

    func snack(_ received: ReceivedPDU) throws(PDUError) {
        guard let session, retention != nil else { throw .reject(.snackReject) }
        let request = try SNACKRequestPDU(received.header)
        switch request.kind {
        case .dataOrR2T: try resendDataOrR2T(request, session)
        case .status: try resendStatus(request)
        case .dataACK: try dataAcknowledged(request, session)
        case .rDataSNACK: try resendRecut(request, session)
        }
    }

    private func task(of request: SNACKRequestPDU, _ session: ISCSISession) throws(PDUError) -> ISCSITask {
        let found = session.task(initiatorTaskTag: request.initiatorTaskTag) { task in
            task.connection?.refers(to: self) ?? false
        }
        guard let found else { throw .reject(.snackReject) }
        return found
    }

    private func resendDataOrR2T(_ request: SNACKRequestPDU, _ session: ISCSISession) throws(PDUError) {
        let task = try task(of: request, session)
        if task.phase == .gathering, let write = task.write { return try resendR2Ts(request, of: task, write) }
        guard task.isResponseBegun, let read = task.read,
            // Cut anew it can be sent by an R-Data SNACK only.
            read.segmentByteCount == max(4, parameters.maxSendDataSegmentLength & ~3)
        else { throw .reject(.snackReject) }
        let sent = read.dataInCount
        let end = request.runLength == 0 ? sent : request.begRun &+ request.runLength
        guard request.begRun >= read.firstDataSN else { throw .reject(.snackReject) }
        guard request.begRun >= task.acknowledgedDataSN, request.begRun < sent, end > request.begRun, end <= sent
        else { throw .reject(.protocolError) }
        var again = read
        again.seek(to: request.begRun)
        enqueue(Outbox.Resend(task, read: again, endDataSN: end, sendsStatus: false))
    }

    private func resendR2Ts(
        _ request: SNACKRequestPDU, of task: ISCSITask, _ write: WriteTransfer
    ) throws(PDUError) {
        let count = write.r2tCount
        let end = request.runLength == 0 ? count : request.begRun &+ request.runLength
        guard request.begRun < count, end > request.begRun, end <= count else { throw .reject(.protocolError) }
        // Those that have been answered are not asked for again: few are outstanding.
        let outstandingLimit = UInt32(WriteTransfer.outstandingR2TLimit)
        let start = max(request.begRun, count > outstandingLimit ? count - outstandingLimit : 0)
        for number in start..<max(start, end) {
            guard let burst = write.outstandingR2T(number) else { continue }
            let command = task.targetTransferTag
            enqueue(
                Outbox.ControlPDU(advancesStatSN: false) { numbers in
                    R2TPDU(
                        lun: task.scsi.lun, initiatorTaskTag: task.initiatorTaskTag, targetTransferTag: command,
                        statSN: numbers.statSN, expCmdSN: numbers.expCmdSN, maxCmdSN: numbers.maxCmdSN,
                        r2tSN: burst.r2tSN, bufferOffset: UInt32(burst.offset),
                        desiredDataTransferLength: UInt32(burst.byteCount))
                })
        }
    }

    private func resendStatus(_ request: SNACKRequestPDU) throws(PDUError) {
        let end = request.runLength == 0 ? statSN : request.begRun &+ request.runLength
        guard let oldest = retention?.oldestStatSN, !SerialNumber.precedes(request.begRun, oldest),
            SerialNumber.precedes(request.begRun, end), !SerialNumber.precedes(statSN, end)
        else { throw .reject(.snackReject) }
        var number = request.begRun
        while number != end {
            switch retention?.item(statSN: number) {
            case .task(let task)?: task.use { resendStatus(of: $0) }
            case .control(let header, let data)?:
                enqueue(
                    Outbox.ControlPDU(advancesStatSN: false, data: data) { numbers in
                        RepeatedPDU(header: header, numbers: numbers)
                    })
            case nil: break
            }
            number &+= 1
        }
    }

    private func resendStatus(of task: ISCSITask) {
        guard let read = task.read else {
            return enqueue(
                Outbox.Resend(task, read: ReadTransfer.nothing, endDataSN: 0, sendsStatus: true))
        }
        enqueue(Outbox.Resend(task, read: read, endDataSN: read.dataInCount, sendsStatus: true))
    }

    /// DataACK: the Data-Ins before BegRun have come.
    private func dataAcknowledged(_ request: SNACKRequestPDU, _ session: ISCSISession) throws(PDUError) {
        guard let found = session.task(targetTransferTag: request.targetTransferTag) else { return }
        try found.use { task throws(PDUError) in
            guard task.connection?.refers(to: self) ?? false, let sent = task.read?.dataInCount,
                request.begRun <= sent, request.runLength == 0
            else { throw .reject(.invalidDataACK) }
            task.acknowledgedDataSN = max(task.acknowledgedDataSN, request.begRun)
        }
    }

    /// R-Data SNACK: the initiator takes segments of another length now, and wants all that it has not acknowledged cut
    /// anew; the status follows again, with its tag.
    private func resendRecut(_ request: SNACKRequestPDU, _ session: ISCSISession) throws(PDUError) {
        let task = try task(of: request, session)
        guard task.isResponseBegun, var read = task.read, request.begRun == 0, request.runLength == 0 else {
            throw .reject(.snackReject)
        }
        read.seek(to: task.acknowledgedDataSN)
        read.recut(maxDataSegmentLength: parameters.maxSendDataSegmentLength)
        task.snackTag = request.targetTransferTag
        guard task.isStatusSent else {
            task.read = read
            return
        }
        var whole = read
        while whole.next() != nil {}
        task.read = whole
        enqueue(Outbox.Resend(task, read: read, endDataSN: whole.dataInCount, sendsStatus: true))
    }

    /// Queues what was asked for again. False when there was not room for all of it: then it is to be called again.
    func emit(_ resend: Outbox.Resend) -> Bool {
        let task = resend.task
        isUrgent = true
        // It has been acknowledged meanwhile, or is on another connection.
        guard task.targetTransferTag == resend.command, task.phase == .responding,
            task.connection?.refers(to: self) ?? false
        else { return true }
        while resend.read.dataInCount < resend.endDataSN {
            guard coalescer.hasRoom else { return false }
            guard let slice = resend.read.next() else { break }
            emitDataIn(task, slice)
        }
        guard resend.sendsStatus else { return true }
        guard coalescer.hasRoom else { return false }
        emitStatus(task, statSN: task.statSN)
        return true
    }
}
