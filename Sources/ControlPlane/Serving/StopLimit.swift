// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import HandlerHost
internal import Logging
internal import Synchronization

/// Sees to it that a wish to stop is kept. A handler may hold a command, or a callout, for ever: no interface takes one
/// back. So when the stop has taken too long, the process ends with an error that names who held it up.
public final class StopLimit: Sendable {
    /// Longer than a flush on a loaded disk, shorter than the 90 seconds after which systemd kills.
    public static let defaultSeconds = 60

    private struct State {
        /// Devices on their way to be opened, by where they were asked for.
        var opening: [String: String] = [:]
        var open: [(origin: String, device: HandlerDevice)] = []
        var isArmed = false
    }

    private let state = Mutex(State())
    private let seconds: Int

    /// `seconds`: 0 is no limit.
    init(seconds: Int) { self.seconds = seconds }

    /// Sessions may use up half of the time: the other half is for flushing and closing what is sound.
    func shorten(_ milliseconds: inout UInt64) {
        if seconds > 0 { milliseconds = min(milliseconds, UInt64(seconds) * 500) }
    }

    func opens(_ origin: String, subtype: String) { state.withLock { $0.opening[origin] = subtype } }

    /// Well or not.
    func hasOpened(_ origin: String) { state.withLock { $0.opening[origin] = nil } }

    func watch(_ device: HandlerDevice, _ origin: String) { state.withLock { $0.open.append((origin, device)) } }

    /// It is closed.
    func forget(_ device: HandlerDevice) { state.withLock { $0.open.removeAll { $0.device === device } } }

    /// What handlers have not ended of the openings that were asked of them, each a clause.
    var openings: [String] {
        state.withLock { state in
            state.opening.map { "\($0): the handler \($1) has not returned from open" }.sorted()
        }
    }

    /// The stop has begun. From any thread; once.
    func begin(_ logger: Logger) {
        let isFirst = state.withLock { state in
            defer { state.isArmed = true }
            return !state.isArmed
        }
        guard isFirst, seconds > 0 else { return }
        do throws(SystemError) {
            _ = try LoopThread(name: "martlet-stop") { [self] in
                clinux_sleep(UInt64(seconds) * 1_000_000_000)
                StandardError.write("martlet: \(sentence())\n")
                _exit(Failure.Kind.runTime.rawValue)
            }
        } catch {
            logger.warning("there is no limit to this stop: \(error)")
        }
    }

    /// Who holds up the stop.
    private func sentence() -> String {
        let closing = state.withLock { state in
            state.open.compactMap { origin, device in
                device.unfinishedBusiness.map { "\(origin): the handler \(device.handler.subtype) \($0)" }
            }
        }
        let held = openings + closing
        let late = "not stopped within \(seconds) s of the signal"
        guard !held.isEmpty else { return "\(late), although every device is closed; --stop-limit sets that time" }
        return "\(late): \(held.sorted().joined(separator: "; ")). What was written there since the last flush may be "
            + "lost; --stop-limit sets that time"
    }
}
