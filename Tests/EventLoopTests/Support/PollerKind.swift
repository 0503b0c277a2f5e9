// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing

/// Every poller passes the same tests.
enum PollerKind: String, CaseIterable, Sendable {
    case epoll, ioUring

    /// Those that this machine has.
    static let allCases: [PollerKind] = {
        do {
            _ = try UringPoller()
            return [.epoll, .ioUring]
        } catch {
            print("io_uring is not tested: \(error)")
            return [.epoll]
        }
    }()

    func make() throws -> any Poller {
        switch self {
        case .epoll: try EpollPoller()
        case .ioUring: try UringPoller()
        }
    }

    func makeLoop() throws -> EventLoop { try EventLoop(handle: LoopHandle(), poller: make()) }
}

extension EventLoop {
    /// Runs until `stop`, or for so long that something must be wrong.
    func run(limitSeconds: UInt64, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let alarm = schedule(afterMilliseconds: limitSeconds * 1000) { [self] in
            Issue.record("what was waited for has not come", sourceLocation: sourceLocation)
            stop()
        }
        try run()
        cancel(alarm)
    }
}
