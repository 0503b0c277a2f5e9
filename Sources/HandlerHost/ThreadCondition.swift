// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// A mutex with a condition, for threads that wait for work: short locks, never held over a callout.
///
/// Sendable: the memory behind the pointers is fixed, and pthreads synchronise its use.
@safe
final class ThreadCondition: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        // Both calls initialise the memory; with default attributes they fail only without memory.
        let isReady = unsafe pthread_mutex_init(mutex, nil) == 0 && clinux_condition_init(condition) == 0
        precondition(isReady, "no memory for a lock")
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    @inline(__always)
    func withLock<Result>(_ body: () -> Result) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Within `withLock`: gives up the lock until woken, perhaps without cause.
    func wait() { unsafe _ = pthread_cond_wait(condition, mutex) }

    /// Within `withLock`: as `wait`, but until `deadline` at the latest, in nanoseconds of the monotonic clock.
    func wait(until deadline: UInt64) { unsafe _ = clinux_condition_wait_until(condition, mutex, deadline) }

    func signal() { unsafe _ = pthread_cond_signal(condition) }

    func broadcast() { unsafe _ = pthread_cond_broadcast(condition) }
}

/// A thread of the host's: handlers block in it, so it is a pthread and none of Swift's own pool.
struct HostThread: Sendable {
    /// Handlers were written for the C library's default.
    static let stackByteCount = 8 << 20

    private final class Body: Sendable {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let thread: pthread_t

    /// `name`: its first 15 bytes count.
    static func start(
        _ name: String, _ run: @escaping @Sendable () -> Void
    ) throws(SystemFiles.Failure) -> HostThread {
        let body = unsafe Unmanaged.passRetained(Body(run))
        var thread = pthread_t()
        // The new thread takes over the reference; without a thread it is given up below.
        let error = unsafe clinux_thread_start(
            &thread, stackByteCount, name,
            { argument in
                unsafe Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, body.toOpaque())
        guard error == 0 else {
            unsafe body.release()
            throw SystemFiles.Failure(error: error)
        }
        return HostThread(thread: thread)
    }

    /// Waits for its end. Once.
    func join() { _ = pthread_join(thread, nil) }
}

/// Works that may take as long as a handler likes.
public enum HandlerThreads {
    /// Does all of `works` at the same time, each in a thread of its name, and waits for all: one that hangs keeps no
    /// other from its end.
    public static func perform(_ works: [(name: String, body: @Sendable () -> Void)]) {
        var threads: [HostThread] = []
        for work in works {
            if let thread = try? HostThread.start(work.name, work.body) {
                threads.append(thread)
            } else {
                work.body()
            }
        }
        for thread in threads { thread.join() }
    }
}
