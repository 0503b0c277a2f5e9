// SPDX-License-Identifier: Apache-2.0

internal import CHandlerHost
internal import SCSI
internal import Synchronization
public import TargetCore

/// A store of blocks behind a handler.
///
/// Requests reach the handler in one of three ways: in worker threads of the device's own (nr_threads above 0); in
/// one thread of the device's own, as tcmu-runner does it (nr_threads 0); or in the submitting loop's thread, when
/// the handler promises in its extension that its callouts never wait. In the last case the handler may also take
/// them in batches (HandlerBatches.swift).
///
/// Sendable: what changes while the device is open is atomic or guarded by `condition`; the rest is set before
/// `open` returns.
@safe
public final class HandlerDevice: BlockDevice, @unchecked Sendable {
    /// What a submission finds.
    enum Stage {
        static let opening: UInt8 = 0
        static let open: UInt8 = 1
        /// The connection behind the handler is lost, and the device will be reopened.
        static let recovering: UInt8 = 2
        static let closed: UInt8 = 3
    }

    enum Activity {
        static let none: UInt8 = 0
        static let lastFlush: UInt8 = 1
        static let close: UInt8 = 2
        static let reopen: UInt8 = 3
        static let event: UInt8 = 4
        static let gone: UInt8 = 5
        static let space: UInt8 = 6
    }

    public let handler: Handler
    /// `subtype/rest`.
    public let configString: String
    let diagnostics: Diagnostics
    let configuration: HandlerDeviceConfiguration

    /// Ours from init until close is through.
    let device: OpaquePointer
    let watch = CommandWatch()
    /// What a thread of the host waits for in the handler, other than commands.
    let activity = Atomic<UInt8>(Activity.none)
    let stage = Atomic<UInt8>(Stage.opening)

    public internal(set) var blockByteCount: Int
    private let currentBlockCount = Atomic<UInt64>(0)
    private let hasVolatileWriteCache = Atomic<Bool>(false)
    private let isWriteProtected = Atomic<Bool>(false)
    /// What does not change while the device is open.
    private(set) var fixedFeatures = BlockDeviceFeatures()

    /// Nil: callouts run in the submitter's thread.
    var workers: WorkerQueue?
    /// Where CDBs go when not to `workers`: one thread, because tcmu-runner calls handle_cmd one at a time.
    var commandThread: WorkerQueue?
    /// Nil: the handler takes no batches.
    var batches: HandlerBatches?
    /// The body of `batches.reaper`.
    var reaping: HostThread?
    /// Nil: requests are not merged.
    var merger: RequestMerger?
    var merging: HostThread?

    // Guarded by `condition`; see HandlerLifeCycle.swift.
    let condition = ThreadCondition()
    var isStopping = false
    var isConnectionLost = false
    var hasEvent = false
    var isSpaceWanted = false
    var ownFlushStatus: Int32?
    var maintenance: HostThread?
    /// Held over open, close and reconfig, which never overlap.
    let lifeCycle = ThreadCondition()
    var isOpenInHandler = false
    /// `close` was called, and is through. Guarded by `condition`.
    var isClosing = false
    var isClosed = false

    /// Calls of `mapRead` that were not answered.
    let unmappedReadCount = Atomic<UInt64>(0)
    let readByteCount = Atomic<UInt64>(0)
    let writtenByteCount = Atomic<UInt64>(0)
    let hasReportedCompletion = Atomic<Bool>(false)
    let hasReportedStatus = Atomic<Bool>(false)
    private let capacityListener = Mutex<(@Sendable () -> Void)?>(nil)
    let overdueListener = Mutex<(@Sendable () -> Void)?>(nil)
    /// The last period ended with commands that were under way before it.
    let hasOverdue = Atomic<Bool>(false)
    /// Calls of the handler's cancel.
    let cancelCount = Atomic<UInt64>(0)
    let space = Mutex<MappingResources?>(nil)
    let spaceListener = Mutex<(@Sendable () -> Void)?>(nil)
    /// Open while the store is: for callouts that belong to no command and are no batch's.
    let gate = CalloutGate()

    init(
        _ handler: Handler, _ configuration: HandlerDeviceConfiguration, device: OpaquePointer, diagnostics: Diagnostics
    ) {
        self.handler = handler
        self.configuration = configuration
        self.diagnostics = diagnostics
        configString = configuration.configString
        blockByteCount = MediumSize.defaultBlockByteCount
        unsafe self.device = device
    }

    public var blockCount: UInt64 { currentBlockCount.load(ordering: .relaxed) }

    public var features: BlockDeviceFeatures {
        var features = fixedFeatures
        features.hasVolatileWriteCache = hasVolatileWriteCache.load(ordering: .relaxed)
        features.isReadOnly = isWriteProtected.load(ordering: .relaxed)
        return features
    }

    /// Called after the block count has changed, from any thread.
    public var onCapacityChange: (@Sendable () -> Void)? {
        get { capacityListener.withLock { $0 } }
        set { capacityListener.withLock { $0 = newValue } }
    }

    /// What of the device's is not at an end, to complete "the handler SUBTYPE ..."; nil once it is closed.
    public var unfinishedBusiness: String? {
        let count = watch.underWayCount
        return switch activity.load(ordering: .acquiring) {
        case Activity.gone: nil
        case Activity.lastFlush: "has not ended its last flush"
        case Activity.close: "has not returned from close"
        case Activity.reopen: "has not returned from open, called again after a lost connection"
        case Activity.event: "has not returned from report_event"
        case Activity.space: "has not returned from space"
        default: count > 0 ? "has not ended \(count) command(s)" : "is still open"
        }
    }

    /// The handler has been given commands: a bad one may come back to their records at any time, and by them to the
    /// device, which stays in memory for as long as the process. Those of `close` itself do not count.
    public var wasAsked: Bool { watch.hasBegun }

    public func submit(_ request: BlockRequest) {
        let ticket = watch.begun(request.operation)
        guard stage.load(ordering: .sequentiallyConsistent) == Stage.open else {
            request.complete(outcomeWhenNotOpen)
            commandEnded(ticket)
            return
        }
        if let refusal = refusal(of: request) {
            request.complete(refusal)
            commandEnded(ticket)
            return
        }
        // The request's room is the device's until it completes.
        unsafe CommandRecord.next(in: request).ticket = ticket
        switch request.operation {
        case .read: unsafe readByteCount.add(UInt64(request.buffer.count), ordering: .relaxed)
        case .write: unsafe writtenByteCount.add(UInt64(request.buffer.count), ordering: .relaxed)
        case .flush, .unmap, .writeSame, .compareAndWrite, .blockStatus, .writeZeroes, .passthrough:
            // It goes after what is held.
            releaseHeld()
            dispatch(request)
            return
        }
        guard let merger else {
            dispatch(request)
            return
        }
        if merger.hold(request) { releaseHeld() }
    }

    /// Sends a request on its way to the handler.
    func dispatch(_ request: BlockRequest) {
        if let queue = queue(for: request.operation) {
            queue.push(request)
        } else {
            perform(request)
            // After the callout: whoever takes the mark finds what it queued.
            batches?.hasQueued.store(true, ordering: .releasing)
        }
    }

    public func submissionsEnded() {
        if let merger, merger.batchEnded() { releaseHeld() }
        wakeHandler()
    }

    /// Has somebody look at what was dispatched.
    func wakeHandler() {
        workers?.wake()
        commandThread?.wake()
        submitBatch()
    }

    private func queue(for operation: BlockRequest.Operation) -> WorkerQueue? {
        if operation == .passthrough, let commandThread { return commandThread }
        return workers
    }

    private var outcomeWhenNotOpen: BlockOutcome {
        if stage.load(ordering: .relaxed) == Stage.recovering { return .failed(.busy, nil) }
        return .failed(.checkCondition, SenseData(.notReady, .logicalUnitNotReadyCauseNotReportable))
    }

    /// A command of this device has ended, and nothing of it touches the handler any more.
    func commandEnded(_ ticket: Int) {
        watch.ended(ticket)
        if stage.load(ordering: .sequentiallyConsistent) != Stage.open {
            condition.withLock { condition.broadcast() }
        }
    }
}

// Attributes.
extension HandlerDevice {
    /// Bytes of the longest single transfer that is offered to handlers.
    static let maximumTransferByteCount = 8 << 20

    /// Takes over what the handler set in open; `isFirst`: also what stays fixed from then on.
    func readAttributes(isFirst: Bool) {
        let attributes = unsafe martlet_host_device_attributes(device)
        if isFirst {
            blockByteCount = Int(attributes.block_byte_count)
            fixedFeatures = Self.fixedFeatures(handler, attributes)
        }
        currentBlockCount.store(attributes.block_count, ordering: .relaxed)
        hasVolatileWriteCache.store(attributes.write_cache_enabled, ordering: .relaxed)
        isWriteProtected.store(attributes.write_protect_enabled, ordering: .relaxed)
    }

    /// What the handler's INQUIRY data say it is. Before `open` returns.
    func learnDeviceType() {
        guard handler.takesOnlyCDBs else { return }
        fixedFeatures.peripheralDeviceType = askDeviceType()
    }

    /// Takes over a new size, and tells who asked to be told.
    func capacityChanged() {
        let blockCount = unsafe martlet_host_device_attributes(device).block_count
        guard currentBlockCount.exchange(blockCount, ordering: .relaxed) != blockCount else { return }
        diagnostics.report(.notice, "\(configString) now has \(blockCount) blocks of \(blockByteCount) bytes")
        onCapacityChange?()
    }

    private static func fixedFeatures(
        _ handler: Handler, _ attributes: martlet_host_device_attributes
    ) -> BlockDeviceFeatures {
        var features = BlockDeviceFeatures()
        let longest = UInt32(clamping: maximumTransferByteCount / Int(attributes.block_byte_count))
        features.canFlush = handler.canFlush
        features.canUnmap = handler.canUnmap && attributes.unmap_enabled
        features.canWriteSame = handler.canWriteSame
        features.canWriteZeroes = handler.handlerExtension.canWriteZeroes
        features.canCompareAndWrite = handler.canCompareAndWrite
        features.canReportBlockStatus = handler.canReportBlockStatus
        let told = handler.handlerExtension
        features.unmappedReadsZero = features.canUnmap && (told.unmappedReadsZero || told.zeroingUnmaps)
        features.isSolidState = attributes.solid_state_media
        features.maximumTransferBlockCount =
            attributes.max_transfer_length == 0 ? longest : min(attributes.max_transfer_length, longest)
        if features.canUnmap {
            features.maximumUnmapBlockCount = attributes.max_unmap_length
            // Left as it was before open, it is the longest transfer and says nothing of the store.
            if attributes.optimal_unmap_granularity != attributes.max_transfer_length {
                features.unmapGranularity = attributes.optimal_unmap_granularity
                features.unmapGranularityAlignment = attributes.unmap_granularity_alignment
            }
        }
        features.passthrough = handler.takesOnlyCDBs ? .always : handler.takesCDBs ? .first : .none
        return features
    }
}
