// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI

/// What the target tells unasked (RFC 7143 11.9).
extension ISCSIConnection {
    func sendAsyncMessage(
        _ event: AsyncEvent, lun: LogicalUnitNumber = LogicalUnitNumber(rawValue: 0), data: [UInt8] = []
    ) {
        guard phase == .fullFeature else { return }
        enqueue(
            Outbox.ControlPDU(advancesStatSN: true, data: data) { numbers in
                AsyncMessagePDU(event: event, lun: lun, numbers: numbers, dataSegmentLength: UInt32(data.count))
            })
    }
}
