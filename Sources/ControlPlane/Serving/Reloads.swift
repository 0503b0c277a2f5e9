// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import Synchronization

/// SIGHUP: the file of `--config` is read and applied again, in a task of its own, so that a stop need not wait for it.
final class Reloads: Sendable {
    private enum Stage {
        case idle, atWork
        /// Once more for all that came meanwhile: the file is read when the turn comes.
        case wantedAgain
    }

    private let stage = Mutex(Stage.idle)
    private let server: RunningServer
    private let logger: Logger

    init(_ server: RunningServer, _ logger: Logger) {
        self.server = server
        self.logger = logger
    }

    /// Returns at once.
    func ask() {
        let isIdle = stage.withLock { stage in
            defer { stage = stage == .idle ? .atWork : .wantedAgain }
            return stage == .idle
        }
        guard isIdle else { return }
        Task.detached { [self] in
            repeat { await reload() } while isWantedAgain()
        }
    }

    private func isWantedAgain() -> Bool {
        stage.withLock { stage in
            stage = stage == .wantedAgain ? .atWork : .idle
            return stage == .atWork
        }
    }

    private func reload() async {
        guard let path = server.options.configurationPath else {
            logger.notice("SIGHUP: there is no --config to be read again")
            return
        }
        do throws(Failure) {
            let report = try await server.reload()
            let sessions = "\(report.changedSessions) session(s) see other LUNs, \(report.endedSessions) ended"
            logger.notice("SIGHUP: \(path) is applied: \(report.steps.count) change(s), \(sessions)")
        } catch {
            logger.error("SIGHUP: nothing is changed: \(error)")
        }
    }
}
