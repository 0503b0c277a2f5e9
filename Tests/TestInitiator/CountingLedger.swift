// SPDX-License-Identifier: Apache-2.0

/// Work of which every single command leaves a trace, to prove that none was lost and none was done twice.
///
/// The commands come in pairs, dealt to `laneCount` lanes in turn:
///
/// * COMPARE AND WRITE counts its lane's block from n to n + 1. A command that was lost leaves the counter behind, and
///   every later one of its lane fails with MISCOMPARE; one that is done a second time fails with MISCOMPARE itself.
/// * WRITE puts its number over the whole of its lane's slot of several blocks. One that was lost leaves a number that
///   is too old, unless its successor covers it; so does one that is done again after its successor; one that was
///   done in part leaves two numbers. The counts of the unit's log (below) find what the slots do not show.
///
/// All are ORDERED. Run deeply at level 2, each lane has many commands under way at once on different connections, and
/// they succeed only in the order of CmdSN. Below level 2 a command whose fate is unknown is issued again: then each
/// must wait for its `predecessor`, and MISCOMPARE with the counter already beyond tells that it had been done.
///
/// Beside the medium, the unit's own log counts the commands that it did (LOG SENSE, page 19h): the same work must
/// raise it by the same number, with and without cuts.
package struct CountingLedger {
    /// Bytes 0 to 7: a mark; 8 to 15: the lane; 16 to 23: the count. The rest repeats them.
    private static let mark: UInt64 = 0x4D61_7274_6C65_7431
    /// MISCOMPARE, MISCOMPARE DURING VERIFY OPERATION.
    package static let miscompare = 0xE1D00

    package let laneCount: Int
    package let rounds: Int
    /// Blocks of a slot.
    package let slotBlockCount: Int
    /// Counts begin here, so that a ledger on a used medium differs from the last one.
    package let first: UInt64

    package init(laneCount: Int, rounds: Int, slotBlockCount: Int, first: UInt64 = 0) {
        self.laneCount = laneCount
        self.rounds = rounds
        self.slotBlockCount = slotBlockCount
        self.first = first
    }

    package static func block(lane: Int, count: UInt64) -> [UInt8] {
        let words = (0..<64).map { [mark, UInt64(lane), count][$0 % 3] }
        return words.flatMap { bigEndian($0, count: 8) }
    }

    private func slot(_ lane: Int, _ count: UInt64) -> [UInt8] {
        (0..<slotBlockCount).flatMap { _ in Self.block(lane: lane, count: count) }
    }

    private func counterLBA(_ lane: Int) -> UInt64 { UInt64(lane) }
    private func slotLBA(_ lane: Int) -> UInt64 { UInt64(laneCount + lane * slotBlockCount) }

    /// Writes that set the counters, to be done before the commands.
    package var preparation: [InitiatorCommand] {
        (0..<laneCount).flatMap { lane in
            [
                InitiatorCommand.write(lba: counterLBA(lane), Self.block(lane: lane, count: first)),
                InitiatorCommand.write(lba: slotLBA(lane), slot(lane, first)),
            ]
        }
    }

    package var commands: [InitiatorCommand] {
        (0..<UInt64(rounds)).flatMap { round in
            (0..<laneCount).flatMap { lane in
                let count = first + round
                return [
                    InitiatorCommand.compareAndWrite(
                        lba: counterLBA(lane), old: Self.block(lane: lane, count: count),
                        new: Self.block(lane: lane, count: count + 1)
                    ).with(.ordered),
                    InitiatorCommand.write(lba: slotLBA(lane), slot(lane, count + 1)).with(.ordered),
                ]
            }
        }
    }

    /// The command before this one in its lane and of its kind.
    package func predecessor(of index: Int) -> Int? {
        index < 2 * laneCount ? nil : index - 2 * laneCount
    }

    /// What is wrong with how the commands ended; empty when each was done exactly once.
    package func faults(_ endings: [RecoveringInitiator.Ending]) -> [String] {
        var faults: [String] = []
        if endings.count != 2 * laneCount * rounds { faults.append("\(endings.count) commands ended") }
        for (index, ending) in endings.enumerated() where !ending.outcome.isGood {
            let isKnownDone = ending.issueCount > 1 && ending.outcome.senseCode == Self.miscompare
            guard !isKnownDone else { continue }
            faults.append(
                "command \(index) ended with \(ending.outcome.status), sense "
                    + String(ending.outcome.senseCode ?? 0, radix: 16) + "h, issued \(ending.issueCount) times")
        }
        return faults
    }

    /// What is wrong on the medium.
    package func faults(onMediumOf session: InitiatorSession) throws -> [String] {
        try faults { try session.perform($0) }
    }

    /// What is wrong on the medium, as `perform` reads it.
    package func faults(_ perform: (InitiatorCommand) throws -> CommandOutcome) throws -> [String] {
        var faults: [String] = []
        let last = first + UInt64(rounds)
        for lane in 0..<laneCount {
            let counter = try perform(.read(lba: counterLBA(lane), blockCount: 1)).data
            if counter != Self.block(lane: lane, count: last) {
                faults.append("lane \(lane) counts \(counter.bigEndian(at: 16, count: 8)), not \(last)")
            }
            let slot = try perform(.read(lba: slotLBA(lane), blockCount: slotBlockCount)).data
            if slot != self.slot(lane, last) {
                let counts = (0..<slotBlockCount).map { slot.bigEndian(at: $0 * 512 + 16, count: 8) }
                faults.append("the slot of lane \(lane) holds \(counts), not \(last)")
            }
        }
        return faults
    }

    /// Read and write commands that the unit has done, as it counts them itself (SPC-4 7.3.8, parameter 0001h).
    package static func commandCounts(_ session: InitiatorSession) throws -> (reads: UInt64, writes: UInt64) {
        var command = InitiatorCommand([0x4D, 0, 0x59, 0, 0, 0, 0, 1, 0, 0], readingByteCount: 256)
        command.attribute = .simple
        let data = try session.perform(command).data
        guard data.count >= 24, data.bigEndian(at: 4, count: 2) == 1 else {
            throw InitiatorFailure(.misuse, "LOG SENSE gave no general statistics: \(data.prefix(32))")
        }
        return (data.bigEndian(at: 8, count: 8), data.bigEndian(at: 16, count: 8))
    }
}
