// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Synchronization

/// The one end of an event loop that other threads may hold: a mailbox and a wake-up.
///
/// While the loop is awake a wake-up costs one atomic load and no system call: the loop looks into its mailboxes
/// before it sleeps.
public final class LoopHandle: Sendable {
    /// An eventfd that the loop watches.
    let descriptor: CInt
    private let isAsleep = Atomic<Bool>(false)
    private let mailbox = Mutex<[@Sendable () -> Void]>([])
    private let hasMail = Atomic<Bool>(false)
    private let wakeUps = Atomic<UInt64>(0)

    public init() throws(SystemError) {
        descriptor = eventfd(0, clinux_efd_cloexec | clinux_efd_nonblock)
        if descriptor < 0 { throw SystemError.last("eventfd") }
    }

    deinit { close(descriptor) }

    /// Runs `work` in the loop's thread, soon. For rare things: it allocates.
    public func execute(_ work: @escaping @Sendable () -> Void) {
        mailbox.withLock { $0.append(work) }
        hasMail.store(true, ordering: .sequentiallyConsistent)
        wake()
    }

    /// Makes the loop look at its mailboxes, if it sleeps. What it is to find must be in place before.
    public func wake() {
        // Sequentially consistent on both sides: either we see it asleep, or it sees what was put in place.
        guard isAsleep.load(ordering: .sequentiallyConsistent),
            isAsleep.exchange(false, ordering: .sequentiallyConsistent)
        else { return }
        wakeUps.add(1, ordering: .relaxed)
        eventfd_write(descriptor, 1)
    }

    /// System calls that woke the loop.
    public var wakeUpCount: UInt64 { wakeUps.load(ordering: .relaxed) }

    /// The loop is about to wait: from here on it must be woken. Follow with a look at every mailbox.
    func willSleep() { isAsleep.store(true, ordering: .sequentiallyConsistent) }

    func isAwake() { isAsleep.store(false, ordering: .sequentiallyConsistent) }

    var hasWork: Bool { hasMail.load(ordering: .sequentiallyConsistent) }

    /// In the loop's thread: everything that `execute` was given.
    func drain() {
        guard hasWork else { return }
        hasMail.store(false, ordering: .sequentiallyConsistent)
        for work in mailbox.withLock({ box in
            defer { box = [] }
            return box
        }) { work() }
    }

    func clearSignal() {
        var count: eventfd_t = 0
        unsafe _ = eventfd_read(descriptor, &count)
    }
}
