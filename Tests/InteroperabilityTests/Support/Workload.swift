// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Random writes to a region that nobody else writes, each verified: the region's true content is known at any time.
struct Workload {
    static let stripeCount = 8
    /// Longest command, in blocks: more than a first burst, less than a maximum burst.
    static let longestCommandBlockCount = 200

    private let client: any SCSIClient
    private let first: UInt64
    private let stripeBlockCount: Int
    private var generations: [UInt64]
    private var random: SplitMix64
    private var generation: UInt64 = 0

    /// - Parameter blockCount: of the region, divided among `stripeCount` commands that are under way at once.
    init(_ client: any SCSIClient, first: UInt64, blockCount: Int, seed: UInt64) {
        self.client = client
        self.first = first
        stripeBlockCount = blockCount / Self.stripeCount
        generations = [UInt64](repeating: 0, count: stripeBlockCount * Self.stripeCount)
        random = SplitMix64(seed: seed)
    }

    /// Eight writes at once, then eight reads at once of what may or may not have been written.
    mutating func step() throws {
        generation += 1
        let writes = (0..<Self.stripeCount).map { range(inStripe: $0) }
        for outcome in try client.perform(writes.map { write($0) }) where outcome.status != Outcome.good {
            throw HarnessError("a write ended with \(outcome)")
        }
        for range in writes { for block in range { generations[block] = generation } }
        try verify((0..<Self.stripeCount).map { range(inStripe: $0) })
    }

    /// Reads everything and compares it, with `reader` instead of the writer if given.
    func verifyAll(with reader: (any SCSIClient)? = nil) throws {
        let whole = stride(from: 0, to: generations.count, by: Self.longestCommandBlockCount)
        for start in whole {
            try verify([start..<min(start + Self.longestCommandBlockCount, generations.count)], with: reader)
        }
    }

    private func verify(_ ranges: [Range<Int>], with reader: (any SCSIClient)? = nil) throws {
        let commands = ranges.map { Command.read16(lba: first + UInt64($0.lowerBound), blockCount: $0.count) }
        for (range, outcome) in zip(ranges, try (reader ?? client).perform(commands)) {
            guard outcome.status == Outcome.good, outcome.data.count == range.count * Block.byteCount else {
                throw HarnessError("a read of \(range) ended with \(outcome.status), \(outcome.data.count) bytes")
            }
            for (index, block) in range.enumerated() {
                let bytes = outcome.data[index * Block.byteCount..<(index + 1) * Block.byteCount]
                let found = Block.generation(of: bytes, lba: first + UInt64(block))
                guard found == generations[block] else {
                    let wanted = "generation \(generations[block])"
                    throw HarnessError("block \(first + UInt64(block)) has \(String(describing: found)), not \(wanted)")
                }
            }
        }
    }

    private mutating func range(inStripe stripe: Int) -> Range<Int> {
        let count = Int.random(in: 1...min(Self.longestCommandBlockCount, stripeBlockCount), using: &random)
        let start = stripe * stripeBlockCount + Int.random(in: 0...stripeBlockCount - count, using: &random)
        return start..<start + count
    }

    private func write(_ range: Range<Int>) -> Command {
        let lba = first + UInt64(range.lowerBound)
        return .write16(lba: lba, Block.contents(lba: lba, blockCount: range.count, generation: generation))
    }
}

/// Runs `body` on `count` threads of its own, with the thread's number, and throws the first error.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
    final class Failures: @unchecked Sendable {  // every access is under the lock
        private let lock = NSLock()
        private var first: (any Error)?

        func note(_ error: any Error) { lock.withLock { if first == nil { first = error } } }
        func check() throws { if let error = lock.withLock({ first }) { throw error } }
    }
    let failures = Failures()
    let group = DispatchGroup()
    for number in 0..<count {
        group.enter()
        Thread.detachNewThread {
            defer { group.leave() }
            do { try body(number) } catch { failures.note(error) }
        }
    }
    group.wait()
    try failures.check()
}
