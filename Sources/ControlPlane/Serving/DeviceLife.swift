// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import Transport

/// What happens to an open device once: a loop watches it, the watch ends, and it is closed.
///
/// Sendable: all is guarded by `condition`.
final class DeviceLife: @unchecked Sendable {
    private enum Stage { case open, closing, closed }

    private let condition = NSCondition()
    private var stage = Stage.open
    private var watch: DescriptorWatch?

    /// A loop takes its completions.
    func isWatched(by watch: DescriptorWatch?) { condition.withLock { self.watch = watch } }

    /// The watch that is to end now; nil: there is none any more.
    func takeWatch() -> DescriptorWatch? {
        condition.withLock {
            defer { watch = nil }
            return watch
        }
    }

    /// The first call runs `body`, and all others wait for the end of it.
    func close(_ body: () -> Void) {
        guard mayClose() else { return }
        body()
        condition.withLock {
            stage = .closed
            condition.broadcast()
        }
    }

    /// False: somebody else has closed it by now.
    private func mayClose() -> Bool {
        condition.withLock {
            guard stage != .open else {
                stage = .closing
                return true
            }
            while stage != .closed { condition.wait() }
            return false
        }
    }

    /// False: it is not closed yet.
    func waitUntilClosed(until deadline: Date) -> Bool {
        condition.withLock {
            while stage != .closed { guard condition.wait(until: deadline) else { break } }
            return stage == .closed
        }
    }
}
