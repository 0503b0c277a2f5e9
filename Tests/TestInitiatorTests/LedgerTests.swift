// SPDX-License-Identifier: Apache-2.0

import TestInitiator
import Testing

/// The proof is one only if it fails when it should: the ledger against a medium in memory on which commands are lost,
/// done twice, done late or in part.
@Suite("Test initiator: the ledger")
struct LedgerTests {
    /// Blocks, and the two commands of a ledger.
    private final class Medium {
        var blocks = [[UInt8]](repeating: [UInt8](repeating: 0, count: 512), count: 64)

        func perform(_ command: InitiatorCommand) -> CommandOutcome {
            let lba = Int(command.cdb[2..<10].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
            switch command.cdb[0] {
            case 0x89:
                guard blocks[lba] == [UInt8](command.writing.prefix(512)) else {
                    let sense: [UInt8] = [0x70, 0, 0x0E, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x1D, 0, 0, 0, 0, 0]
                    return CommandOutcome(status: 2, sense: sense)
                }
                blocks[lba] = [UInt8](command.writing.suffix(512))
            case 0x8A:
                for index in 0..<command.writing.count / 512 {
                    blocks[lba + index] = [UInt8](command.writing[index * 512..<(index + 1) * 512])
                }
            case 0x88:
                let count = command.readingByteCount / 512
                return CommandOutcome(status: 0, data: blocks[lba..<lba + count].flatMap { $0 })
            default: return CommandOutcome(status: 2)
            }
            return CommandOutcome(status: 0)
        }
    }

    enum Fault: CaseIterable {
        case none, lost, twice, late, torn
    }

    /// What the ledger finds, with the fault at the command of this index. Everything is told GOOD.
    private func faults(_ fault: Fault, at place: Int) throws -> [String] {
        let ledger = CountingLedger(laneCount: 2, rounds: 4, slotBlockCount: 3)
        let medium = Medium()
        for command in ledger.preparation { _ = medium.perform(command) }
        var endings: [RecoveringInitiator.Ending] = []
        for (index, command) in ledger.commands.enumerated() {
            var outcome = CommandOutcome(status: 0)
            switch index == place ? fault : .none {
            case .none, .late: outcome = medium.perform(command)
            case .lost: break
            case .twice:
                _ = medium.perform(command)
                outcome = medium.perform(command)
            case .torn:
                var part = command
                part.writing = [UInt8](command.writing.prefix(512))
                outcome = medium.perform(part)
            }
            endings.append(.init(outcome: outcome, issueCount: 1))
        }
        if fault == .late { _ = medium.perform(ledger.commands[place]) }
        return try ledger.faults(endings) + ledger.faults { medium.perform($0) }
    }

    @Test("Work that is done once has no faults")
    func clean() throws {
        #expect(try faults(.none, at: 0) == [])
    }

    @Test("A command that is lost is found, except a write that the next one has covered")
    func lost() throws {
        // 16 commands; counters are at even places. The last writes of both lanes are at 13 and 15.
        for place in stride(from: 0, to: 16, by: 2) { #expect(try !faults(.lost, at: place).isEmpty, "\(place)") }
        for place in [13, 15] { #expect(try !faults(.lost, at: place).isEmpty, "\(place)") }
    }

    @Test("A count that is done twice, and a write that is done again later, are found")
    func again() throws {
        for place in stride(from: 0, to: 16, by: 2) { #expect(try !faults(.twice, at: place).isEmpty, "\(place)") }
        for place in stride(from: 1, to: 12, by: 2) { #expect(try !faults(.late, at: place).isEmpty, "\(place)") }
    }

    @Test("A write that is done in part is found")
    func torn() throws {
        for place in [13, 15] { #expect(try !faults(.torn, at: place).isEmpty, "\(place)") }
    }

    @Test("MISCOMPARE is the answer to a count that is issued anew, and to no other")
    func miscompare() {
        let ledger = CountingLedger(laneCount: 1, rounds: 1, slotBlockCount: 1)
        let sense: [UInt8] = [0x70, 0, 0x0E, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x1D, 0, 0, 0, 0, 0]
        let miscompare = CommandOutcome(status: 2, sense: sense)
        let good = CommandOutcome(status: 0)
        #expect(ledger.faults([.init(outcome: miscompare, issueCount: 2), .init(outcome: good, issueCount: 1)]) == [])
        #expect(ledger.faults([.init(outcome: miscompare, issueCount: 1), .init(outcome: good, issueCount: 1)]) != [])
        #expect(ledger.faults([.init(outcome: good, issueCount: 1)]) != [])
    }
}
