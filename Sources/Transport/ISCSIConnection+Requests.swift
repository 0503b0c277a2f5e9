// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI
internal import TargetCore

/// The full feature phase's requests, one function each.
extension ISCSIConnection {
    func handle(_ pdu: ReceivedPDU, dataDigestMatches: Bool) throws(PDUError) {
        if phase == .login { return try handleLogin(pdu) }
        // Also after a request that is refused: its number may have closed a gap.
        defer { deliverHeld() }
        try handleOne(pdu, dataDigestMatches: dataDigestMatches)
    }

    private func handleOne(_ pdu: ReceivedPDU, dataDigestMatches: Bool) throws(PDUError) {
        if tracksStatus { acknowledged(BasicHeaderSegment.expStatSN(of: pdu.header)) }
        guard let opcode = pdu.opcode else { throw .reject(.commandNotSupported) }
        switch opcode {
        case .scsiCommand, .dataOut:
            try handleData(pdu, opcode, dataDigestMatches)
        case .snackRequest:
            try snack(pdu)
        case .login:
            throw .reject(.protocolError)
        case .nopOut, .taskManagement, .text, .logout:
            guard dataDigestMatches else { throw .reject(.dataDigestError) }
            try handleInOrder(pdu, opcode)
        }
    }

    /// A request that carries a CmdSN and no command.
    private func handleInOrder(_ pdu: ReceivedPDU, _ opcode: InitiatorOpcode) throws(PDUError) {
        // A NOP-Out that answers ours, or wants no answer, has no number of its own to count.
        if opcode == .nopOut && pdu.initiatorTaskTag == BasicHeaderSegment.reservedTag {
            return try nopOut(pdu)
        }
        switch window.receive(cmdSN: pdu.cmdSN, isImmediate: pdu.isImmediate) {
        case .deliver: break
        case .hold: return hold(pdu)
        case .ignore: return
        }
        switch opcode {
        case .nopOut: try nopOut(pdu)
        case .taskManagement: try taskManagement(pdu)
        case .text: try textRequest(pdu)
        case .logout: try logout(pdu)
        case .scsiCommand, .dataOut, .login, .snackRequest: break
        }
    }

    /// A whole SCSI Command or Data-Out.
    private func handleData(
        _ pdu: ReceivedPDU, _ opcode: InitiatorOpcode, _ dataDigestMatches: Bool
    ) throws(PDUError) {
        // A command whose data are no good has never come; its initiator sends it again (RFC 7143 7.8).
        if !dataDigestMatches, retention != nil, opcode == .scsiCommand { throw .reject(.dataDigestError) }
        if opcode == .dataOut {
            if held.holds(initiatorTaskTag: pdu.initiatorTaskTag) {
                let copy = HeldRequests.HeldPDU(pdu, dataDigestMatches: dataDigestMatches)
                held.hold(dataOutFor: pdu.initiatorTaskTag, copy)
                return waitForGap()
            }
        } else if !pdu.isImmediate && pdu.cmdSN != window.expCmdSN {
            var ahead = window
            if case .hold = ahead.receive(cmdSN: pdu.cmdSN, isImmediate: false) { hold(pdu, dataDigestMatches) }
            return
        }
        let segment = opcode == .dataOut ? try dataOut(pdu) : try command(pdu)
        guard let task = segment.task else { return }
        if !dataDigestMatches, retention != nil {
            var lost = segment
            lost.header = pdu.headerCopy
            return dataLost(lost)
        }
        if let target = unsafe segment.target, let source = unsafe pdu.dataAtHand.baseAddress {
            // Safe: the segment's place is inside the task's lease, and the PDU is whole.
            unsafe target.copyMemory(from: source, byteCount: segment.placeByteCount)
        }
        task.use { dataArrived(for: $0, digestMatches: dataDigestMatches) }
    }

    private func hold(_ pdu: ReceivedPDU, _ dataDigestMatches: Bool = true) {
        let copy = HeldRequests.HeldPDU(pdu, dataDigestMatches: dataDigestMatches)
        held.hold(cmdSN: pdu.cmdSN, initiatorTaskTag: pdu.initiatorTaskTag, of: self, copy)
        waitForGap()
    }

    /// Enough is held: another connection must bring what is missing first. If there is none, the peer is wrong.
    private func waitForGap() {
        guard held.isFull else { return }
        guard session?.hasSeveralConnections ?? false else {
            return close(reason: "it sent too much ahead of a missing command", isPeersFault: true)
        }
        isGapPaused = true
        updateInterest()
    }

    func resumeAfterGap() {
        guard isGapPaused, !held.isFull, phase != .closed else { return }
        isGapPaused = false
        updateInterest()
        if !input.isEmpty { planWorkOff() }
    }

    /// The gap before held requests may have closed.
    func deliverHeld() {
        if hasOrderWaits { order.endWaits() }
        guard !held.isEmpty, phase == .fullFeature, !isReadStopped else { return }
        while let taken = held.take(cmdSN: window.expCmdSN) {
            // A number without a request: its command was aborted before it came.
            guard let connection = taken.connection else {
                _ = window.receive(cmdSN: window.expCmdSN, isImmediate: false)
                continue
            }
            // What it brought has never come: the initiator may send it again by another connection.
            guard connection.phase == .fullFeature, !connection.isReadStopped else { continue }
            for pdu in taken.pdus { connection.handleHeld(pdu) }
        }
        if hasOrderWaits { order.endWaits() }
        session?.resumeAfterGap()
    }

    private func handleHeld(_ held: HeldRequests.HeldPDU) {
        guard phase == .fullFeature else { return }
        unsafe held.bytes.withUnsafeBytes { bytes in
            let pdu = unsafe ReceivedPDU(frame: held.frame, bytes: bytes)
            do throws(PDUError) {
                try handleOne(pdu, dataDigestMatches: held.dataDigestMatches)
            } catch {
                failed(pdu, error)
            }
        }
    }
}
