// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import TargetCore

/// Tells the operator which handler is waited for while a device is being opened: check_config, probe and open may take
/// as long as they like.
final class OpeningWatch: @unchecked Sendable {
    // Guarded by `condition`.
    private let condition = ThreadCondition()
    private var hasEnded = false
    private var thread: HostThread?

    private static let periodNanoseconds: UInt64 = 5_000_000_000

    init(_ configString: String, _ handler: Handler, _ diagnostics: Diagnostics) {
        // Without a thread the device opens as well.
        thread = try? HostThread.start("\(handler.subtype)-opens") { [self] in
            let start = clinux_monotonic_nanoseconds()
            while !waitForEnd() {
                let seconds = (clinux_monotonic_nanoseconds() - start) / 1_000_000_000
                diagnostics.report(
                    .warning,
                    "\(configString): the handler \(handler.subtype) has been opening it for \(seconds) s; waiting")
            }
        }
    }

    /// False when a period has gone by first.
    private func waitForEnd() -> Bool {
        let deadline = clinux_monotonic_nanoseconds() + Self.periodNanoseconds
        return condition.withLock {
            while !hasEnded, clinux_monotonic_nanoseconds() < deadline { condition.wait(until: deadline) }
            return hasEnded
        }
    }

    /// Once.
    func end() {
        condition.withLock {
            hasEnded = true
            condition.broadcast()
        }
        thread?.join()
    }
}
