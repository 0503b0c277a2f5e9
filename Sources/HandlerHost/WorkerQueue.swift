// SPDX-License-Identifier: Apache-2.0

internal import TargetCore

/// The worker threads of a device and the requests that wait for them.
///
/// `push` wakes nobody; `wake` wakes one worker, once for each batch; a worker that leaves more behind than it takes
/// wakes the next. With one thread the requests run one after the other in the order of their coming.
@safe
final class WorkerQueue: @unchecked Sendable {
    // All state is guarded by `condition`.
    private let condition = ThreadCondition()
    private var first: Unmanaged<BlockRequest>?
    private var last: Unmanaged<BlockRequest>?
    private var idleCount = 0
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

    /// Puts `request` at the end. Its submitter keeps it alive until it completes.
    func push(_ request: BlockRequest) {
        let link = unsafe Unmanaged.passUnretained(request)
        condition.withLock {
            unsafe request.next = nil
            if let last = unsafe last {
                unsafe last._withUnsafeGuaranteedRef { unsafe $0.next = link }
            } else {
                unsafe first = link
            }
            unsafe last = link
        }
    }

    /// Has somebody look at what was pushed.
    func wake() {
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

    private func wakeOne() {
        guard unsafe first != nil, idleCount > 0, !isWaking else { return }
        isWaking = true
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
            while unsafe first == nil {
                if isStopping { return nil }
                idleCount += 1
                condition.wait()
                idleCount -= 1
                isWaking = false
            }
            guard let request = unsafe first else { return nil }
            unsafe first = request._withUnsafeGuaranteedRef { unsafe $0.next }
            if unsafe first == nil { unsafe last = nil }
            wakeOne()
            return unsafe request
        }
    }
}
