// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import SCSI
internal import TargetCore

/// The two ends of a sampled command.
extension ISCSITask {
    /// The command that has just begun carries stamps.
    func beSampled(in context: LoopContext) {
        stamps = context.latencies.begin(turn: context.loop.now)
        scsi.request.isTimed = true
    }
}

extension ISCSIConnection {
    /// The last PDU of a sampled command's response is in the coalescer.
    func responseQueued(_ task: ISCSITask) {
        guard let session else { return }
        var sample = LatencySample()
        sample.session = session.statisticsNumber
        if let unit = unsafe session.counted(task.scsi.lun) { sample.unit = unsafe unit.pointee.number }
        context.latencies.queued(
            task.stamps, sample, endByteOffset: coalescer.sentByteCount + UInt64(coalescer.queuedByteCount),
            in: &sampledResponses)
    }
}
