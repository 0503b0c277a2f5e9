// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI
internal import Synchronization
public import TargetCore

// Commands whose end is wanted soon. What still waits in a queue of ours ends when its turn comes, without the handler
// (HandlerCallouts.swift); what the handler has is its own business: it may be told.
extension HandlerDevice {
    public func cancel(_ request: BlockRequest) {
        guard handler.handlerExtension.canCancel else { return }
        // The request is the device's until it completes, and the caller's loop alone would begin it again.
        let record = unsafe CommandRecord.current(in: request)
        guard let turn = unsafe record.pin() else { return }
        cancelCount.add(1, ordering: .relaxed)
        unsafe handler.handlerExtension.cancel(device, record.command)
        guard let status = unsafe record.unpin(turn: turn) else { return }
        unsafe finish(record, status)
    }

    public func cancelIfOverdue(_ request: BlockRequest) {
        guard watch.isOverdue(unsafe CommandRecord.current(in: request).ticket) else { return }
        cancel(request)
    }

    /// Called when commands have been under way for longer than the device's time-out, once in each such period, from
    /// a thread of the device: whoever owns them calls `cancelIfOverdue` for each.
    public var onOverdue: (@Sendable () -> Void)? {
        get { overdueListener.withLock { $0 } }
        set { overdueListener.withLock { $0 = newValue } }
    }

    func commandsAreOverdue() {
        if handler.handlerExtension.canCancel { onOverdue?() }
    }
}
