// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Has the commands that change what all nexuses of a logical unit share (its reservations, its mode parameters) take
/// turns: each decides, saves and publishes before the next one looks.
///
/// Nobody blocks: who must wait is posted to its own loop when its turn has come.
final class UnitTurns: Sendable {
    private struct State {
        var holder: BlockRequest?
        /// Oldest first.
        var waiting: [BlockRequest] = []
    }

    private let state = Mutex(State())

    /// True when it is the turn of `request`. Otherwise it is posted to its loop once it is.
    func take(for request: BlockRequest) -> Bool {
        state.withLock { state in
            guard state.holder == nil else {
                state.waiting.append(request)
                return false
            }
            state.holder = request
            return true
        }
    }

    /// The turn of `request` is over.
    func giveBack(_ request: BlockRequest) {
        let next: BlockRequest? = state.withLock { state in
            guard state.holder === request else { return nil }
            state.holder = state.waiting.isEmpty ? nil : state.waiting.removeFirst()
            return state.holder
        }
        if let next { next.loop.post(next) }
    }

    /// True when `request` waited and waits no more. False when its turn has come, or is about to be told.
    func withdraw(_ request: BlockRequest) -> Bool {
        state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0 === request }) else { return false }
            state.waiting.remove(at: index)
            return true
        }
    }
}

extension ITNexus {
    /// True when `task` has the turn of its unit, until it ends. False: the row returns `.wait`, and asks again when it
    /// is called again with the same step.
    func hasTurn(_ task: SCSITask, on unit: NexusUnit) -> Bool {
        switch task.turn {
        case .held:
            return true
        case .waiting:
            return false
        case .none:
            task.turn = unit.unit.turns.take(for: task.request) ? .held : .waiting
            return task.turn == .held
        }
    }

    /// Takes back the wish of a task that waits for its turn.
    func withdrawTurn(of task: SCSITask) -> Bool {
        guard task.turn == .waiting, let unit = task.unit?.object.unit, unit.turns.withdraw(task.request) else {
            return false
        }
        task.turn = .none
        return true
    }
}
