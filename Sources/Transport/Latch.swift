// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// Waits until so many things have happened. For slow paths only: it blocks the waiting thread.
@safe final class Latch: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    /// Guarded by `mutex`.
    private var count: Int

    init(count: Int) {
        self.count = count
        // On the heap: their addresses must not change.
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        _ = unsafe pthread_mutex_init(mutex, nil)
        _ = unsafe clinux_condition_init(condition)
    }

    deinit {
        _ = unsafe pthread_cond_destroy(condition)
        _ = unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    func countDown() {
        _ = unsafe pthread_mutex_lock(mutex)
        count -= 1
        if count <= 0 { _ = unsafe pthread_cond_broadcast(condition) }
        _ = unsafe pthread_mutex_unlock(mutex)
    }

    /// False when the time was over first.
    @discardableResult
    func wait(milliseconds: UInt64) -> Bool {
        let deadline = clinux_monotonic_nanoseconds() + milliseconds * 1_000_000
        _ = unsafe pthread_mutex_lock(mutex)
        defer { _ = unsafe pthread_mutex_unlock(mutex) }
        while count > 0 {
            if unsafe clinux_condition_wait_until(condition, mutex, deadline) == ETIMEDOUT { return false }
        }
        return true
    }
}
