// SPDX-License-Identifier: Apache-2.0

public import SCSI
import Synchronization

/// The background operation of a logical unit, one at most; what the last one left behind; the self-tests.
final class UnitOperations: Sendable {
    private struct State {
        var current: BackgroundOperation?
        /// Begins when `current`, which was cancelled for it, has ended.
        var next: BackgroundOperation?
        /// Wait until `current` has been cut off; nil while the unit stays.
        var stopWaiters: [@Sendable () -> Void]?
        /// A sanitize operation has failed, or was cut off.
        var sanitizeFailure: SanitizeFailure?
        /// Newest first.
        var selfTests: [SelfTestResult] = []
    }

    private let state: Mutex<State>
    // Made with the first operation and used again for each: a device may hold on to it as long as the unit lives.
    private let record = Mutex<BlockRequest?>(nil)

    init(_ durable: DurableUnitState, conditions: UnitConditions) {
        state = Mutex(State(sanitizeFailure: durable.sanitizeFailure))
        if durable.sanitizeFailure != nil { conditions.set(.sanitizing, true) }
        if durable.isFormatCorrupt ?? false { conditions.set(.formatCorrupt, true) }
    }

    /// The request of the current operation, which runs on `loop`.
    func request(for loop: any OwnerLoop) -> BlockRequest {
        record.withLock { record in
            let request = record ?? BlockRequest(loop: loop)
            record = request
            request.move(to: loop)
            return request
        }
    }

    var request: BlockRequest {
        guard let request = record.withLock({ $0 }) else { preconditionFailure("no operation has begun") }
        return request
    }

    var current: BackgroundOperation? { state.withLock { $0.current } }

    /// PROGRESS INDICATION of what is at work, or about to be.
    var progress: UInt16 { state.withLock { $0.next == nil ? $0.current?.progress ?? 0 : 0 } }

    /// A sanitize operation is at work, or about to be, and has not failed.
    var isSanitizing: Bool {
        state.withLock { state in
            (state.next ?? state.current)?.kind == .sanitize || state.sanitizeFailure == nil
        }
    }

    /// False: another one is at work that cannot be cancelled, or waits to begin. In the thread of the operation's loop.
    func begin(_ operation: BackgroundOperation) -> Bool {
        let (isTaken, cancelled): (Bool, BackgroundOperation?) = state.withLock { state in
            guard state.stopWaiters == nil else { return (false, nil) }
            guard let current = state.current else {
                state.current = operation
                return (true, nil)
            }
            guard current.kind.canBeCancelled, !operation.kind.canBeCancelled, state.next == nil else {
                return (false, nil)
            }
            state.next = operation
            return (true, current)
        }
        if let cancelled { cancelled.cancel(.abortedOtherwise) } else if isTaken { operation.start() }
        return isTaken
    }

    /// In the thread of the operation's loop.
    func ended(_ operation: BackgroundOperation) {
        var waiters: [@Sendable () -> Void] = []
        let next = state.withLock { state in
            state.current = state.next
            state.next = nil
            if state.current == nil, let stopped = state.stopWaiters {
                waiters = stopped
                state.stopWaiters = []
            }
            return state.current
        }
        if let next { next.loop.perform { next.start() } }
        for waiter in waiters { waiter() }
    }

    /// No operation begins any more. `completion` is called, from any thread, when the one at work has been cut off: what
    /// it has noted as durable says so. From any thread.
    func stop(_ completion: @escaping @Sendable () -> Void) {
        let current = state.withLock { state in
            state.next = nil
            state.stopWaiters = (state.stopWaiters ?? []) + (state.current == nil ? [] : [completion])
            return state.current
        }
        if let current { current.cutOff() } else { completion() }
    }

    var sanitizeFailure: SanitizeFailure? {
        get { state.withLock { $0.sanitizeFailure } }
        set { state.withLock { $0.sanitizeFailure = newValue } }
    }

    /// EXIT FAILURE MODE: unless another sanitize operation has begun.
    func forgetSanitizeFailure(on unit: LogicalUnit) {
        state.withLock { state in
            guard (state.next ?? state.current)?.kind != .sanitize else { return }
            state.sanitizeFailure = nil
            unit.conditions.set(.sanitizing, false)
        }
    }

    // MARK: - Self-tests

    static let selfTestResultCount = 20

    var selfTestResults: [SelfTestResult] { state.withLock { $0.selfTests } }

    func selfTestBegan(_ code: SendDiagnosticRequest.SelfTestCode) {
        state.withLock { state in
            state.selfTests.insert(SelfTestResult(code: code, outcome: .inProgress), at: 0)
            state.selfTests = Array(state.selfTests.prefix(Self.selfTestResultCount))
        }
    }

    /// Ends a self-test that is at work. False: there is none in background mode.
    @discardableResult
    func abortSelfTest(_ outcome: SelfTestResult.Outcome = .abortedOtherwise) -> Bool {
        guard let current, case .selfTest(_, let isForeground) = current.kind else { return false }
        current.cancel(outcome)
        return !isForeground
    }

    func selfTestEnded(_ result: SelfTestResult) {
        state.withLock { state in
            guard let first = state.selfTests.first, first.outcome == .inProgress else { return }
            state.selfTests[0] = result
        }
    }
}

/// What is kept of a sanitize operation from its beginning until it has ended well.
public struct SanitizeFailure: Codable, Equatable, Sendable {
    /// AUSE: EXIT FAILURE MODE will do.
    public var allowsUnrestrictedExit: Bool

    public init(allowsUnrestrictedExit: Bool) { self.allowsUnrestrictedExit = allowsUnrestrictedExit }
}

extension LogicalUnit {
    /// The last self-tests by SELF-TEST CODE, newest first, 20 at most: for the Self-Test Results log page (10h).
    public var selfTestResults: [SelfTestResult] { operations.selfTestResults }
}
