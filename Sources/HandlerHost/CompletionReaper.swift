// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Synchronization

/// Watches the completion descriptor of a device's handler, in a thread of the device's own, as long as no loop of a
/// server does.
///
/// `descriptor` stands for the handler's own and keeps its number while the store is closed and opened again, so that
/// nobody ever polls a number that means something else by now.
///
/// Sendable: the descriptors are fixed when it is made, and the rest is atomic.
final class CompletionReaper: Sendable {
    private enum Mode {
        static let watching: UInt8 = 0
        /// A loop watches.
        static let parked: UInt8 = 1
        static let stopping: UInt8 = 2
    }

    /// Readable while the handler has completions, never while its store is closed.
    let descriptor: CInt
    /// What `descriptor` stands for while the store is closed: an event that nobody signals.
    private let silence: CInt
    private let waker: CInt
    private let mode = Atomic<UInt8>(Mode.watching)
    private let isGivenUp = Atomic<Bool>(false)

    init() throws(SystemFiles.Failure) {
        var made: [CInt] = []
        while made.count < 3 {
            let event = eventfd(0, clinux_efd_nonblock | clinux_efd_cloexec)
            guard event >= 0 else {
                let failure = SystemFiles.lastFailure()
                for earlier in made { _ = close(earlier) }
                throw failure
            }
            made.append(event)
        }
        descriptor = made[0]
        silence = made[1]
        waker = made[2]
    }

    deinit { giveUp() }

    /// Closes the descriptors. `run` has ended, nobody watches `descriptor`, and nothing more is asked. Safe to call
    /// again.
    func giveUp() {
        guard !isGivenUp.exchange(true, ordering: .acquiringAndReleasing) else { return }
        for each in [descriptor, silence, waker] { _ = close(each) }
    }

    /// The store is open. False: the handler's descriptor is none.
    func attach(_ handlerDescriptor: CInt) -> Bool {
        guard clinux_replace_descriptor(descriptor, handlerDescriptor) >= 0 else { return false }
        wake()
        return true
    }

    /// The store is about to be closed: keeps nothing of the handler's alive.
    func detach() {
        _ = clinux_replace_descriptor(descriptor, silence)
        wake()
    }

    /// A loop watches `descriptor` from now on.
    func park() { change(to: Mode.parked) }

    /// No loop can be relied on from now on.
    func takeBack() { change(to: Mode.watching) }

    /// Ends `run`.
    func stop() { change(to: Mode.stopping) }

    private func change(to wanted: UInt8) {
        if mode.exchange(wanted, ordering: .acquiringAndReleasing) != wanted { wake() }
    }

    /// Has the thread look afresh: a poll(2) under way goes on with what the number stood for when it began.
    private func wake() {
        var one: UInt64 = 1
        // Eight bytes of our own; the event's counter cannot be full.
        unsafe _ = write(waker, &one, 8)
    }

    /// The body of the thread: calls `reap` when there is something to take.
    func run(_ reap: () -> Void) {
        while true {
            let current = mode.load(ordering: .acquiring)
            if current == Mode.stopping { return }
            // poll(2) passes over a negative descriptor.
            var looks = [
                pollfd(fd: waker, events: Int16(POLLIN), revents: 0),
                pollfd(fd: current == Mode.watching ? descriptor : -1, events: Int16(POLLIN), revents: 0),
            ]
            // Two entries of our own.
            guard unsafe poll(&looks, 2, -1) > 0 else { continue }
            if looks[0].revents != 0 {
                var count: UInt64 = 0
                unsafe _ = read(waker, &count, 8)
            }
            if looks[1].revents != 0 { reap() }
        }
    }
}
