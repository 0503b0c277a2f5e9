// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// A thread of our own that runs one event loop from beginning to end.
public final class LoopThread: @unchecked Sendable {
    /// Handlers that complete inline run on it, and may be anybody's.
    private static let stackByteCount = 2 << 20

    private let thread: pthread_t

    /// Starts a thread named `name` (15 bytes are shown by the kernel) that runs `body`.
    public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let box = unsafe Unmanaged.passRetained(Body(run: body))
        var thread = pthread_t()
        // The box is kept alive until the thread takes it, which it does first of all.
        let code = unsafe clinux_thread_start(
            &thread, Self.stackByteCount, name,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            unsafe box.release()
            throw SystemError(call: "pthread_create", code: code)
        }
        self.thread = thread
    }

    /// Waits until the thread has ended. Once only.
    public func join() {
        _ = pthread_join(thread, nil)
    }

    private final class Body: Sendable {
        let run: @Sendable () -> Void

        init(run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
