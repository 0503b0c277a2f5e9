// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// An initiator with two paths to one logical unit, as a multipath driver with the policy "failover" has them: it uses
/// one, and turns to the other when that gives no answer, with all that was not answered.
///
/// It knows of each block which write was acknowledged last, and which ones are still open.
final class FailoverInitiator {
    static let blockCount: UInt64 = 16384
    static let longestCommandBlockCount = 16
    static let commandCount = 24
    /// NOT READY, TARGET PORT IN STANDBY STATE: a server that was fenced.
    static let standby = Outcome.Sense(key: 0x02, additional: 0x040B)

    private struct Write {
        let blocks: Range<UInt64>
        let generation: UInt64
    }

    private let urls: [LogicalUnitURL]
    private var session: WireSession
    private(set) var path = 0
    private var random: SplitMix64
    private var generation: UInt64 = 0
    private var acknowledged: [UInt64: UInt64] = [:]
    private(set) var failoverCount = 0

    init(_ urls: [LogicalUnitURL], seed: UInt64) throws {
        self.urls = urls
        random = SplitMix64(seed: seed)
        session = try WireSession(urls[0])
    }

    /// Many writes and reads at once; `disturb` is called while they are under way. What is not answered GOOD goes over
    /// the other path, after a look at what became of it.
    func round(disturb: () throws -> Void = {}) throws {
        let (writes, reads) = makeCommands()
        let commands = writes.map { command($0) } + reads.map { read($0) }
        var tags: [UInt32] = []
        var outcomes: [Outcome?]
        do {
            for (index, command) in commands.enumerated() {
                if index == commands.count / 2 { try disturb() }
                tags.append(try session.submit(command))
            }
            outcomes = try session.collect(tags)
        } catch {
            outcomes = session.outcomes(tags)
        }
        outcomes += [Outcome?](repeating: nil, count: commands.count - outcomes.count)
        let open = try settle(writes, reads, outcomes)
        if !open.isEmpty { try failOver(open) }
    }

    /// Leaves so many writes under way on the path, unanswered, and turns to the other one. Returns the session, whose
    /// server may still do them.
    func abandon() throws -> (session: WireSession, tags: [UInt32]) {
        let (writes, _) = makeCommands()
        let abandoned = session
        let tags = try writes.map { try abandoned.submit(command($0)) }
        try failOver(writes)
        return (abandoned, tags)
    }

    /// Uses the other path from now on, though this one may answer.
    func switchPath() throws { try failOver([]) }

    /// Every block that was ever written holds its last acknowledged content.
    func verifyAll() throws {
        for (block, generation) in acknowledged.sorted(by: { $0.key < $1.key }) {
            let found = Block.generation(of: try session.read(lba: block, blockCount: 1)[...], lba: block)
            guard found == generation else {
                throw HarnessError("block \(block) has \(String(describing: found)), not \(generation)")
            }
        }
    }

    /// Extents in stripes of their own, so that none of a round meets another; every other one is read.
    private func makeCommands() -> (writes: [Write], reads: [Range<UInt64>]) {
        generation += 1
        let stripe = Self.blockCount / UInt64(Self.commandCount)
        let extents = (0..<UInt64(Self.commandCount)).map { number -> Range<UInt64> in
            let count = UInt64.random(in: 1...UInt64(Self.longestCommandBlockCount), using: &random)
            // A small part of the stripe, so that blocks are written again and again.
            let start = number * stripe + UInt64.random(in: 0...32, using: &random)
            return start..<start + count
        }
        let writes = extents.enumerated().filter { $0.offset % 2 == 0 }.map {
            Write(blocks: $0.element, generation: generation)
        }
        return (writes, extents.enumerated().filter { $0.offset % 2 == 1 }.map(\.element))
    }

    private func command(_ write: Write) -> Command {
        let lba = write.blocks.lowerBound
        return .write16(
            lba: lba, Block.contents(lba: lba, blockCount: write.blocks.count, generation: write.generation))
    }

    private func read(_ blocks: Range<UInt64>) -> Command {
        .read16(lba: blocks.lowerBound, blockCount: blocks.count)
    }

    /// Notes what was acknowledged, and checks what was read. Returns the writes that are open.
    private func settle(
        _ writes: [Write], _ reads: [Range<UInt64>], _ outcomes: [Outcome?]
    ) throws -> [Write] {
        var open: [Write] = []
        for (write, outcome) in zip(writes, outcomes) {
            if try isGood(outcome) {
                for block in write.blocks { acknowledged[block] = write.generation }
            } else {
                open.append(write)
            }
        }
        for (blocks, outcome) in zip(reads, outcomes.dropFirst(writes.count)) {
            guard let outcome, try isGood(outcome) else { continue }
            for (index, block) in blocks.enumerated() {
                let bytes = outcome.data[index * Block.byteCount..<(index + 1) * Block.byteCount]
                guard Block.generation(of: bytes, lba: block) == acknowledged[block, default: 0] else {
                    throw HarnessError("block \(block) was read, and is not what was acknowledged")
                }
            }
        }
        return open
    }

    /// False when the command is to be tried over the other path.
    private func isGood(_ outcome: Outcome?) throws -> Bool {
        guard let outcome else { return false }
        if outcome.status == Outcome.good { return true }
        guard outcome.sense == Self.standby else { throw HarnessError("a command ended with \(outcome)") }
        return false
    }

    private func failOver(_ open: [Write]) throws {
        failoverCount += 1
        path = (path + 1) % urls.count
        session = try WireSession(urls[path])
        // What was not acknowledged is old or new, block by block, and never torn.
        for write in open {
            for block in write.blocks {
                let bytes = try session.read(lba: block, blockCount: 1)
                let found = Block.generation(of: bytes[...], lba: block)
                guard found == acknowledged[block, default: 0] || found == write.generation else {
                    throw HarnessError("block \(block), not acknowledged, has \(String(describing: found))")
                }
            }
        }
        // With a content of its own, so that an old one that lands late would be seen.
        generation += 1
        let again = open.map { Write(blocks: $0.blocks, generation: generation) }
        for (write, outcome) in zip(again, try session.perform(again.map { command($0) })) {
            guard outcome.status == Outcome.good else { throw HarnessError("after failover: \(outcome)") }
            for block in write.blocks { acknowledged[block] = write.generation }
        }
    }
}
