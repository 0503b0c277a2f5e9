// SPDX-License-Identifier: Apache-2.0

/// What is to befall one command.
public struct FaultDecision: Equatable, Sendable {
    /// How the command ends; at most one of them.
    public enum Ending: Equatable, Sendable {
        /// As the store says.
        case own
        /// Not before it is let go, and then with a failure.
        case hang
        /// With the plan's status, without the store being asked.
        case error
        /// After so many of its blocks are done, with a failure.
        case short(blockCount: UInt64)
        /// As the store says, with one bit of the data changed.
        case corrupt
        /// GOOD, without the store being asked.
        case loseFlush
    }

    public var ending = Ending.own
    /// Before the store is asked.
    public var delayNanoseconds: UInt64 = 0
    /// After the store has answered.
    public var endDelayNanoseconds: UInt64 = 0
    public var isLate = false
    public var isReordered = false
    /// The first block of the command that the plan is about.
    public var lba: UInt64?
    /// Random bits for the details.
    public var detail: UInt64 = 0

    public init() {}

    /// Whether it is one of the faults that `max` counts.
    public var isFault: Bool { ending != .own || isLate }

    /// The same without those.
    public var withoutFault: FaultDecision {
        var decision = self
        decision.ending = .own
        if isLate {
            decision.isLate = false
            decision.endDelayNanoseconds = ordinaryEndDelayNanoseconds
        }
        return decision
    }

    /// `endDelayNanoseconds` but for being late.
    var ordinaryEndDelayNanoseconds: UInt64 = 0
}

/// Decides what befalls which command, by its number and nothing else that varies from run to run: no clock, no state.
///
/// Commands that the plan is about are numbered from 0 in the order of their coming.
public struct FaultPlan: Sendable {
    public let options: FaultOptions
    public let random: FaultRandom

    public init(_ options: FaultOptions, seed: UInt64) {
        self.options = options
        random = FaultRandom(seed: seed)
    }

    /// Whether the plan is about `subject` at all: only then it has a number.
    public func isAbout(_ subject: FaultSubject) -> Bool {
        guard options.operations.contains(subject.operation) else { return false }
        guard options.range != nil else { return true }
        return firstBlock(subject) != nil
    }

    /// `elapsed`: nanoseconds since the device was opened; counts only where a time is in the options.
    public func decide(_ subject: FaultSubject, number: UInt64, elapsed: UInt64 = 0) -> FaultDecision {
        var decision = FaultDecision()
        guard isActive(number: number, elapsed: elapsed) else { return decision }
        decision.lba = subject.movesData ? firstBlock(subject) : nil
        decision.detail = random.bits(.detail, number)
        decision.ending = ending(subject, number: number, detail: decision.detail)
        if let delay = options.delay, meets(options.delayRate, .delay, number) {
            let time =
                delay.lowerBound
                + FaultRandom.below(
                    delay.upperBound - delay.lowerBound + 1, random.bits(.delayLength, number))
            if options.delaysAtEnd { decision.endDelayNanoseconds = time } else { decision.delayNanoseconds = time }
        }
        decision.ordinaryEndDelayNanoseconds = decision.endDelayNanoseconds
        if meets(options.late, .late, number) {
            decision.isLate = true
            decision.endDelayNanoseconds += options.lateBy
        }
        decision.isReordered = options.reorder > 0
        return decision
    }

    /// In which order `count` completions that were gathered leave: the positions of the first, the second, ...
    /// `batch` numbers the gatherings from 0.
    public func order(batch: UInt64, count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            // Other bits for each exchange of each batch: no gathering has a million completions.
            let bits = random.bits(.order, batch << 20 &+ UInt64(last))
            order.swapAt(last, Int(FaultRandom.below(UInt64(last + 1), bits)))
        }
        return order
    }

    /// Whether `after` is over and `for` is not.
    public func isActive(number: UInt64, elapsed: UInt64) -> Bool {
        let begun: Bool
        switch options.after {
        case .commands(let count): begun = number >= count
        case .nanoseconds(let time): begun = elapsed >= time
        }
        guard begun, let duration = options.duration else { return begun }
        switch (duration, options.after) {
        case (.commands(let count), .commands(let first)): return number - first < count
        case (.nanoseconds(let length), .nanoseconds(let start)): return elapsed - start < length
        // Counted in one measure and begun in the other: both from the opening.
        case (.commands(let count), .nanoseconds): return number < count
        case (.nanoseconds(let length), .commands): return elapsed < length
        }
    }

    private func ending(_ subject: FaultSubject, number: UInt64, detail: UInt64) -> FaultDecision.Ending {
        if meets(options.hang, .hang, number) { return .hang }
        if meets(options.error, .error, number) { return .error }
        if subject.movesData, let blocks = subject.blocks, meets(options.short, .short, number) {
            let count = UInt64(blocks.count)
            return .short(blockCount: count == 0 ? 0 : FaultRandom.below(count, detail))
        }
        if subject.isRead, meets(options.corrupt, .corrupt, number) { return .corrupt }
        if subject.operation == .flush, meets(options.loseFlush, .loseFlush, number) { return .loseFlush }
        return .own
    }

    private func meets(_ rate: FaultRate, _ purpose: FaultRandom.Purpose, _ number: UInt64) -> Bool {
        !rate.isNever && rate.isMet(by: random.bits(purpose, number))
    }

    /// Nil: the subject is about none of the plan's blocks.
    private func firstBlock(_ subject: FaultSubject) -> UInt64? {
        guard let blocks = subject.blocks, !blocks.isEmpty else { return nil }
        guard let range = options.range else { return blocks.lowerBound }
        guard range.lowerBound < blocks.upperBound, blocks.lowerBound <= range.upperBound else { return nil }
        return max(range.lowerBound, blocks.lowerBound)
    }
}
