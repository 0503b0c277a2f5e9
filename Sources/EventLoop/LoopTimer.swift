// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The kernel's timer behind a loop's timers: a descriptor that becomes readable when the first of them is due.
///
/// A wait without a time limit is cheaper than one with, which sets up and takes down a timer in the kernel each time.
/// The timers of a loop are seconds away and most are cancelled, so the kernel's is set when the first comes nearer,
/// and never for one that moves away: then it tells once too early.
struct LoopTimer {
    let descriptor: CInt
    /// `UInt64.max` while it is not set.
    private var deadline = UInt64.max

    init() throws(SystemError) {
        descriptor = timerfd_create(CLOCK_MONOTONIC, clinux_tfd_cloexec | clinux_tfd_nonblock)
        if descriptor < 0 { throw SystemError.last("timerfd_create") }
    }

    func close() { _ = CLinux.close(descriptor) }

    /// Tells at `next`, in nanoseconds of the monotonic clock, at the latest; `UInt64.max`: no need to.
    mutating func cover(_ next: UInt64) {
        guard next < deadline else { return }
        deadline = next
        var setting = itimerspec()
        setting.it_value.tv_sec = Int(next / 1_000_000_000)
        // Zero would unset it.
        setting.it_value.tv_nsec = max(1, Int(next % 1_000_000_000))
        unsafe _ = timerfd_settime(descriptor, clinux_tfd_timer_abstime, &setting, nil)
    }

    /// It has told.
    mutating func told() {
        var count: UInt64 = 0
        unsafe _ = read(descriptor, &count, MemoryLayout<UInt64>.size)
        deadline = .max
    }
}
