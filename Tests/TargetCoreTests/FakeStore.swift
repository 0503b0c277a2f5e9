// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TargetCore

/// Keeps the state in memory: what a file would hold.
final class FakeStore: DurableStore {
    private let state: Mutex<DurableUnitState>
    private let fails = Mutex(false)
    private let savedCount = Mutex(0)

    init(_ state: DurableUnitState = DurableUnitState()) { self.state = Mutex(state) }

    var loaded: DurableUnitState { state.withLock { $0 } }
    var saves: Int { savedCount.withLock { $0 } }
    var isFailing: Bool {
        get { fails.withLock { $0 } }
        set { fails.withLock { $0 = newValue } }
    }

    func save(_ new: DurableUnitState, completion: @escaping @Sendable (Bool) -> Void) {
        if isFailing { return completion(false) }
        state.withLock { $0 = new }
        savedCount.withLock { $0 += 1 }
        completion(true)
    }
}
