// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import ISCSI
internal import SCSI
internal import TargetCore

/// Requests that are not SCSI commands, and their answers.
extension ISCSIConnection {
    // MARK: NOP (RFC 7143 11.18, 11.19)

    func nopOut(_ pdu: ReceivedPDU) throws(PDUError) {
        let request = try NOPOutPDU(pdu.header)
        if request.targetTransferTag != BasicHeaderSegment.reservedTag, request.targetTransferTag == keepaliveTag {
            keepaliveTag = nil
            if SerialNumber.precedes(keepaliveStatSN, statSN) { session?.askAgain(self) }
        }
        guard request.initiatorTaskTag != BasicHeaderSegment.reservedTag else { return }
        // The ping's data come back, as much as the peer takes in one PDU.
        let data = Array(pdu.data.prefix(parameters.maxSendDataSegmentLength))
        enqueue(
            Outbox.ControlPDU(advancesStatSN: true, data: data) { numbers in
                NOPInPDU(
                    lun: request.lun, initiatorTaskTag: request.initiatorTaskTag,
                    targetTransferTag: BasicHeaderSegment.reservedTag, numbers: numbers,
                    dataSegmentLength: UInt32(data.count))
            })
    }

    /// Asks the peer whether it is there.
    func sendKeepalive() {
        keepaliveCount &+= 1
        let tag = keepaliveCount & ~Self.keepaliveTagFlag
        keepaliveTag = tag
        keepaliveStatSN = statSN
        keepaliveTime = context.loop.now
        enqueue(
            Outbox.ControlPDU(advancesStatSN: false) { numbers in
                NOPInPDU(
                    lun: LogicalUnitNumber(0), initiatorTaskTag: BasicHeaderSegment.reservedTag,
                    targetTransferTag: tag, numbers: numbers)
            })
    }

    /// Kept zero in a keepalive's tag, so that it never is the reserved one.
    private static let keepaliveTagFlag: UInt32 = 0x8000_0000

    // MARK: Text (RFC 7143 11.10, 11.11)

    func textRequest(_ pdu: ReceivedPDU) throws(PDUError) {
        let request = try TextRequestPDU(pdu.header)
        let answer = try text.receive(
            request, text: pdu.data, parameters: &parameters, sessionTarget: session?.name.targetName
        ) { scope in sendTargets(scope) }
        enqueue(
            Outbox.ControlPDU(advancesStatSN: true, data: answer.text) { numbers in answer.pdu(numbers) })
    }

    /// The targets of `scope` that the peer may use, and where.
    private func sendTargets(_ scope: SendTargets.Scope) -> [SendTargets.Record] {
        guard let visitor else { return [] }
        return DiscoveryAnswer.records(
            scope, for: visitor, policy: context.server.served.policy, portals: context.server.portals, local: local)
    }

    // MARK: Reject (RFC 7143 11.17)

    func reject(_ pdu: ReceivedPDU, _ reason: RejectReason) {
        reject(header: pdu.headerCopy, reason)
    }

    /// `header`: of the PDU that is rejected.
    func reject(header: [UInt8], _ reason: RejectReason) {
        enqueue(
            Outbox.ControlPDU(advancesStatSN: true, data: header) { numbers in
                RejectPDU(reason: reason, numbers: numbers, dataSegmentLength: UInt32(header.count))
            })
    }
}
