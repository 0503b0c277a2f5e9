// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Testing

@Suite("Receive budget")
struct ReceiveBudgetTests {
    @Test("doubles when it was filled, up to the batch buffer")
    func grows() {
        var budget = ReceiveBudget()
        for expected in [128 << 10, 256 << 10, 512 << 10, 512 << 10] {
            budget.received(budget.byteCount)
            #expect(budget.byteCount == expected)
        }
    }

    @Test("halves only after many receives in a row that hardly used it, and never below the smallest")
    func shrinks() {
        var budget = ReceiveBudget()
        budget.received(budget.byteCount)
        let large = budget.byteCount
        for _ in 1..<ReceiveBudget.patience { budget.received(48) }
        #expect(budget.byteCount == large)
        // One that used it starts the count anew.
        budget.received(large / 4)
        for _ in 1..<ReceiveBudget.patience { budget.received(48) }
        #expect(budget.byteCount == large)
        budget.received(48)
        #expect(budget.byteCount == large / 2)
        for _ in 0..<1000 { budget.received(0) }
        #expect(budget.byteCount == ReceiveBudget.smallest)
    }
}
