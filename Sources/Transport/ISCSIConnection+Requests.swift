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
        guard let opcode = pdu.opcode else { throw .reject(.commandNotSupported) }
        switch opcode {
        case .scsiCommand, .dataOut:
            try handleData(pdu, opcode, dataDigestMatches)
        case .snackRequest:
            // Error recovery level 0 has no SNACK (RFC 7143 11.16).
            throw .reject(.snackReject)
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
        if opcode == .dataOut {
            if held.holds(initiatorTaskTag: pdu.initiatorTaskTag) {
                let copy = HeldRequests.HeldPDU(pdu, dataDigestMatches: dataDigestMatches)
                guard held.hold(dataOutFor: pdu.initiatorTaskTag, copy) else {
                    throw .dropConnection(.tooMuchHeld)
                }
                return
            }
        } else if !pdu.isImmediate && pdu.cmdSN != window.expCmdSN {
            var ahead = window
            if case .hold = ahead.receive(cmdSN: pdu.cmdSN, isImmediate: false) { hold(pdu, dataDigestMatches) }
            return
        }
        let segment = opcode == .dataOut ? try dataOut(pdu) : try command(pdu)
        guard let task = segment.task else { return }
        if let target = unsafe segment.target, let source = unsafe pdu.dataAtHand.baseAddress {
            // Safe: the segment's place is inside the task's lease, and the PDU is whole.
            unsafe target.copyMemory(from: source, byteCount: segment.placeByteCount)
        }
        task.use { dataArrived(for: $0, digestMatches: dataDigestMatches) }
    }

    private func hold(_ pdu: ReceivedPDU, _ dataDigestMatches: Bool = true) {
        let copy = HeldRequests.HeldPDU(pdu, dataDigestMatches: dataDigestMatches)
        guard held.hold(cmdSN: pdu.cmdSN, initiatorTaskTag: pdu.initiatorTaskTag, copy) else {
            return close(reason: "it sent too much ahead of a missing command", isPeersFault: true)
        }
    }

    /// The gap before held requests may have closed.
    func deliverHeld() {
        while !held.isEmpty, phase == .fullFeature, !isReadStopped, let pdus = held.take(cmdSN: window.expCmdSN) {
            // A number without a request: its command was aborted before it came.
            if pdus.isEmpty { _ = window.receive(cmdSN: window.expCmdSN, isImmediate: false) }
            for each in pdus {
                unsafe each.bytes.withUnsafeBytes { bytes in
                    let pdu = unsafe ReceivedPDU(frame: each.frame, bytes: bytes)
                    do throws(PDUError) {
                        try handle(pdu, dataDigestMatches: each.dataDigestMatches)
                    } catch {
                        failed(pdu, error)
                    }
                }
            }
        }
    }
}
