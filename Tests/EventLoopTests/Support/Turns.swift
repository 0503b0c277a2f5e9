// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing

/// Keeps the loop turning, and does something in each turn.
final class Restless: TurnWork {
    private let isOver: () -> Bool
    private let body: () -> Void

    init(_ body: @escaping () -> Void, until isOver: @escaping () -> Bool) {
        self.isOver = isOver
        self.body = body
    }

    convenience init(_ body: @escaping () -> Void) { self.init(body, until: { false }) }

    var hasPending: Bool { !isOver() }
    func drain() {}
    func turnEnded() { body() }
}

/// How often the loop turns.
final class TurnCounter: TurnWork {
    private(set) var count = 0
    var hasPending: Bool { false }
    func drain() {}
    func turnEnded() { count += 1 }
}

/// Until all that was written is taken, and a few turns more.
func runUntilDrained(_ loop: EventLoop, _ pair: SocketPair) throws {
    var turnsLeft = 5
    try runTurns(loop) {
        if pair.isDrained { turnsLeft -= 1 }
        return turnsLeft == 0
    }
}

func runTurns(_ loop: EventLoop, _ count: Int) throws {
    var turnsLeft = count
    try runTurns(loop) {
        turnsLeft -= 1
        return turnsLeft == 0
    }
}

/// Turns without sleep until `isOver`.
func runTurns(_ loop: EventLoop, isOver: @escaping () -> Bool) throws {
    var isDone = false
    let body = { [unowned loop] in
        guard !isDone, isOver() else { return }
        isDone = true
        loop.stop()
    }
    loop.add(Restless(body, until: { isDone }))
    try loop.run(limitSeconds: 20)
}
