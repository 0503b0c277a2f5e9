// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import ISCSI
internal import SCSI
internal import TargetCore

/// From finished tasks and other answers to PDUs in the coalescer, and from there to the socket.
extension ISCSIConnection {
    var sequenceNumbers: SequenceNumbers {
        SequenceNumbers(statSN: statSN, expCmdSN: window.expCmdSN, maxCmdSN: window.maxCmdSN)
    }

    /// Bytes of responses that the peer has not taken yet, or more: what waits for the coalescer is counted by the
    /// memory that it holds.
    var owedByteCount: Int {
        coalescer.queuedByteCount + outbox.controlByteCount + (outbox.isEmpty ? 0 : session?.leasedByteCount ?? 0)
    }

    // MARK: In order

    /// `task` has R2Ts or its response to send.
    func enqueue(_ task: ISCSITask) {
        guard !task.isInOutbox else { return }
        if outbox.isEmpty && !isFenced && emit(task) {
            if pacing.sendsEachResponse { sendGathered() }
            if pacing.asksAtTurnEnd { planFlush() }
            return
        }
        task.isInOutbox = true
        outbox.append(.task(task, command: task.targetTransferTag))
        planFlush()
    }

    func enqueue(_ resend: Outbox.Resend) {
        outbox.append(.resend(resend))
        planFlush()
    }

    func enqueue(_ control: Outbox.ControlPDU) {
        outbox.append(.control(control))
        planFlush()
    }

    /// The end of a turn: everything that is ready leaves, or is held for a moment.
    func flush() {
        isFlushPlanned = false
        if isWorkOffPlanned {
            isWorkOffPlanned = false
            workOff()
            input.keepRest(pool: context.pool)
        }
        guard phase != .closed else { return }
        guard !isSendBlocked else {
            heldUntil = .max
            return pauseReadingIfNeeded()
        }
        emitOutbox()
        if !holds() { sendGathered() }
    }

    /// Sends what has gathered, as far as the socket takes it.
    private func sendGathered() {
        guard !isSendBlocked, phase != .closed else { return planFlush() }
        let before = (coalescer.sentPDUCount, coalescer.sentByteCount)
        defer { released(since: before) }
        while true {
            emitOutbox()
            if !sampledResponses.isEmpty { context.latencies.willSend(sampledResponses) }
            let result = unsafe coalescer.flush { unsafe stream?.send($0) ?? .failed(EPIPE) }
            if !sampledResponses.isEmpty {
                context.latencies.didSend(&sampledResponses, sentByteCount: coalescer.sentByteCount)
            }
            switch result {
            case .drained:
                if !outbox.isEmpty {
                    if isFenced { return }
                    continue
                }
                if phase == .closing { return close(reason: closingReason) }
                return resumeReadingIfPossible()
            case .blocked:
                isSendBlocked = true
                pauseReadingIfNeeded()
                return resumeReadingIfPossible()
            case .failed(let code):
                return close(reason: "send failed with errno \(code)")
            }
        }
    }

    /// Puts into PDUs what is ready, as far as there is room.
    func emitOutbox() {
        while !isFenced, let item = outbox.next {
            switch item {
            case .task(let task, let command):
                // An aborted command's entry must not speak for the next command of its task.
                guard task.targetTransferTag == command, task.isInOutbox else {
                    outbox.removeNext()
                    continue
                }
                guard emit(task) else { return }
                outbox.removeNext()
                task.isInOutbox = false
            case .control(let control):
                guard coalescer.hasRoom else { return }
                outbox.removeNext()
                emit(control)
            case .resend(let resend):
                guard emit(resend) else { return }
                outbox.removeNext()
            }
        }
    }

    // MARK: PDUs

    /// Queues what `task` has to send. False when there was not room for all of it: then it is to be called again.
    private func emit(_ task: ISCSITask) -> Bool {
        switch task.phase {
        case .gathering: emitR2Ts(task)
        case .responding: emitResponse(task)
        // It was aborted meanwhile.
        case .free, .draining, .running: true
        }
    }

    private func emitR2Ts(_ task: ISCSITask) -> Bool {
        // Nothing is asked for that there is no memory for.
        guard !task.hasShortLease else { return true }
        isUrgent = true
        while coalescer.hasRoom {
            guard let burst = task.write?.nextR2T() else { return true }
            let numbers = sequenceNumbers
            let pdu = R2TPDU(
                lun: task.scsi.lun, initiatorTaskTag: task.initiatorTaskTag,
                targetTransferTag: task.targetTransferTag, statSN: numbers.statSN, expCmdSN: numbers.expCmdSN,
                maxCmdSN: numbers.maxCmdSN, r2tSN: burst.r2tSN, bufferOffset: UInt32(burst.offset),
                desiredDataTransferLength: UInt32(burst.byteCount))
            let slot = unsafe coalescer.nextSlot()
            var header = unsafe slot.mutableBytes
            pdu.encode(into: &header)
            unsafe queueHeaderOnly(slot)
        }
        return false
    }

    private func emitResponse(_ task: ISCSITask) -> Bool {
        guard coalescer.hasRoom else { return false }
        if !task.isResponseBegun { beginResponse(task) }
        while var read = task.read {
            guard coalescer.hasRoom else { return false }
            guard let slice = read.next() else { break }
            task.read = read
            emitDataIn(task, slice)
            if slice.carriesStatus {
                if task.stamps.isSampled { responseQueued(task) }
                task.emitted()
                return true
            }
        }
        guard coalescer.hasRoom else { return false }
        emitStatus(task)
        if task.stamps.isSampled { responseQueued(task) }
        task.emitted()
        return true
    }

    /// The task has ended: counts it, and opens the window for its successor.
    private func beginResponse(_ task: ISCSITask) {
        window.commandEnded()
        task.beginResponse(parameters)
        link?.use { $0.count(task) }
    }

    func emitDataIn(_ task: ISCSITask, _ slice: DataInSlice) {
        var pdu = DataInPDU(
            lun: task.scsi.lun, initiatorTaskTag: task.initiatorTaskTag, expCmdSN: window.expCmdSN,
            maxCmdSN: window.maxCmdSN, dataSN: slice.dataSN, bufferOffset: UInt32(slice.offset),
            dataSegmentLength: UInt32(slice.byteCount), isFinal: slice.isFinal)
        if retention != nil, slice.isFinal, !slice.isLast {
            // The initiator is asked to say what it has, once a burst.
            pdu.requestsAcknowledgement = true
            pdu.targetTransferTag = task.targetTransferTag
        }
        if slice.carriesStatus {
            pdu.setStatus(task.scsi.status, statSN: statSN, residual: task.residual)
            statSN &+= 1
        }
        let slot = unsafe coalescer.nextSlot()
        var header = unsafe slot.mutableBytes
        pdu.encode(into: &header)
        task.vectorQueued()
        // The slice lies inside the task's buffer: it was cut from `toInitiatorByteCount` bytes of it.
        let end = slice.offset + slice.byteCount
        let data = unsafe UnsafeRawBufferPointer(rebasing: task.scsi.dataToInitiator[slice.offset..<end])
        unsafe queue(slot, data: data, owner: task)
    }

    private func emitStatus(_ task: ISCSITask) {
        if retention != nil { retain(task) }
        emitStatus(task, statSN: statSN)
        statSN &+= 1
    }

    /// Also for one that is sent again.
    func emitStatus(_ task: ISCSITask, statSN: UInt32) {
        let slot = unsafe coalescer.nextSlot()
        let senseByteCount = unsafe encodeSense(of: task.scsi, into: slot)
        var pdu = SCSIResponsePDU(
            initiatorTaskTag: task.initiatorTaskTag, status: task.scsi.status, statSN: statSN,
            expCmdSN: window.expCmdSN, maxCmdSN: window.maxCmdSN, expDataSN: task.expDataSN, residual: task.residual,
            dataSegmentLength: UInt32(senseByteCount))
        pdu.snackTag = task.snackTag
        var header = unsafe slot.mutableBytes
        pdu.encode(into: &header)
        unsafe queueInline(slot, dataByteCount: senseByteCount)
    }

    /// Sense data with their length in front (RFC 7143 11.4.7.2), behind the header's room in `slot`.
    private func encodeSense(of task: SCSITask, into slot: UnsafeMutableRawBufferPointer) -> Int {
        guard task.status == .checkCondition else { return 0 }
        let area = unsafe UnsafeMutableRawBufferPointer(rebasing: slot[headerByteCount...])
        let room = min(ResponseCoalescer.inlineByteCount, area.count) - 2
        var byteCount = 0
        if !task.storeSense.isEmpty {
            byteCount = min(task.storeSense.count, room)
            for index in 0..<byteCount { unsafe area[2 + index] = task.storeSense[index] }
        } else if let sense = task.sense {
            var span = unsafe UnsafeMutableRawBufferPointer(rebasing: area[2...]).mutableBytes
            byteCount = sense.encode(descriptor: task.usesDescriptorSense, into: &span)
        }
        guard byteCount > 0 else { return 0 }
        unsafe area[0] = UInt8(byteCount >> 8)
        unsafe area[1] = UInt8(byteCount & 0xFF)
        return byteCount + 2
    }

    private func emit(_ control: Outbox.ControlPDU) {
        isUrgent = true
        let pdu = control.encode(sequenceNumbers)
        let slot = unsafe coalescer.nextSlot()
        var header = unsafe slot.mutableBytes
        pdu.encode(into: &header)
        if control.advancesStatSN {
            if retention != nil { unsafe retain(UnsafeRawBufferPointer(slot), data: control.data) }
            statSN &+= 1
        }
        if control.data.count <= ResponseCoalescer.inlineByteCount {
            unsafe UnsafeMutableRawBufferPointer(rebasing: slot[headerByteCount...]).copyBytes(from: control.data)
            unsafe queueInline(slot, dataByteCount: control.data.count)
        } else {
            let payload = ControlPayload(control.data, pool: context.pool)
            let data = unsafe UnsafeRawBufferPointer(start: payload.lease.base, count: control.data.count)
            unsafe queue(slot, data: data, owner: payload)
        }
        control.whenQueued()
    }
}
