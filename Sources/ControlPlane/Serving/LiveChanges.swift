// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import Synchronization

/// The changes of a server that runs: one at a time, each on a thread that may wait, until the server stops.
///
/// A change first opens what it needs, which takes as long as handlers like, and may fail; then it commits. A stop waits
/// for what is being committed, and for nothing else: whoever asked for the change hears that it is given up.
final class LiveChanges: Sendable {
    private typealias Continuation = CheckedContinuation<Result<ApplyReport, Failure>, Never>

    private struct State {
        var isStopped = false
        var waiting: [UInt64: Continuation] = [:]
        var lastNumber: UInt64 = 0
        /// The change that is at work.
        var current: UInt64?
        /// It is done, and about to say so.
        var isCommitted = false
    }

    private let state = Mutex(State())
    /// Held over a commitment. True: there will be none any more.
    private let isOver = Mutex(false)
    private let queue = DispatchQueue(label: "martlet-changes")

    static let stopping = Failure.runTime(
        "the server stops, and gives up a change that is not at its end: ask again when it runs again")

    /// Runs `body` when those before it have ended. Throws when the server stops first.
    func perform(
        _ body: @escaping @Sendable () throws(Failure) -> ApplyReport
    ) async throws(Failure) -> ApplyReport {
        let result: Result<ApplyReport, Failure> = await withCheckedContinuation { continuation in
            guard let number = enter(continuation) else { return }
            queue.async { [self] in
                guard begin(number) else { return }
                do throws(Failure) {
                    leave(number, .success(try body()))
                } catch {
                    leave(number, .failure(error))
                }
            }
        }
        return try result.get()
    }

    /// Within a change, when nothing of it can fail any more. Throws when the server stops.
    func commit(_ body: () -> Void) throws(Failure) {
        let isDone = isOver.withLock { isOver in
            guard !isOver else { return false }
            body()
            state.withLock { $0.isCommitted = true }
            return true
        }
        if !isDone { throw Self.stopping }
    }

    /// The server stops: nothing is committed from now on. Returns how many changes are given up. Blocks while one is
    /// being committed.
    func stop() -> Int {
        isOver.withLock { $0 = true }
        let waiting = state.withLock { state in
            state.isStopped = true
            let waiting = state.waiting.filter { $0.key != state.current || !state.isCommitted }
            for number in waiting.keys { state.waiting[number] = nil }
            return waiting
        }
        for continuation in waiting.values { continuation.resume(returning: .failure(Self.stopping)) }
        return waiting.count
    }

    /// Nil: it has been answered.
    private func enter(_ continuation: Continuation) -> UInt64? {
        let number = state.withLock { state -> UInt64? in
            guard !state.isStopped else { return nil }
            state.lastNumber += 1
            state.waiting[state.lastNumber] = continuation
            return state.lastNumber
        }
        if number == nil { continuation.resume(returning: .failure(Self.stopping)) }
        return number
    }

    /// False: it has been given up.
    private func begin(_ number: UInt64) -> Bool {
        state.withLock { state in
            state.current = number
            state.isCommitted = false
            return state.waiting[number] != nil
        }
    }

    private func leave(_ number: UInt64, _ result: Result<ApplyReport, Failure>) {
        state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: result)
    }
}
