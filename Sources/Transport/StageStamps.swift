// SPDX-License-Identifier: Apache-2.0

/// When a sampled command passed the points between its stages, in nanoseconds of the monotonic clock. Lies inline in
/// its task; of a command that is not sampled only `received` is ever written, and is 0.
package struct StageStamps {
    /// The beginning of the turn that took the command from the socket.
    package var turn: UInt64 = 0
    /// Its PDU was taken from the batch; 0: the command is not sampled.
    package var received: UInt64 = 0
    /// Given to the core with all its data; 0: it ended before that.
    package var dispatched: UInt64 = 0
    /// Its latest request to the device began.
    package var requestBegan: UInt64 = 0
    /// Nanoseconds of all its requests in the device, and on their way back from another thread.
    package var handler: UInt64 = 0
    package var handBack: UInt64 = 0
    /// The last PDU of its response is in the coalescer.
    package var queued: UInt64 = 0
    /// The first attempt to send it; 0: there was none yet.
    package var sendBegan: UInt64 = 0

    package init() {}

    @inline(__always) package var isSampled: Bool { received != 0 }

    /// A request has ended. `posted`: when, if in another thread; 0 if within the submission.
    package mutating func requestEnded(posted: UInt64, now: UInt64) {
        let end = posted == 0 ? now : min(max(posted, requestBegan), now)
        handler &+= end.since(requestBegan)
        handBack &+= now.since(end)
    }

    /// The whole command, sent at `sent`. No stage is negative, whatever was not stamped, and none is counted twice.
    package func durations(sent: UInt64, into sample: inout LatencySample) {
        let taken = max(turn, received)
        let given = max(taken, dispatched)
        let ready = max(given, queued)
        let leaving = max(ready, sendBegan)
        let inCore = ready - given
        let inHandler = min(handler, inCore)
        let onTheWay = min(handBack, inCore - inHandler)
        sample[.batch] = taken - turn
        sample[.data] = given - taken
        sample[.core] = inCore - inHandler - onTheWay
        sample[.handler] = inHandler
        sample[.handBack] = onTheWay
        sample[.coalescing] = leaving - ready
        sample[.sending] = sent.since(leaving)
    }
}

extension UInt64 {
    /// Nanoseconds from `earlier` to here; 0 when it was later.
    fileprivate func since(_ earlier: UInt64) -> UInt64 { self > earlier ? self - earlier : 0 }
}
