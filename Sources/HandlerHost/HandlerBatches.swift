// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
internal import TargetCore

/// What a device keeps for a handler that takes requests in batches (martlet-handler.h, version 2): callouts only
/// queue, `submit` starts what was queued, and `reap` takes the completions that its descriptor announces.
final class HandlerBatches: Sendable {
    /// Open while the store is, and its handler was told of the batches.
    let gate = CalloutGate()
    /// A callout has been made since the last `submit`.
    let hasQueued = Atomic<Bool>(false)
    /// Calls of `reap` that have not been answered: the first of them does the work of all.
    let wantedReaps = Atomic<Int>(0)
    let submitCount = Atomic<UInt64>(0)
    let reapCount = Atomic<UInt64>(0)
    /// Somebody besides the device's own thread looks at the descriptor: it is not closed.
    let isWatched = Atomic<Bool>(false)
    let reaper: CompletionReaper

    init() throws(SystemFiles.Failure) { reaper = try CompletionReaper() }
}

extension HandlerDevice {
    /// What a server watches; nil when the handler takes no batches. The device's own, from open to close.
    public var completionDescriptor: CInt? { batches?.reaper.descriptor }

    /// A server's loops take over what a thread of the device does otherwise: whoever calls this watches the
    /// descriptor that it returns, calls `reap` whenever that is readable, and calls `giveBackReaping` when it has
    /// stopped that and before it closes the device. Nil: there is nothing to watch.
    ///
    /// When the device is drained, because it is closed or opened again after a lost connection, its own thread takes
    /// over for good; further calls of `reap` do no harm.
    public func takeOverReaping() -> CInt? {
        guard let batches else { return nil }
        batches.isWatched.store(true, ordering: .releasing)
        batches.reaper.park()
        return batches.reaper.descriptor
    }

    /// Nobody watches the descriptor any more: the device's own thread does, and `close` closes it. Without this call
    /// it stays open as long as the device is in memory, lest somebody watch a number that means something else.
    public func giveBackReaping() {
        guard let batches else { return }
        batches.reaper.takeBack()
        batches.isWatched.store(false, ordering: .releasing)
    }

    /// The store is closed.
    func giveUpDescriptors() {
        guard let batches, !batches.isWatched.load(ordering: .acquiring) else { return }
        batches.reaper.giveUp()
    }

    /// Ends the requests that the handler has completed, and returns how many. Never blocks; from any thread. When
    /// another thread is at it, that one looks once more and this call returns 0.
    @discardableResult
    public func reap() -> Int {
        guard let batches, batches.gate.enter() else { return 0 }
        defer { batches.gate.leave() }
        guard batches.wantedReaps.add(1, ordering: .acquiringAndReleasing).oldValue == 0 else { return 0 }
        var endedCount = 0
        while true {
            let answered = batches.wantedReaps.load(ordering: .acquiring)
            // Counted first: whoever sees a completion sees it counted.
            batches.reapCount.add(1, ordering: .relaxed)
            unsafe endedCount += handler.handlerExtension.reap(device)
            let left = batches.wantedReaps.subtract(answered, ordering: .acquiringAndReleasing).newValue
            if left == 0 { return endedCount }
        }
    }

    /// Has the handler start what was queued since the last time, by any loop.
    func submitBatch() {
        // Callouts set the mark after they have queued: whoever takes it sees what they did.
        guard let batches, batches.hasQueued.load(ordering: .relaxed),
            batches.hasQueued.exchange(false, ordering: .acquiring)
        else { return }
        // Closed: nothing is under way, so what was queued has ended already.
        guard batches.gate.enter() else { return }
        unsafe handler.handlerExtension.submit(device)
        batches.gate.leave()
        batches.submitCount.add(1, ordering: .relaxed)
    }

    /// The handler has opened its store: asks whether it takes batches. False: it answers nonsense.
    func beginBatches() -> Bool {
        guard let batches else { return true }
        let descriptor = unsafe handler.handlerExtension.completionDescriptor(device)
        guard descriptor >= 0 else { return true }
        guard batches.reaper.attach(descriptor) else {
            diagnostics.report(
                .error, "\(configString): the handler \(handler.subtype) gives \(descriptor), which is no descriptor")
            return false
        }
        batches.hasQueued.store(false, ordering: .relaxed)
        batches.gate.open()
        return true
    }

    /// The handler is about to close its store, with no command under way.
    func endBatches() {
        batches?.gate.close()
        batches?.reaper.detach()
    }
}

// Reads and writes without copies.
extension HandlerDevice {
    /// Whether `mapRead` may answer: not while requests are merged, whose order it would not keep.
    public var canMapReads: Bool { handler.handlerExtension.canMapReads && !isMerging }

    /// Where `byteCount` bytes of the medium from `byteOffset` on stand in memory, if the handler keeps them there:
    /// readable until the device is closed, whatever happens to them meanwhile. Nil: submit a read. Counts as a read.
    public func mapRead(byteOffset: UInt64, byteCount: Int) -> UnsafeRawPointer? {
        guard canMapReads, byteCount > 0 else { return nil }
        let ticket = watch.begunMappedRead()
        defer { commandEnded(ticket) }
        guard stage.load(ordering: .sequentiallyConsistent) == Stage.open,
            isInsideMedium(byteOffset, UInt64(byteCount)),
            let memory = unsafe handler.handlerExtension.mapRead(device, byteOffset: byteOffset, byteCount: byteCount)
        else {
            unmappedReadCount.add(1, ordering: .releasing)
            return nil
        }
        readByteCount.add(UInt64(byteCount), ordering: .relaxed)
        return unsafe memory
    }

    /// Whether a write's data may stand anywhere, and is no longer needed when `submit` returns.
    public var copiesWrites: Bool {
        handler.threadCount == 0 && handler.handlerExtension.neverBlocks && handler.handlerExtension.writesCopy
            && !isMerging
    }
}
