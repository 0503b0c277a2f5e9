// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import ISCSI
internal import SCSI
internal import TargetCore

/// SCSI Command and Data-Out PDUs: from the wire to the core.
extension ISCSIConnection {
    /// Whether the data segment of a PDU that is not whole can go into place as it comes.
    func takesDataInPieces(_ pdu: ReceivedPDU) -> Bool {
        guard phase == .fullFeature, session != nil else { return false }
        switch pdu.opcode {
        case .dataOut:
            return !held.holds(initiatorTaskTag: pdu.initiatorTaskTag)
        case .scsiCommand:
            // One ahead of its turn is held whole; one whose data digest may be wrong has never come (RFC 7143 7.8).
            guard retention == nil else { return false }
            return pdu.isImmediate || pdu.cmdSN == window.expCmdSN
        default:
            return false
        }
    }

    func beginDataSegment(_ pdu: ReceivedPDU) throws(PDUError) -> DataSegment {
        guard pdu.opcode == .dataOut else { return try command(pdu) }
        var segment = try dataOut(pdu)
        if retention != nil, segment.hasDigest { segment.header = pdu.headerCopy }
        return segment
    }

    // MARK: SCSI Command

    /// Starts a command and says where its immediate data go.
    func command(_ received: ReceivedPDU) throws(PDUError) -> DataSegment {
        guard let link else { throw .reject(.protocolError) }
        return try link.use { session throws(PDUError) in try command(received, session) }
    }

    private func command(_ received: ReceivedPDU, _ session: ISCSISession) throws(PDUError) -> DataSegment {
        // The number counts even if the request is then refused.
        switch window.receive(cmdSN: received.cmdSN, isImmediate: received.isImmediate) {
        case .deliver: break
        case .hold, .ignore: return DataSegment(forgetting: received.frame)
        }
        let pdu = try SCSICommandPDU(received.header, additionalHeaderSegments: received.additionalHeaders)
        guard !session.isInUse(initiatorTaskTag: pdu.initiatorTaskTag) else { throw .reject(.taskInProgress) }
        guard !pdu.isImmediate || session.activeTaskCount < session.taskLimit,
            let task = session.takeTask()
        else {
            if pdu.isImmediate { throw .reject(.immediateCommandReject) }
            // The window never lets so many in, unless the peer does not take its responses.
            throw .dropConnection(.tooManyTasks)
        }
        return try task.use { task throws(PDUError) in try begin(task, pdu, received, session) }
    }

    private func begin(
        _ task: ISCSITask, _ pdu: SCSICommandPDU, _ received: ReceivedPDU, _ session: ISCSISession
    ) throws(PDUError) -> DataSegment {
        session.commandCount &+= 1
        task.begin(pdu, on: self, sequence: session.commandCount)
        session.enter(task, initiatorTaskTag: pdu.initiatorTaskTag)
        task.scsi.allowsMappedData = !framer.hasDataDigest && retention == nil
        // What it changes must not show in the data of commands before it.
        if pdu.attribute == SCSICommandPDU.Attribute.ordered { session.settleMappedReads() }
        if context.latencies.isDue() { task.beSampled(in: context) }
        requestCount += 1
        window.commandStarted()
        let acceptance = session.nexus.use { $0.accept(task.scsi) }
        let wanted = acceptance == .accepted ? task.scsi.plan.fromInitiator : 0
        do throws(PDUError) {
            if pdu.writes, !bringsAllData(pdu, received, task, wanted: wanted, session) {
                task.write = try WriteTransfer(
                    expectedLength: task.expectedFromInitiator, wanted: wanted,
                    immediateByteCount: received.frame.dataByteCount, unsolicitedFollows: !pdu.isFinal,
                    parameters: session.parameters)
                task.hasWrite = true
            }
        } catch {
            // The peer broke the rules of data transfer: the command never was.
            window.commandEnded()
            if acceptance == .accepted { session.nexus.object.cancel(task.scsi) }
            session.release(task)
            throw error
        }
        task.phase = acceptance == .accepted ? .gathering : .draining
        if acceptance == .accepted, received.isWhole, lendsBatch(to: task, received) {
            return DataSegment(for: task, frame: received.frame, offset: 0, placeByteCount: 0)
        }
        if acceptance == .accepted {
            let hasEarly = pdu.writes && (received.frame.dataByteCount > 0 || !pdu.isFinal)
            let early = hasEarly ? min(wanted, session.parameters.firstBurstLength) : 0
            session.leaseBuffer(for: task, earlyByteCount: early)
        }
        return DataSegment(
            for: task, frame: received.frame, offset: 0, placeByteCount: task.receivedByteCount)
    }

    /// Whether a command that writes has all its data with it, by the rules of the session: nothing is to be kept of their
    /// transfer then but their length.
    private func bringsAllData(
        _ pdu: SCSICommandPDU, _ received: ReceivedPDU, _ task: ISCSITask, wanted: Int, _ session: ISCSISession
    ) -> Bool {
        let byteCount = received.frame.dataByteCount
        guard pdu.isFinal, byteCount > 0, byteCount == task.expectedFromInitiator, byteCount == wanted,
            byteCount <= session.parameters.firstBurstLength, session.parameters.immediateData
        else { return false }
        task.wholeByteCount = byteCount
        return true
    }

    /// Whether `task` takes its data straight from the received batch: a write whose data have all come, over a
    /// device that needs them no longer than `execute` takes.
    private func lendsBatch(to task: ISCSITask, _ received: ReceivedPDU) -> Bool {
        guard task.scsi.plan.takesDataAtOnce, task.wholeByteCount > 0,
            task.wholeByteCount == task.scsi.plan.bufferByteCount
        else { return false }
        // Only read: a task that takes data from the initiator gives none back.
        unsafe task.scsi.buffer = UnsafeMutableRawBufferPointer(mutating: received.dataAtHand)
        task.hasLentBuffer = true
        return true
    }

    // MARK: Data-Out

    /// Says where the data of a Data-Out go. Data of a command that is no more are forgotten.
    func dataOut(_ received: ReceivedPDU) throws(PDUError) -> DataSegment {
        guard let link else { throw .reject(.protocolError) }
        let pdu = try DataOutPDU(received.header)
        let found =
            pdu.isUnsolicited
            ? link.use { $0.task(unsolicitedFor: pdu.initiatorTaskTag) }
            : link.use { $0.task(targetTransferTag: pdu.targetTransferTag) }
        guard let found else { return DataSegment(forgetting: received.frame) }
        return try found.use { task throws(PDUError) in try dataOut(received, pdu, for: task) }
    }

    private func dataOut(
        _ received: ReceivedPDU, _ pdu: DataOutPDU, for task: ISCSITask
    ) throws(PDUError) -> DataSegment {
        // Data come by the connection of their command (RFC 7143 4.2.5.1).
        guard task.initiatorTaskTag == pdu.initiatorTaskTag, task.connection?.refers(to: self) ?? false,
            task.phase == .gathering || task.phase == .draining
        else { return DataSegment(forgetting: received.frame) }
        // Solicited data have been asked for only after the whole buffer was leased.
        guard pdu.isUnsolicited || !task.hasShortLease else { throw .reject(.protocolError) }
        guard let placement = try task.write?.receive(pdu) else { return DataSegment(forgetting: received.frame) }
        return DataSegment(
            for: task, frame: received.frame, offset: placement.offset, placeByteCount: placement.byteCount)
    }

    /// The data segment of a PDU has come whole.
    func dataArrived(for task: ISCSITask, digestMatches: Bool) {
        if !digestMatches { task.hasDigestError = true }
        proceed(task)
        // It has to wait: the batch does not.
        if task.hasLentBuffer { link?.use { $0.keepLentBuffer(of: task) } }
    }

    /// Moves a command on as far as it can go: more data, memory, or the core.
    func proceed(_ task: ISCSITask) {
        link?.use { proceed(task, $0) }
    }

    private func proceed(_ task: ISCSITask, _ session: ISCSISession) {
        if task.hasWrite, task.write?.awaitsUnsolicited == true { return }
        switch task.phase {
        case .draining:
            task.phase = .responding
            session.respond(task, on: Borrowed(self))
        case .gathering:
            if task.hasDigestError {
                // RFC 7143 7.8: at error recovery level 0 the command ends, and says why.
                fail(task, .protocolServiceCRCError)
            } else if task.hasWrite, let failure = task.write?.failure {
                if task.write?.isFailed == true { fail(task, failure) }
            } else if task.hasShortLease {
                session.waitForMemory(task)
            } else if task.hasWrite, task.write?.isComplete == false {
                enqueue(task)
            } else {
                task.phase = .running
                task.scsi.receivedByteCount = task.receivedByteCount
                if task.stamps.isSampled { task.stamps.dispatched = context.latencies.now() }
                session.nexus.use { $0.execute(task.scsi) }
            }
        case .free, .running, .responding:
            break
        }
    }

    private func fail(_ task: ISCSITask, _ failure: WriteTransfer.Failure) {
        task.phase = .running
        let sense: SenseData =
            switch failure {
            case .unexpectedUnsolicitedData: .unexpectedUnsolicitedData
            case .incorrectAmountOfData: .notEnoughUnsolicitedData
            case .protocolServiceCRCError: .protocolServiceCRCError
            }
        session?.nexus.object.fail(task.scsi, sense)
    }

    /// The task's buffer is now at `target`; data on their way to it follow.
    func moveSegment(
        of task: ISCSITask, from source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer
    ) {
        guard segment?.task?.refers(to: task) == true else { return }
        takePlaceBack()
        guard let place = unsafe segment?.target else { return }
        // Both hold the bytes up to the end of the segment.
        unsafe segment?.target = target + (place - source)
    }

    /// The task's buffer is gone: data on their way to it are forgotten.
    func forget(_ task: ISCSITask) {
        guard segment?.task?.refers(to: task) == true else { return }
        takePlaceBack()
        segment?.forget()
    }

    /// The place of the segment under way is about to move or to go: the kernel lets go of it, and what it has
    /// written there counts as received.
    private func takePlaceBack() {
        guard let count = stream?.revokePlace(), count > 0 else { return }
        receivedByteCount += UInt64(count)
        advanceSegment(count)
        // That may have been the end of its PDU, and nothing else would say so.
        planWorkOff()
    }
}
