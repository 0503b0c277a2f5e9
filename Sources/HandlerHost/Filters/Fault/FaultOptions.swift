// SPDX-License-Identifier: Apache-2.0

internal import SCSI
internal import TargetCore

/// With what a failed command ends.
public enum FaultStatus: String, CaseIterable, Sendable {
    /// MEDIUM ERROR: UNRECOVERED READ ERROR of what reads, WRITE ERROR of all others.
    case medium
    case read
    case write
    case hardware
    case notReady = "not-ready"
    case aborted
    case protected = "write-protected"
    case busy
    case taskSetFull = "task-set-full"

    /// `lba`: the first block that is affected, which sense data of the medium tell.
    func outcome(of operation: FaultOperation, lba: UInt64?) -> BlockOutcome {
        switch self {
        case .medium:
            let reads = operation == .read || operation == .blockStatus
            return reads ? Self.read.outcome(of: operation, lba: lba) : Self.write.outcome(of: operation, lba: lba)
        case .read: return .failed(.checkCondition, .unrecoveredReadError(lba: lba))
        case .write: return .failed(.checkCondition, .writeError(lba: lba))
        case .hardware: return .failed(.checkCondition, .internalTargetFailure)
        case .notReady: return .failed(.checkCondition, .notReadyCauseNotReportable)
        case .aborted: return .failed(.checkCondition, .commandAborted)
        case .protected: return .failed(.checkCondition, SenseData(.dataProtect, .writeProtected))
        case .busy: return .failed(.busy, nil)
        case .taskSetFull: return .failed(.taskSetFull, nil)
        }
    }
}

/// A moment in the life of a filter, or a length of it.
public enum FaultSpan: Equatable, Sendable {
    /// So many commands that the filter is about.
    case commands(UInt64)
    case nanoseconds(UInt64)
}

/// What the filter `fault` was told to do.
public struct FaultOptions: Equatable, Sendable {
    /// Nil: another one at each start.
    public var seed: UInt64?
    public var operations = Set(FaultOperation.allCases)
    /// Logical blocks. Commands about none of them are left alone, and so are those that are about no block.
    public var range: ClosedRange<UInt64>?

    /// Nanoseconds.
    public var delay: ClosedRange<UInt64>?
    public var delayRate = FaultRate.always
    /// After the store has done the command, not before it is asked.
    public var delaysAtEnd = false

    public var error = FaultRate.never
    public var errorStatus = FaultStatus.medium
    public var short = FaultRate.never
    public var corrupt = FaultRate.never
    public var loseFlush = FaultRate.never

    public var hang = FaultRate.never
    /// Nanoseconds after which a hung command is let go; nil: at the end only.
    public var release: UInt64?

    public var late = FaultRate.never
    /// Nanoseconds.
    public var lateBy: UInt64 = 100_000_000

    /// Completions that are given out in another order; 0: in their own.
    public var reorder = 0
    /// Nanoseconds that completions wait at most for others.
    public var reorderHold: UInt64 = 5_000_000

    /// Counted, or timed, from the opening of the device.
    public var after = FaultSpan.commands(0)
    /// From `after` on; nil: for ever.
    public var duration: FaultSpan?
    /// Faults, delays and changes of order not counted; nil: any number.
    public var maximum: UInt64?

    public init() {}

    /// Whether it does anything at all.
    public var isEmpty: Bool {
        delay == nil && reorder == 0 && [error, short, corrupt, loseFlush, hang, late].allSatisfy(\.isNever)
    }

    /// Whether commands may be held back.
    var holds: Bool { delay != nil || reorder > 0 || !hang.isNever || !late.isNever }
}
