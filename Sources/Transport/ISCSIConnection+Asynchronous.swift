// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI

/// What the target tells unasked (RFC 7143 11.9).
extension ISCSIConnection {
    /// A SCSI asynchronous event (RFC 7143 11.9.1 and 11.9.4): the same condition as the unit attention that waits for the
    /// next command, told at once. Sense data with their length in front.
    func sendSCSIEvent(_ sense: SenseData) {
        var bytes = [UInt8](repeating: 0, count: Self.senseByteLimit)
        let byteCount = unsafe bytes.withUnsafeMutableBytes { memory in
            var span = unsafe memory.mutableBytes
            return sense.encode(descriptor: false, into: &span)
        }
        let data = [UInt8(byteCount >> 8), UInt8(byteCount & 0xFF)] + bytes.prefix(byteCount)
        sendAsyncMessage(.scsiAsynchronousEvent, data: data)
    }

    private static let senseByteLimit = 252

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
