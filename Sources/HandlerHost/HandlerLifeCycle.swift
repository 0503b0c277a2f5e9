// SPDX-License-Identifier: Apache-2.0

internal import CHandlerHost
internal import CLinux
internal import HandlerABI
internal import SCSI
internal import Synchronization
public import TargetCore

// check_config, attributes, open, I/O, drain, flush, close: the order that handlers rely on.
extension HandlerDevice {
    /// Opens the store that `configuration` names. May block.
    public static func open(
        _ handler: Handler, _ configuration: HandlerDeviceConfiguration, diagnostics: Diagnostics
    ) throws(HandlerDeviceError) -> HandlerDevice {
        let opening = OpeningWatch(configuration.configString, handler, diagnostics)
        defer { opening.end() }
        try check(configuration, handler)
        let size = try MediumSize.find(for: configuration, handler: handler)
        let pointer = unsafe try create(configuration, size, handler)
        let device = unsafe HandlerDevice(handler, configuration, device: pointer, diagnostics: diagnostics)
        // Taken back in `destroy`, before the device can go away.
        unsafe martlet_host_device_set_context(pointer, Unmanaged.passUnretained(device).toOpaque())
        do throws(HandlerDeviceError) {
            try device.begin(size)
        } catch {
            device.abandon()
            throw error
        }
        return device
    }

    private static func check(
        _ configuration: HandlerDeviceConfiguration, _ handler: Handler
    ) throws(HandlerDeviceError) {
        let string = configuration.configString
        guard configuration.subtype == handler.subtype else {
            throw .otherSubtype(configString: string, subtype: handler.subtype)
        }
        let byteCount = string.utf8.count
        guard byteCount <= HandlerDeviceConfiguration.maximumConfigStringByteCount else {
            throw .configStringTooLong(byteCount: byteCount)
        }
        guard !string.utf8.contains(0) else { throw .configStringHoldsZero }
        if let reason = handler.objection(to: string) { throw .refused(configString: string, reason: reason) }
    }

    private static func create(
        _ configuration: HandlerDeviceConfiguration, _ size: MediumSize, _ handler: Handler
    ) throws(HandlerDeviceError) -> OpaquePointer {
        var shown = unsafe martlet_host_device_configuration()
        unsafe shown.byte_count = size.byteCount
        unsafe shown.block_byte_count = UInt32(size.blockByteCount)
        unsafe shown.max_transfer_block_count = UInt32(maximumTransferByteCount / size.blockByteCount)
        unsafe shown.unmap_enabled = handler.canUnmap
        // A handler that has something to flush and says nothing of its cache is believed to have one: at worst
        // initiators flush without need.
        unsafe shown.write_cache_enabled = configuration.writeCache ?? handler.canFlush
        unsafe shown.write_protect_enabled = configuration.isReadOnly || size.isReadOnly
        // The callee copies the strings.
        let pointer = unsafe configuration.configString.withCString { string in
            unsafe configuration.serial.withCString { serial in
                unsafe handler.subtype.withCString { name in
                    unsafe shown.config_string = string
                    unsafe shown.serial = serial
                    unsafe shown.name = name
                    return unsafe martlet_host_device_create(&shown)
                }
            }
        }
        guard let pointer = unsafe pointer else { throw .noMemory }
        return unsafe pointer
    }

    private func begin(_ size: MediumSize) throws(HandlerDeviceError) {
        precondition(CommandRecordLayout.fitsDeviceRoom)
        if handler.threadCount == 0, handler.handlerExtension.takesBatches {
            do throws(SystemFiles.Failure) {
                batches = try HandlerBatches()
            } catch {
                throw .noDescriptor(configString: configString, reason: error.description)
            }
        }
        let result = openInHandler(reopen: false)
        guard result == 0 else { throw .openFailed(configString: configString, result: result) }
        let attributes = unsafe martlet_host_device_attributes(device)
        guard HandlerDeviceConfiguration.blockByteCounts.contains(Int(attributes.block_byte_count)) else {
            throw .blockSizeFromHandler(configString: configString, attributes.block_byte_count)
        }
        guard attributes.block_count > 0 else { throw .sizeZero(configString: configString) }
        readAttributes(isFirst: true)
        do throws(SystemFiles.Failure) {
            try startThreads()
        } catch {
            throw .noThread(configString: configString, reason: error.description)
        }
        let (byteCount, overflow) = attributes.block_count.multipliedReportingOverflow(by: UInt64(blockByteCount))
        if overflow || byteCount != size.byteCount {
            diagnostics.report(
                .notice, "\(configString): the handler made it \(byteCount) bytes instead of \(size.byteCount)")
        }
        lookAtSpace()
        stage.store(Stage.open, ordering: .sequentiallyConsistent)
        learnDeviceType()
    }

    private func startThreads() throws(SystemFiles.Failure) {
        let subtype = handler.subtype
        if handler.threadCount > 0 || !handler.handlerExtension.neverBlocks {
            workers = try WorkerQueue(name: subtype, threadCount: max(1, handler.threadCount)) { [self] request in
                perform(request)
            }
        }
        if handler.takesCDBs, !handler.takesOnlyCDBs, workers?.threadCount != 1 {
            commandThread = try WorkerQueue(name: "\(subtype)-cdb", threadCount: 1) { [self] request in
                perform(request)
            }
        }
        if let batches {
            reaping = try HostThread.start("\(subtype)-reap") { [self] in batches.reaper.run { _ = reap() } }
        }
        if let merger = makeMerger() {
            merging = try HostThread.start("\(subtype)-merge") { [self] in merge(merger) }
            self.merger = merger
        }
        maintenance = try HostThread.start("\(subtype)-care") { [self] in maintain() }
    }

    /// 0, or what the handler returned. Nothing of the device overlaps it.
    func openInHandler(reopen: Bool) -> Int32 {
        lifeCycle.withLock {
            unsafe martlet_host_device_prepare_open(device)
            if reopen { activity.store(Activity.reopen, ordering: .releasing) }
            defer { activity.store(Activity.none, ordering: .releasing) }
            // open was checked when the handler registered.
            let result = unsafe handler.callouts.open?(device, reopen) ?? -1
            guard result == 0 else { return result }
            guard beginBatches() else {
                unsafe handler.callouts.close?(device)
                return -EBADF
            }
            isOpenInHandler = true
            gate.open()
            return 0
        }
    }

    func closeInHandler() {
        lifeCycle.withLock {
            guard isOpenInHandler else { return }
            isOpenInHandler = false
            activity.store(Activity.close, ordering: .releasing)
            defer { activity.store(Activity.none, ordering: .releasing) }
            gate.close()
            endBatches()
            unsafe handler.callouts.close?(device)
        }
    }

    /// Open has failed on the way.
    private func abandon() {
        stage.store(Stage.closed, ordering: .sequentiallyConsistent)
        stopThreads()
        stopReaping()
        closeInHandler()
        giveUpDescriptors()
        destroy()
    }

    /// Ends all that is under way, flushes, and closes the store. Later requests fail. May block as long as the
    /// handler does; safe to call again, also while the first call is at it, whose end is then waited for.
    public func close() {
        guard mayClose() else { return }
        stopMaintenance()
        if handler.takesOnlyCDBs, stage.load(ordering: .relaxed) == Stage.open { flushByCommand() }
        stage.store(Stage.closed, ordering: .sequentiallyConsistent)
        drain()
        stopThreads()
        if isOpenInHandler { flushBeforeClose() }
        stopReaping()
        closeInHandler()
        giveUpDescriptors()
        destroy()
        activity.store(Activity.gone, ordering: .releasing)
        condition.withLock {
            isClosed = true
            condition.broadcast()
        }
    }

    /// False: somebody else has closed it by now.
    private func mayClose() -> Bool {
        condition.withLock {
            guard isClosing else {
                isClosing = true
                return true
            }
            while !isClosed { condition.wait() }
            return false
        }
    }

    private func stopMaintenance() {
        condition.withLock {
            isStopping = true
            condition.broadcast()
        }
        maintenance?.join()
        maintenance = nil
    }

    private func stopThreads() {
        stopMaintenance()
        merger?.stop()
        merging?.join()
        merging = nil
        workers?.stop()
        commandThread?.stop()
    }

    /// After the last flush, which may need it.
    private func stopReaping() {
        batches?.reaper.stop()
        reaping?.join()
        reaping = nil
    }

    private func destroy() {
        unsafe martlet_host_device_set_context(device, nil)
        unsafe martlet_host_device_destroy(device)
    }
}

// Draining and the last flush.
extension HandlerDevice {
    private static let drainReportNanoseconds: UInt64 = 5_000_000_000

    /// Waits until no command is under way. The stage is not `open`, so there will be no new one.
    func drain() {
        // The loops may be gone: what they left behind is started and taken here.
        batches?.reaper.takeBack()
        releaseHeld()
        wakeHandler()
        while true {
            let deadline = clinux_monotonic_nanoseconds() + Self.drainReportNanoseconds
            let isDone = condition.withLock {
                while watch.underWayCount > 0, clinux_monotonic_nanoseconds() < deadline {
                    condition.wait(until: deadline)
                }
                return watch.underWayCount == 0
            }
            if isDone { return }
            diagnostics.report(
                .warning,
                "\(configString): the handler \(handler.subtype) still has \(watch.underWayCount) commands; waiting")
        }
    }

    private func flushBeforeClose() {
        guard let flush = unsafe handler.callouts.flush, !features.isReadOnly else { return }
        activity.store(Activity.lastFlush, ordering: .releasing)
        defer { activity.store(Activity.none, ordering: .releasing) }
        let room = UnsafeMutableRawPointer.allocate(byteCount: CommandRecordLayout.byteCount, alignment: 16)
        // A handler that ends its commands itself may end this one again: its record stays for the life of the
        // process, as all records do, but without the device.
        let stays = handler.threadCount == 0
        defer { if stays { unsafe CommandRecord(base: room).forgetDevice() } else { unsafe room.deallocate() } }
        unsafe room.initializeMemory(as: UInt8.self, repeating: 0, count: CommandRecordLayout.byteCount)
        // The record lives until the flush has ended, which is waited for.
        let record = unsafe CommandRecord(base: room)
        unsafe record.ticket = watch.begun(.flush)
        let ticket = unsafe record.ticket
        unsafe record.prepare(
            request: nil, device: self, cdb: [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            data: UnsafeMutableRawBufferPointer(start: nil, count: 0))
        let turn = unsafe record.begin(handlerCompletes: handler.threadCount == 0)
        let returned = unsafe flush(device, record.command)
        batches?.hasQueued.store(true, ordering: .releasing)
        submitBatch()
        var status = returned
        if handler.threadCount == 0, returned == Int32(TCMU_STS_OK) {
            status = condition.withLock {
                while ownFlushStatus == nil { condition.wait() }
                return ownFlushStatus ?? returned
            }
            drain()
        } else if unsafe record.end(turn: turn, status) == .ended {
            watch.ended(ticket)
        }
        if status != Int32(TCMU_STS_OK) {
            diagnostics.report(
                .error, "\(configString): the last flush failed with status \(status): writes may be lost")
        }
    }
}
