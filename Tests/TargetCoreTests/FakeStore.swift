// SPDX-License-Identifier: Apache-2.0

import Foundation
import TargetCore

/// Stable storage in memory, which ends a save when the test says so, or fails it.
final class FakeStore: DurableStore, @unchecked Sendable {
    private struct State {
        var saved: DurableUnitState
        var saveCount = 0
        var isDeferred = false
        var fails = false
        var waiting: [(state: DurableUnitState, completion: @Sendable (Bool) -> Void)] = []
    }

    let loaded: DurableUnitState
    private let lock = NSLock()
    private var state: State

    init(_ loaded: DurableUnitState = DurableUnitState(), fails: Bool = false) {
        self.loaded = loaded
        state = State(saved: loaded, fails: fails)
    }

    /// What is on stable storage.
    var saved: DurableUnitState { lock.withLock { state.saved } }
    var saveCount: Int { lock.withLock { state.saveCount } }
    var waitingCount: Int { lock.withLock { state.waiting.count } }

    /// Saves end when the test calls `endSave`.
    var isDeferred: Bool {
        get { lock.withLock { state.isDeferred } }
        set { lock.withLock { state.isDeferred = newValue } }
    }

    var fails: Bool {
        get { lock.withLock { state.fails } }
        set { lock.withLock { state.fails = newValue } }
    }

    func save(_ new: DurableUnitState, completion: @escaping @Sendable (Bool) -> Void) {
        let isDeferred = lock.withLock {
            state.waiting.append((new, completion))
            return state.isDeferred
        }
        if !isDeferred { endSave() }
    }

    func endSave() {
        let (completion, isSaved) = lock.withLock {
            let (new, completion) = state.waiting.removeFirst()
            if !state.fails {
                state.saved = new
                state.saveCount += 1
            }
            return (completion, !state.fails)
        }
        completion(isSaved)
    }
}

extension Rig {
    /// A unit of a store that caches, with a place for its durable state.
    init(_ store: FakeStore) {
        self.init(FakeDevice(features: SampleCommand.features)) { $0.store = store }
    }
}
