// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import TargetCore

/// A descriptor that a loop watches for somebody else: a device's, readable while it has completions to be taken.
final class WatchedDescriptor: EventSource {
    private let action: @Sendable () -> Void

    init(_ action: @escaping @Sendable () -> Void) { self.action = action }

    func ready(_ readiness: Readiness) { action() }
}

extension ISCSIServer {
    /// Has one of the loops call `ready` whenever `descriptor` is readable, until the server stops. `ready` takes what
    /// there is, and must not block. The descriptor stays open until then. After `start`.
    public func watch(_ descriptor: CInt, _ ready: @escaping @Sendable () -> Void) {
        performOnNextLoop { context in
            do throws(SystemError) {
                _ = try context.loop.register(descriptor, interest: .readable, source: WatchedDescriptor(ready))
            } catch {
                context.diagnostics.report(.error, "cannot watch the completions of a device: \(error)")
            }
        }
    }
}
