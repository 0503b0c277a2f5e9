// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets one emulated COMPARE AND WRITE of a logical unit run at a time (SBC-4 5.3: read, compare and write are one
/// action). Nobody blocks: who must wait is queued, and posted to its own loop when its turn has come.
final class CompareAndWriteLock: Sendable {
    private struct State {
        var isHeld = false
        var waiting: [BlockRequest] = []
    }

    private let state = Mutex(State())

    /// True when the lock is the caller's. Otherwise `request` is posted to its loop once it is.
    func acquire(for request: BlockRequest) -> Bool {
        state.withLock { state in
            if state.isHeld {
                state.waiting.append(request)
                return false
            }
            state.isHeld = true
            return true
        }
    }

    /// Hands the lock to the longest waiting request.
    func release() {
        let next: BlockRequest? = state.withLock { state in
            if state.waiting.isEmpty {
                state.isHeld = false
                return nil
            }
            return state.waiting.removeFirst()
        }
        if let next { next.loop.post(next) }
    }

    /// True when `request` waited and waits no more. False when it holds the lock, or is about to be told so.
    func withdraw(_ request: BlockRequest) -> Bool {
        state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0 === request }) else { return false }
            state.waiting.remove(at: index)
            return true
        }
    }
}
