// SPDX-License-Identifier: Apache-2.0

import TargetCore

/// Stable storage in memory, which ends a save when the test says so, or fails it.
final class FakeStore: DurableStore, @unchecked Sendable {
    let loaded: DurableUnitState
    /// What is on stable storage.
    private(set) var saved: DurableUnitState
    private(set) var saveCount = 0
    /// Saves end when the test calls `endSave`.
    var isDeferred = false
    var fails = false
    private var waiting: [(state: DurableUnitState, completion: @Sendable (Bool) -> Void)] = []

    init(_ loaded: DurableUnitState = DurableUnitState()) {
        self.loaded = loaded
        saved = loaded
    }

    var waitingCount: Int { waiting.count }

    func save(_ state: DurableUnitState, completion: @escaping @Sendable (Bool) -> Void) {
        waiting.append((state, completion))
        if !isDeferred { endSave() }
    }

    func endSave() {
        let (state, completion) = waiting.removeFirst()
        if !fails {
            saved = state
            saveCount += 1
        }
        completion(!fails)
    }
}

extension Rig {
    /// A unit of a store that caches, with a place for its durable state.
    init(_ store: FakeStore) {
        self.init(FakeDevice(features: SampleCommand.features)) { $0.store = store }
    }
}
