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
        sample.target = session.statisticsTarget
        // Logical units without a flat number are no units of ours.
        sample.lun = UInt32(task.scsi.lun.flatIndex ?? Int(UInt32.max))
        context.latencies.queued(
            task.stamps, sample, endByteOffset: coalescer.sentByteCount + UInt64(coalescer.queuedByteCount),
            in: &sampledResponses)
    }
}
