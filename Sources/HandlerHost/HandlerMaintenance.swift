// SPDX-License-Identifier: Apache-2.0

internal import CHandlerHost
internal import CLinux
internal import HandlerABI
internal import Synchronization
internal import TargetCore

// What happens besides commands: a lost connection, events, a new size, commands that take too long.
extension HandlerDevice {
    private static let reopenNanoseconds: UInt64 = 1_000_000_000

    private enum Work { case stop, recover, reportEvent, lookAtSpace, period }

    /// tcmu_notify_*, from any thread, perhaps from within a callout: only leaves word.
    func handlerReported(_ event: tcmur_event) {
        condition.withLock {
            switch event {
            case TCMUR_EVT_CONN_LOST, TCMUR_EVT_CMD_TIMED_OUT: isConnectionLost = true
            default: break
            }
            hasEvent = true
            condition.broadcast()
        }
    }

    /// tcmur_dev_update_size, from any thread. Inside open it is read afterwards.
    func handlerChangedSize(_ byteCount: UInt64) {
        if stage.load(ordering: .acquiring) == Stage.open { capacityChanged() }
    }

    /// Gives the store a new size, if its handler can. May block.
    public func resize(byteCount: UInt64) throws(HandlerDeviceError) {
        func refusal(_ reason: String) -> HandlerDeviceError {
            .cannotResize(configString: configString, reason: reason)
        }
        guard let reconfigure = unsafe handler.callouts.reconfig else {
            throw refusal("the handler \(handler.subtype) cannot change a store's size")
        }
        guard byteCount > 0, byteCount % UInt64(blockByteCount) == 0, byteCount <= UInt64(Int64.max) else {
            throw refusal("\(byteCount) bytes is no multiple of its block size of \(blockByteCount)")
        }
        if byteCount / UInt64(blockByteCount) == blockCount { return }
        let result: Int32? = lifeCycle.withLock {
            guard isOpenInHandler else { return nil }
            var change = unsafe tcmulib_cfg_info()
            unsafe change.type = TCMULIB_CFG_DEV_SIZE
            unsafe change.data.dev_size = byteCount
            // The record is the handler's for the length of the call.
            let result = unsafe reconfigure(device, &change)
            return result != 0 ? result : unsafe martlet_host_device_set_byte_count(device, byteCount)
        }
        guard let result else { throw .isClosed(configString: configString) }
        guard result == 0 else { throw refusal("its handler says: \(SystemFiles.words(for: abs(result)))") }
        capacityChanged()
    }

    /// The body of the maintenance thread.
    func maintain() {
        let period = UInt64(clamping: configuration.commandTimeoutSeconds).multipliedReportingOverflow(
            by: 1_000_000_000)
        let periodNanoseconds = period.overflow || period.partialValue == 0 ? nil : period.partialValue
        var deadline = periodNanoseconds.map { clinux_monotonic_nanoseconds() + $0 }
        var toldOverdue: [CommandWatch.Overdue] = []
        var spaceDeadline = configuration.watchesSpace ? clinux_monotonic_nanoseconds() : nil
        while true {
            switch nextWork(until: deadline, spaceDeadline) {
            case .stop: return
            case .recover: recover()
            case .reportEvent: reportEvent()
            case .lookAtSpace:
                lookAtSpace()
                if spaceDeadline != nil { spaceDeadline = clinux_monotonic_nanoseconds() + Self.spaceNanoseconds }
            case .period:
                deadline = periodNanoseconds.map { clinux_monotonic_nanoseconds() + $0 }
                let overdue = watch.periodEnded()
                hasOverdue.store(!overdue.isEmpty, ordering: .relaxed)
                if overdue != toldOverdue { report(overdue) }
                toldOverdue = overdue
                if !overdue.isEmpty { commandsAreOverdue() }
            }
        }
    }

    /// `spaceDeadline`: when the storage is to be looked at; nil: when somebody asks.
    private func nextWork(until deadline: UInt64?, _ spaceDeadline: UInt64?) -> Work {
        condition.withLock {
            while true {
                if isStopping { return .stop }
                if isConnectionLost { return .recover }
                if hasEvent {
                    hasEvent = false
                    return .reportEvent
                }
                let now = clinux_monotonic_nanoseconds()
                if isSpaceWanted || spaceDeadline.map({ now >= $0 }) ?? false {
                    isSpaceWanted = false
                    return .lookAtSpace
                }
                if let deadline, now >= deadline { return .period }
                guard let next = [deadline, spaceDeadline].compactMap({ $0 }).min() else {
                    condition.wait()
                    continue
                }
                condition.wait(until: next)
            }
        }
    }

    private func report(_ overdue: [CommandWatch.Overdue]) {
        for entry in overdue {
            diagnostics.report(
                .warning,
                "\(configString): \(entry.count) \(entry.operation) command(s) under way for more than "
                    + "\(configuration.commandTimeoutSeconds) s in the handler \(handler.subtype)")
        }
        if overdue.isEmpty { diagnostics.report(.notice, "\(configString): no command is overdue any more") }
    }

    private func reportEvent() {
        lifeCycle.withLock {
            guard isOpenInHandler else { return }
            activity.store(Activity.event, ordering: .releasing)
            defer { activity.store(Activity.none, ordering: .releasing) }
            unsafe _ = handler.callouts.report_event?(device)
        }
    }

    /// Drains the device, closes it, and opens it again until that works. Requests are answered with BUSY meanwhile.
    private func recover() {
        guard !canMapReads else {
            diagnostics.report(
                .error,
                "\(configString): the handler \(handler.subtype) reports a lost connection, but its memory may still be "
                    + "on its way to initiators: it is not closed and opened again")
            condition.withLock { isConnectionLost = false }
            return
        }
        diagnostics.report(.warning, "\(configString): the handler \(handler.subtype) lost its connection; reopening")
        stage.store(Stage.recovering, ordering: .sequentiallyConsistent)
        drain()
        closeInHandler()
        condition.withLock { isConnectionLost = false }
        while !tryReopen() {
            guard waitBeforeReopen() else { return }
        }
        stage.store(Stage.open, ordering: .sequentiallyConsistent)
        diagnostics.report(.notice, "\(configString): open again")
        capacityChanged()
        readAttributes(isFirst: false)
    }

    private func tryReopen() -> Bool {
        guard openInHandler(reopen: true) == 0 else { return false }
        let blockSize = unsafe martlet_host_device_attributes(device).block_byte_count
        if Int(blockSize) == blockByteCount { return true }
        diagnostics.report(
            .error,
            "\(configString): reopened with blocks of \(blockSize) bytes instead of \(blockByteCount); trying on")
        closeInHandler()
        return false
    }

    /// False when the device is being closed.
    private func waitBeforeReopen() -> Bool {
        let deadline = clinux_monotonic_nanoseconds() + Self.reopenNanoseconds
        return condition.withLock {
            while !isStopping, clinux_monotonic_nanoseconds() < deadline { condition.wait(until: deadline) }
            return !isStopping
        }
    }
}
