// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What is unusual about a logical unit now, as bits of one word: a command of an ordinary unit looks at it once.
final class UnitConditions: Sendable {
    struct Set: OptionSet, Sendable {
        let rawValue: UInt32

        /// START STOP UNIT has stopped the unit.
        static let stopped = Set(rawValue: 1 << 0)
        /// Removable: the medium has been ejected.
        static let noMedium = Set(rawValue: 1 << 1)
        /// FORMAT UNIT is at work.
        static let formatting = Set(rawValue: 1 << 2)
        /// FORMAT UNIT failed, or was cut off.
        static let formatCorrupt = Set(rawValue: 1 << 3)
        /// SANITIZE is at work, or has failed.
        static let sanitizing = Set(rawValue: 1 << 4)
        /// A SEND DIAGNOSTIC self-test is at work that keeps other commands out.
        static let selfTesting = Set(rawValue: 1 << 5)
        /// Some target port group is in a state that keeps commands out.
        static let asymmetric = Set(rawValue: 1 << 6)
        /// An atomic command holds blocks, or waits for them.
        static let extentsGuarded = Set(rawValue: 1 << 7)
        /// There are tokens that a write makes invalid.
        static let tokensWatched = Set(rawValue: 1 << 8)

        /// START STOP UNIT has put the unit to rest; the next command for the medium wakes it.
        static let lowPower = Set(rawValue: 1 << 16)

        /// Any of them keeps commands from the medium.
        static let notReady: Set = [.stopped, .noMedium, .formatting, .formatCorrupt, .sanitizing, .selfTesting]
        /// Any of them has to be looked at before a command is accepted, and again before its first step.
        static let unready: Set = [
            .stopped, .noMedium, .formatting, .formatCorrupt, .sanitizing, .selfTesting, .lowPower,
        ]
        static let heedsBeforeFirstStep: Set = [
            .stopped, .noMedium, .formatting, .formatCorrupt, .sanitizing, .selfTesting, .extentsGuarded,
            .tokensWatched,
        ]
    }

    private let bits = Atomic<UInt32>(0)

    var now: Set { Set(rawValue: bits.load(ordering: .acquiring)) }

    func contains(_ condition: Set) -> Bool { !now.isDisjoint(with: condition) }

    func set(_ condition: Set, _ isSet: Bool) {
        if isSet {
            bits.bitwiseOr(condition.rawValue, ordering: .sequentiallyConsistent)
        } else {
            bits.bitwiseAnd(~condition.rawValue, ordering: .sequentiallyConsistent)
        }
    }
}
