// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// What a command counts as in the log pages.
enum ActivityKind: UInt8, Sendable {
    case other, read, write, verify

    init(_ traits: CommandDescriptor.Traits, _ data: CommandDescriptor.DataDirection) {
        switch data {
        case .toInitiator where traits.isSuperset(of: [.readsMedium, .namesOneExtent]): self = .read
        case .fromInitiator where traits.isSuperset(of: [.writesMedium, .namesOneExtent]): self = .write
        case .fromInitiator where traits.contains(.readsMedium): self = .verify
        case .none, .toInitiator, .fromInitiator: self = .other
        }
    }
}

/// What is counted.
enum ActivityCounter: Int, CaseIterable, Sendable {
    /// Commands that ended with GOOD, and the bytes that they moved or verified.
    case readCommands, writeCommands, readBytes, writtenBytes, verifiedBytes
    /// Commands that ended with MEDIUM ERROR.
    case readErrors, writeErrors, verifyErrors
    /// Commands that ended with HARDWARE ERROR or ABORTED COMMAND.
    case nonMediumErrors
}

/// What the commands of one I_T_L nexus have done so far, or of several together. Counts wrap around.
struct ActivityCounts: Sendable, Equatable {
    private var values = [UInt64](repeating: 0, count: ActivityCounter.allCases.count)

    subscript(_ counter: ActivityCounter) -> UInt64 {
        get { values[counter.rawValue] }
        set { values[counter.rawValue] = newValue }
    }

    static func + (left: Self, right: Self) -> Self {
        var result = left
        for index in result.values.indices { result.values[index] &+= right.values[index] }
        return result
    }

    static func - (left: Self, right: Self) -> Self {
        var result = left
        for index in result.values.indices { result.values[index] &-= right.values[index] }
        return result
    }
}

/// The counts of one I_T_L nexus: written by its loop alone, with a plain addition, and read by any thread.
final class UnitActivity: Sendable {
    private let readCommands = Atomic<UInt64>(0)
    private let writeCommands = Atomic<UInt64>(0)
    private let readBytes = Atomic<UInt64>(0)
    private let writtenBytes = Atomic<UInt64>(0)
    private let verifiedBytes = Atomic<UInt64>(0)
    private let readErrors = Atomic<UInt64>(0)
    private let writeErrors = Atomic<UInt64>(0)
    private let verifyErrors = Atomic<UInt64>(0)
    private let nonMediumErrors = Atomic<UInt64>(0)

    var counts: ActivityCounts {
        var counts = ActivityCounts()
        counts[.readCommands] = readCommands.load(ordering: .relaxed)
        counts[.writeCommands] = writeCommands.load(ordering: .relaxed)
        counts[.readBytes] = readBytes.load(ordering: .relaxed)
        counts[.writtenBytes] = writtenBytes.load(ordering: .relaxed)
        counts[.verifiedBytes] = verifiedBytes.load(ordering: .relaxed)
        counts[.readErrors] = readErrors.load(ordering: .relaxed)
        counts[.writeErrors] = writeErrors.load(ordering: .relaxed)
        counts[.verifyErrors] = verifyErrors.load(ordering: .relaxed)
        counts[.nonMediumErrors] = nonMediumErrors.load(ordering: .relaxed)
        return counts
    }

    /// `task`, a command of `kind`, ends with GOOD.
    @inline(__always)
    func succeeded(_ task: SCSITask, _ kind: ActivityKind, blockByteCount: Int) {
        switch kind {
        case .other: break
        case .read:
            Self.add(1, to: readCommands)
            Self.add(UInt64(truncatingIfNeeded: task.plan.toInitiator), to: readBytes)
        case .write:
            Self.add(1, to: writeCommands)
            Self.add(UInt64(truncatingIfNeeded: task.plan.fromInitiator), to: writtenBytes)
        case .verify:
            // The data of a VERIFY need not come from the initiator.
            let blockCount = BlockAccess(task.cdb)?.range.count ?? 0
            Self.add(blockCount &* UInt64(truncatingIfNeeded: blockByteCount), to: verifiedBytes)
        }
    }

    /// A command of `kind` ends with CHECK CONDITION and this sense key.
    func failed(_ kind: ActivityKind, _ key: SenseKey) {
        switch (key, kind) {
        case (.mediumError, .read): Self.add(1, to: readErrors)
        case (.mediumError, .write): Self.add(1, to: writeErrors)
        case (.mediumError, .verify): Self.add(1, to: verifyErrors)
        case (.hardwareError, _), (.abortedCommand, _): Self.add(1, to: nonMediumErrors)
        default: break
        }
    }

    /// Nobody else writes: a load and a store, and no locked instruction.
    @inline(__always)
    private static func add(_ count: UInt64, to counter: borrowing Atomic<UInt64>) {
        counter.store(counter.load(ordering: .relaxed) &+ count, ordering: .relaxed)
    }
}
