// SPDX-License-Identifier: Apache-2.0

import Foundation
import TargetCore

/// A loop that turns only when the test says so, in the test's thread.
final class FakeLoop: OwnerLoop, @unchecked Sendable {
    private enum Item {
        case request(BlockRequest)
        case work(@Sendable () -> Void)
    }

    private let condition = NSCondition()
    private var items: [Item] = []

    func post(_ request: BlockRequest) { add(.request(request)) }
    func perform(_ work: @escaping @Sendable () -> Void) { add(.work(work)) }

    private func add(_ item: Item) {
        condition.lock()
        items.append(item)
        condition.signal()
        condition.unlock()
    }

    private func take(waiting: Bool) -> Item? {
        condition.lock()
        defer { condition.unlock() }
        while waiting && items.isEmpty { condition.wait() }
        return items.isEmpty ? nil : items.removeFirst()
    }

    /// Does all that has been posted. False when there was nothing.
    @discardableResult
    func turn() -> Bool {
        var hasWorked = false
        while let item = take(waiting: false) {
            run(item)
            hasWorked = true
        }
        return hasWorked
    }

    /// Waits for other threads until `isDone`.
    func turn(until isDone: () -> Bool) {
        while !isDone() {
            if let item = take(waiting: true) { run(item) }
        }
    }

    private func run(_ item: Item) {
        switch item {
        case .request(let request): request.resume()
        case .work(let work): work()
        }
    }
}
