// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import TargetCore

/// A descriptor that a loop watches for somebody else: a device's, readable while it has completions to be taken.
final class WatchedDescriptor: EventSource {
    private let action: @Sendable () -> Void

    init(_ action: @escaping @Sendable () -> Void) { self.action = action }

    func ready(_ readiness: Readiness) { action() }
}

/// The other end of such a watch: from any thread.
public final class DescriptorWatch: Sendable {
    private let perform: @Sendable (@escaping @Sendable (LoopContext) -> Void) -> Void
    /// Touched in the loop's thread only.
    nonisolated(unsafe) private var registration: EventLoop.Registration?

    fileprivate init(
        _ descriptor: CInt, perform: @escaping @Sendable (@escaping @Sendable (LoopContext) -> Void) -> Void,
        _ ready: @escaping @Sendable () -> Void
    ) {
        self.perform = perform
        perform { [self] context in
            do throws(SystemError) {
                unsafe registration = try context.loop.register(
                    descriptor, interest: .readable, source: WatchedDescriptor(ready))
            } catch {
                context.diagnostics.report(.error, "cannot watch the completions of a device: \(error)")
            }
        }
    }

    /// A turn of a loop that is busy with everything at once.
    private static let loopMilliseconds: UInt64 = 2_000

    /// Returns true when no loop looks at the descriptor any more, so that it may be closed. False: the loop has ended,
    /// or takes too long: the descriptor stays open. Blocks.
    public func end() -> Bool {
        let latch = Latch(count: 1)
        perform { [self] context in
            if let old = unsafe registration { context.loop.remove(old) }
            unsafe registration = nil
            latch.countDown()
        }
        return latch.wait(milliseconds: Self.loopMilliseconds)
    }
}

extension ISCSIServer {
    /// Has one of the loops call `ready` whenever `descriptor` is readable, until the watch or the server ends. `ready`
    /// takes what there is, and must not block. The descriptor stays open until then. After `start`; nil: there are no
    /// loops.
    public func watch(_ descriptor: CInt, _ ready: @escaping @Sendable () -> Void) -> DescriptorWatch? {
        nextLoop().map { DescriptorWatch(descriptor, perform: $0, ready) }
    }
}
