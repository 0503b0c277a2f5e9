// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import ISCSI
internal import TargetCore

/// Where the coalescing policy meets the connection: once at the end of each turn, and once for each send.
extension ISCSIConnection {
    /// Whether what has gathered is held beyond this turn. Then the loop comes back at the deadline, and any turn of
    /// this connection before that asks again.
    func holds() -> Bool {
        let requests = requestCount
        requestCount = 0
        guard phase == .fullFeature, !isUrgent, outbox.isEmpty else { return false }
        let decision = pacing.turnEnded(
            now: context.loop.now, queuedResponses: coalescer.queuedPDUCount,
            queuedByteCount: coalescer.queuedByteCount, inFlight: Int(window.commandsUnderWay),
            requestsThisTurn: requests)
        guard case .hold(let deadline) = decision else { return false }
        if heldUntil == .max { context.hold(self) }
        heldUntil = deadline
        return true
    }

    /// A send has been tried; `before` are the coalescer's counts of PDUs and bytes from then.
    func released(since before: (pduCount: UInt64, byteCount: UInt64)) {
        heldUntil = .max
        isUrgent = false
        let pduCount = coalescer.sentPDUCount &- before.pduCount
        guard pduCount > 0 else { return }
        pacing.sent(
            now: context.loop.now, responses: Int(pduCount),
            byteCount: Int(coalescer.sentByteCount &- before.byteCount))
    }

    // MARK: SCST's rule, for comparison

    func classicPDURead() {
        if let action = classicRule?.pduRead() { perform(action) }
    }

    func classicDrained() {
        if let action = classicRule?.drained() { perform(action) }
    }

    private func perform(_ action: ClassicNagleRule.Action) {
        switch action {
        case .none: break
        case .gather: setNoDelay(false)
        case .flush: setNoDelay(true)
        case .flushAndGather:
            setNoDelay(true)
            setNoDelay(false)
        }
    }

    private func setNoDelay(_ isOn: Bool) {
        _ = clinux_set_option(socket.descriptor, clinux_ipproto_tcp, TCP_NODELAY, isOn ? 1 : 0)
    }
}
