// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop

/// Signals as events. They are blocked in the main thread, and so in every thread that it starts, and one thread of
/// ours takes them: nothing ever runs in a signal handler.
public enum Signals {
    public enum Event: Sendable, Equatable {
        /// SIGTERM or SIGINT.
        case stop
        /// SIGHUP.
        case reload
    }

    private static let watched = [SIGTERM, SIGINT, SIGHUP]

    /// Before any other thread is started. SIGPIPE is ignored: a peer that has gone is an errno like any other.
    public static func prepare() {
        for signal in watched { _ = clinux_block_signal(signal) }
        _ = clinux_ignore_signal(SIGPIPE)
    }

    /// Starts the thread that waits for signals; `deliver` is called in it.
    public static func watch(_ deliver: @escaping @Sendable (Event) -> Void) throws(Failure) {
        do throws(SystemError) {
            _ = try LoopThread(name: "martlet-signals") {
                while true { deliver(next()) }
            }
        } catch {
            throw .runTime("the thread for signals cannot be started: \(error)")
        }
    }

    private static func next() -> Event {
        var set = sigset_t()
        // `set` and `number` are ours, and written before they are read.
        unsafe sigemptyset(&set)
        for signal in watched { unsafe _ = sigaddset(&set, signal) }
        var number: CInt = 0
        while unsafe sigwait(&set, &number) != 0 {}
        return number == SIGHUP ? .reload : .stop
    }
}
