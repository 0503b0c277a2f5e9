// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import Synchronization

/// The wish, from any thread, that a load ends before its time; and what its main thread waits on.
package final class StopSignal: Sendable {
    /// An eventfd: readable once somebody has stopped or woken.
    let descriptor: CInt
    private let isSet = Atomic<Bool>(false)

    package init() throws(LoadFailure) {
        descriptor = eventfd(0, clinux_efd_cloexec | clinux_efd_nonblock)
        if descriptor < 0 { throw .runTime("\(SystemError.last("eventfd"))") }
    }

    deinit { close(descriptor) }

    package var isStopped: Bool { isSet.load(ordering: .acquiring) }

    package func stop() {
        isSet.store(true, ordering: .releasing)
        wake()
    }

    /// Ends the main thread's wait without stopping.
    func wake() { eventfd_write(descriptor, 1) }

    /// Waits until somebody stops or wakes, or `deadline` in monotonic nanoseconds has come.
    func wait(until deadline: UInt64) {
        var entry = pollfd(descriptor: descriptor, events: POLLIN)
        // One entry, which is ours.
        let count = unsafe poll(&entry, 1, Clock.milliseconds(until: deadline))
        guard count > 0 else { return }
        var value: eventfd_t = 0
        unsafe _ = eventfd_read(descriptor, &value)
    }
}

enum Clock {
    static let nanosecondsPerSecond = 1e9

    static var now: UInt64 { clinux_monotonic_nanoseconds() }

    static func after(seconds: Double) -> UInt64 { now &+ UInt64(seconds * nanosecondsPerSecond) }

    /// Rounded up, so that whoever waits so long is not early.
    static func milliseconds(until deadline: UInt64) -> CInt {
        let now = now
        guard deadline > now else { return 0 }
        return CInt(clamping: (deadline - now + 999_999) / 1_000_000)
    }
}

extension pollfd {
    init(descriptor: CInt, events: CInt) {
        self.init(fd: descriptor, events: Int16(events), revents: 0)
    }
}
