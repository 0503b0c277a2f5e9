// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import EventLoop
internal import Synchronization

/// The thread that waits for stable storage, so that no loop does: works one after the other, in the order in which
/// they came.
final class SaveThread: Sendable {
    private struct State {
        var works: [@Sendable () -> Void] = []
        var hasEnded = false
    }

    /// Shared with the thread.
    private final class Queue: Sendable {
        let state = Mutex(State())
        let arrivals = DispatchSemaphore(value: 0)

        /// Nil: all is done, and no more will come.
        func next() -> (@Sendable () -> Void)? {
            arrivals.wait()
            return state.withLock { $0.works.isEmpty ? nil : $0.works.removeFirst() }
        }
    }

    private let queue: Queue
    private let thread: LoopThread

    init() throws(SystemError) {
        let queue = Queue()
        self.queue = queue
        thread = try LoopThread(name: "martlet-state") {
            while let work = queue.next() { work() }
        }
    }

    /// Does nothing after `end`: by then nobody is left who could ask.
    func perform(_ work: @escaping @Sendable () -> Void) {
        let isTaken = queue.state.withLock { state in
            if !state.hasEnded { state.works.append(work) }
            return !state.hasEnded
        }
        if isTaken { queue.arrivals.signal() }
    }

    /// Returns when everything has been done. Once only.
    func end() {
        queue.state.withLock { $0.hasEnded = true }
        queue.arrivals.signal()
        thread.join()
    }
}
