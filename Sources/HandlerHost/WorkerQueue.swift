// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
internal import TargetCore

/// The worker threads of a device and the requests that wait for them.
///
/// `push` takes no lock and wakes nobody; `wake` wakes one worker, once for each batch, and does nothing while all are
/// at work; a worker that leaves more behind than it takes wakes the next. With one thread the requests run one after
/// the other in the order of their coming.
@safe
final class WorkerQueue: @unchecked Sendable {
    /// What was pushed and no worker has seen: the youngest request as an address, 0 when there is none. Each is linked
    /// to the one before by `next`.
    private let top = Atomic<UInt>(0)
    /// Workers that wait. Changed under the lock.
    private let idleCount = Atomic<Int>(0)
    private let wakeUps = Atomic<UInt64>(0)

    // What follows is guarded by `condition`: the requests that a worker has seen, oldest first.
    private let condition = ThreadCondition()
    private var first: Unmanaged<BlockRequest>?
    private var last: Unmanaged<BlockRequest>?
    /// A worker has been signalled and has not yet run.
    private var isWaking = false
    private var isStopping = false
    private var threads: [HostThread] = []

    let threadCount: Int

    /// - Parameter perform: runs a request in a worker's thread; it may block.
    init(
        name: String, threadCount: Int, perform: @escaping @Sendable (BlockRequest) -> Void
    ) throws(SystemFiles.Failure) {
        self.threadCount = threadCount
        for _ in 0..<threadCount {
            do throws(SystemFiles.Failure) {
                threads.append(try HostThread.start(name) { [self] in work(perform) })
            } catch {
                stop()
                throw error
            }
        }
    }

    /// Workers woken since the beginning.
    var wakeUpCount: UInt64 { wakeUps.load(ordering: .relaxed) }

    /// Puts `request` at the end. Its submitter keeps it alive until it completes.
    func push(_ request: BlockRequest) {
        let address = unsafe UInt(bitPattern: Unmanaged.passUnretained(request).toOpaque())
        var current = top.load(ordering: .relaxed)
        while true {
            unsafe request.next = Self.request(at: current)
            // Sequentially consistent, with `wake` and the worker that is about to wait: one of the two sees the other.
            let (isExchanged, original) = top.compareExchange(
                expected: current, desired: address, ordering: .sequentiallyConsistent)
            if isExchanged { return }
            current = original
        }
    }

    /// Has somebody look at what was pushed. Workers that are at work will look anyway.
    func wake() {
        guard idleCount.load(ordering: .sequentiallyConsistent) > 0, top.load(ordering: .relaxed) != 0 else { return }
        condition.withLock { wakeOne() }
    }

    /// Ends the threads once the queue is empty, and waits for them.
    func stop() {
        condition.withLock {
            isStopping = true
            condition.broadcast()
        }
        for thread in threads { thread.join() }
        threads = []
    }

    private static func request(at address: UInt) -> Unmanaged<BlockRequest>? {
        // The address came from `push` and from nowhere else.
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address) else { return nil }
        return unsafe Unmanaged.fromOpaque(pointer)
    }

    private var hasMore: Bool { unsafe first != nil || top.load(ordering: .sequentiallyConsistent) != 0 }

    private func wakeOne() {
        guard hasMore, idleCount.load(ordering: .relaxed) > 0, !isWaking else { return }
        isWaking = true
        wakeUps.add(1, ordering: .relaxed)
        condition.signal()
    }

    private func work(_ perform: (BlockRequest) -> Void) {
        while let request = unsafe take() {
            unsafe perform(request.takeUnretainedValue())
        }
    }

    /// The next request; nil when the queue is empty and stops.
    private func take() -> Unmanaged<BlockRequest>? {
        unsafe condition.withLock {
            while true {
                if let request = unsafe takeFirst() {
                    wakeOne()
                    return unsafe request
                }
                if isStopping { return nil }
                idleCount.add(1, ordering: .sequentiallyConsistent)
                // A request that came before this was counted has woken nobody.
                if top.load(ordering: .sequentiallyConsistent) == 0 { condition.wait() }
                idleCount.subtract(1, ordering: .relaxed)
                isWaking = false
            }
        }
    }

    /// Under the lock: the oldest request.
    private func takeFirst() -> Unmanaged<BlockRequest>? {
        if unsafe first == nil { splice() }
        guard let request = unsafe first else { return nil }
        unsafe first = request._withUnsafeGuaranteedRef { unsafe $0.next }
        if unsafe first == nil { unsafe last = nil }
        return unsafe request
    }

    /// Under the lock, with no request left: turns what was pushed around, so that the oldest is the first.
    private func splice() {
        var newest = unsafe Self.request(at: top.exchange(0, ordering: .sequentiallyConsistent))
        unsafe last = newest
        while let each = unsafe newest {
            unsafe newest = each._withUnsafeGuaranteedRef { request in
                let older = unsafe request.next
                unsafe request.next = first
                return unsafe older
            }
            unsafe first = each
        }
    }
}
