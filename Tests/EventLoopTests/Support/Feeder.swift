// SPDX-License-Identifier: Apache-2.0

import EventLoop

/// Writes `Pattern`'s bytes to the peer's end, in each turn as many as `size` says.
final class Feeder: TurnWork {
    private let pair: SocketPair
    private let total: Int
    private let salt: Int
    private let size: () -> Int
    private(set) var offset = 0
    /// After each turn.
    var turned: () -> Void = {}

    init(_ pair: SocketPair, total: Int, salt: Int = 0, size: @escaping () -> Int) {
        self.pair = pair
        self.total = total
        self.salt = salt
        self.size = size
    }

    var hasPending: Bool { offset < total }

    func drain() {}

    func turnEnded() {
        if hasPending {
            let end = min(total, offset + max(0, size()))
            if end > offset { offset += pair.write(Pattern.bytes(offset..<end, salt: salt)) }
        }
        turned()
    }
}
