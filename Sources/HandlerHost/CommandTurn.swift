// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Who may end the command of a record: the word that `CommandRecord.turn` points to.
///
/// A turn is named by its phase and its number. While somebody who cancels it is in the handler, the word is pinned:
/// the end of the turn is then left in it, with its status, and whoever unpins it carries it out. So the record is not
/// used again under the canceller's feet, and nobody waits.
enum CommandPhase {
    static let ended: UInt64 = 0
    /// The callout's return value is the end.
    static let returnDecides: UInt64 = 1
    /// tcmur_cmd_complete is the end, unless the callout returns another one first.
    static let handlerCompletes: UInt64 = 2
    static let mask: UInt64 = 3

    static let pinned: UInt64 = 4
    /// Ended while pinned; the status stands in the upper half.
    static let left: UInt64 = 8
    /// Added for each turn, so that a turn is never mistaken for an earlier one.
    static let turn: UInt64 = 16
    static let numberMask: UInt64 = 0xFFFF_FFF0
    static let statusShift: UInt64 = 32
}

/// What became of an attempt to end a turn.
enum TurnEnding {
    /// The caller has ended it, and tells.
    case ended
    /// The one who cancels it tells.
    case left
    case hadEnded
}

/// What became of a handler's completion.
enum CompletionVerdict { case accepted, left, notTheHandlers, alreadyEnded }

extension CommandRecord {
    /// Begins a turn and returns its name.
    func begin(handlerCompletes: Bool) -> UInt64 {
        let before = unsafe turn.pointee.load(ordering: .relaxed)
        let phase = handlerCompletes ? CommandPhase.handlerCompletes : CommandPhase.returnDecides
        let name = (before &+ CommandPhase.turn) & CommandPhase.numberMask | phase
        unsafe turn.pointee.store(name, ordering: .releasing)
        return name
    }

    /// Ends the turn `name` with `status`.
    func end(turn name: UInt64, _ status: Int32) -> TurnEnding {
        let ended = name & CommandPhase.numberMask
        while true {
            let (isEnded, found) = unsafe turn.pointee.compareExchange(
                expected: name, desired: ended, ordering: .acquiringAndReleasing)
            if isEnded { return .ended }
            guard found == name | CommandPhase.pinned else { return .hadEnded }
            let note = UInt64(UInt32(bitPattern: status)) << CommandPhase.statusShift
            if unsafe turn.pointee.compareExchange(
                expected: found, desired: ended | CommandPhase.pinned | CommandPhase.left | note,
                ordering: .acquiringAndReleasing
            ).exchanged {
                return .left
            }
        }
    }

    /// The handler says that the command is complete.
    func endByHandler(_ status: Int32) -> CompletionVerdict {
        let name = unsafe turn.pointee.load(ordering: .acquiring) & ~CommandPhase.pinned
        switch name & CommandPhase.mask {
        case CommandPhase.handlerCompletes:
            return switch unsafe end(turn: name, status) {
            case .ended: .accepted
            case .left: .left
            case .hadEnded: .alreadyEnded
            }
        case CommandPhase.returnDecides: return .notTheHandlers
        default: return .alreadyEnded
        }
    }

    /// Keeps the turn that is under way from being ended by others; nil when there is none. One at a time: the loop
    /// that owns the request.
    func pin() -> UInt64? {
        let name = unsafe turn.pointee.load(ordering: .acquiring)
        guard name & CommandPhase.mask != CommandPhase.ended, name & CommandPhase.pinned == 0 else { return nil }
        let isPinned = unsafe turn.pointee.compareExchange(
            expected: name, desired: name | CommandPhase.pinned, ordering: .acquiringAndReleasing
        ).exchanged
        return isPinned ? name : nil
    }

    /// Lets go of the turn `name`. The status with which it was ended meanwhile: the caller tells. Nil: it goes on.
    func unpin(turn name: UInt64) -> Int32? {
        let (goesOn, found) = unsafe turn.pointee.compareExchange(
            expected: name | CommandPhase.pinned, desired: name, ordering: .acquiringAndReleasing)
        if goesOn { return nil }
        unsafe turn.pointee.store(name & CommandPhase.numberMask, ordering: .releasing)
        return Int32(bitPattern: UInt32(truncatingIfNeeded: found >> CommandPhase.statusShift))
    }
}
