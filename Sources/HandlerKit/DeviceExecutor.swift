// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI
internal import Synchronization

/// Threads of one device's own, for its tasks.
///
/// Swift's shared threads are as many as the machine has processors: a handler that blocks one of those would hold up
/// the whole server. Here it holds up its own device.
final class DeviceExecutor: TaskExecutor {
    private struct State {
        var jobs = Queue<UnownedJob>()
        var isStopping = false
        var runningThreadCount = 0
    }

    private let state = Mutex(State())
    /// One token for each job that was queued, and for each thread that shall end.
    private let tokens = Semaphore()
    private let ended = Semaphore()

    /// Tasks go to Swift's shared threads from the start when the system gives no thread.
    init(name: StaticString, threadCount: Int, _ device: HostDevice) {
        for _ in 0..<threadCount {
            state.withLock { $0.runningThreadCount += 1 }
            let isStarted = HandlerThread.start { [self] in
                // The host prefers its own short name of the device, and cuts what is too long.
                unsafe tcmu_set_thread_name(StaticText.pointer(name), device.pointer)
                work()
            }
            if !isStarted { state.withLock { $0.runningThreadCount -= 1 } }
        }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isQueued = state.withLock { state in
            guard !state.isStopping, state.runningThreadCount > 0 else { return false }
            state.jobs.append(job)
            return true
        }
        guard isQueued else { return globalConcurrentExecutor.enqueue(ExecutorJob(job)) }
        tokens.signal()
    }

    /// Ends the threads, once nothing is queued, and waits for them. What comes later runs in Swift's shared threads.
    func stop() {
        let threadCount = state.withLock { state in
            state.isStopping = true
            return state.runningThreadCount
        }
        for _ in 0..<threadCount { tokens.signal() }
        for _ in 0..<threadCount { ended.wait() }
    }

    private func work() {
        while true {
            tokens.wait()
            guard let job = take() else { break }
            // The threads use it for as long as they run, and `stop` waits for them.
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
        }
        ended.signal()
    }

    /// Nil: the thread shall end. There is a token for each job, and those that end threads come last.
    private func take() -> UnownedJob? {
        state.withLock { $0.jobs.takeFirst() }
    }
}

/// Waits that block the calling thread, which must be none of Swift's shared ones.
@safe
final class Semaphore: @unchecked Sendable {
    // Sendable: the C library's semaphores are made for it. It has an address of its own until `deinit`.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { unsafe _ = sem_init(semaphore, 0, 0) }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    func signal() { unsafe _ = sem_post(semaphore) }

    /// A signal handler's turn is no token.
    func wait() { while unsafe sem_wait(semaphore) != 0 {} }
}

/// Threads, which end by themselves.
enum HandlerThread {
    private final class Body {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }

    /// False when the system gives none.
    static func start(_ work: @escaping @Sendable () -> Void) -> Bool {
        var thread = pthread_t()
        // Released by the thread, or here if there is none.
        let body = unsafe Unmanaged.passRetained(Body(work))
        let result = unsafe pthread_create(
            &thread, nil,
            { argument in
                if let argument = unsafe argument {
                    unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().work()
                }
                return nil
            }, body.toOpaque())
        guard result == 0 else {
            unsafe body.release()
            return false
        }
        pthread_detach(thread)
        return true
    }
}
