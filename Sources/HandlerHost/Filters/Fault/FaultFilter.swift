// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import SCSI
internal import Synchronization
public import TargetCore

/// The filter `fault`: does to the commands of a device what `FaultPlan` decides.
///
/// A command that nothing befalls goes straight on, in the submitter's thread. One that is to wait is held, and one
/// thread of the filter's goes on with it when it is due; there is no such thread where nothing can wait.
///
/// Sendable: what changes is atomic or in `held`; the rest is set before the filter takes requests.
public final class FaultFilter: DeviceFilter, @unchecked Sendable {
    /// How far a command has come.
    public struct Note: Sendable {
        enum Stage { case hung, beforeStart, beforeEnd }

        var decision = FaultDecision()
        var operation = FaultOperation.command
        var stage = Stage.beforeStart
        var outcome = BlockOutcome.good
    }

    public let inner: any BlockDevice
    private let plan: FaultPlan
    private let description: String
    private let context: FilterContext
    public let children = ChildPool<FaultFilter> { Note() }
    private let held: HeldCommands
    private var thread: HostThread?

    private let takesOnlyCDBs: Bool
    private let openingTime = clinux_monotonic_nanoseconds()
    private let commandCount = Atomic<UInt64>(0)
    private let faultCount = Atomic<UInt64>(0)
    private let hasReportedEnd = Atomic<Bool>(false)
    private let isClosed = Atomic<Bool>(false)
    private let counts = FaultCounters()

    static let maker: @Sendable (FilterSpecification) throws(FilterError) -> FilterMaker = {
        (specification) throws(FilterError) in
        let options = try FaultOptions(specification)
        return { (inner, context) throws(FilterError) in
            try FaultFilter(options, over: inner, context, description: specification.description)
        }
    }

    /// `description`: as the operator wrote it.
    public init(
        _ options: FaultOptions, over inner: any BlockDevice, _ context: FilterContext, description: String = "fault"
    ) throws(FilterError) {
        if let range = options.range, range.lowerBound >= inner.blockCount {
            throw FilterError(
                column: nil,
                "has a filter fault for blocks from \(range.lowerBound) on, but only \(inner.blockCount) blocks: "
                    + "choose a range on the medium")
        }
        self.inner = inner
        self.context = context
        self.description = description
        plan = FaultPlan(options, seed: options.seed ?? UInt64.random(in: 0...UInt64.max))
        held = HeldCommands(plan)
        takesOnlyCDBs = inner.features.passthrough == .always
        children.attach(self)
        guard options.holds else { return }
        do throws(SystemFiles.Failure) {
            thread = try HostThread.start("fault") { [self] in attend() }
        } catch {
            throw FilterError(column: nil, "has a filter fault for which no thread could be started: \(error)")
        }
    }

    public var seed: UInt64 { plan.random.seed }

    public var warning: String? {
        let lie = plan.options.loseFlush.isNever ? "" : " and LOSES FLUSHES that it acknowledges"
        let damage = plan.options.corrupt.isNever ? "" : " and CORRUPTS DATA"
        return "\(context.deviceName) has the filter \(description) (seed \(seed)): it injects faults on "
            + "purpose\(damage)\(lie); keep nothing on it that matters"
    }

    public var counters: [String: UInt64] { counts.byName }

    // MARK: - On the way to the store

    public func submit(_ request: BlockRequest) {
        let child = children.take(for: request)
        let subject = FaultSubject(request, blockByteCount: blockByteCount, takesOnlyCDBs: takesOnlyCDBs)
        guard plan.isAbout(subject) else {
            child.note.decision = FaultDecision()
            child.start(on: inner)
            return
        }
        let number = commandCount.add(1, ordering: .relaxed).oldValue
        let now = clinux_monotonic_nanoseconds()
        var decision = plan.decide(subject, number: number, elapsed: now - openingTime)
        if decision.isFault, !mayInject() { decision = decision.withoutFault }
        counts.count(decision)
        child.note.decision = decision
        child.note.operation = subject.operation
        if decision.ending == .hang {
            child.note.stage = .hung
            held.hold(child, until: plan.options.release.map { now &+ $0 } ?? HeldCommands.never)
        } else if decision.delayNanoseconds > 0 {
            child.note.stage = .beforeStart
            held.hold(child, until: now &+ decision.delayNanoseconds)
        } else {
            begin(child)
        }
    }

    /// Takes one of the faults that `max` allows.
    private func mayInject() -> Bool {
        guard let maximum = plan.options.maximum else { return true }
        let number = faultCount.add(1, ordering: .relaxed).oldValue
        if number < maximum { return true }
        if !hasReportedEnd.exchange(true, ordering: .relaxed) {
            context.diagnostics.report(.notice, "\(context.deviceName): \(description) has injected all its faults")
        }
        return false
    }

    private func begin(_ child: ChildRequest<FaultFilter>) {
        switch child.note.decision.ending {
        case .own, .corrupt:
            child.start(on: inner)
        case .error:
            answered(child, failure(child))
        case .loseFlush:
            answered(child, .good)
        case .short(let blockCount):
            beginShort(child, blockCount: blockCount)
        case .hang:
            // Let go: nobody knows what became of it.
            answered(child, .failed(.checkCondition, .commandAborted))
        }
    }

    private func beginShort(_ child: ChildRequest<FaultFilter>, blockCount: UInt64) {
        let byteCount = blockCount * UInt64(blockByteCount)
        // A CDB tells its length itself: a device that is shown CDBs does none of it.
        guard byteCount > 0, child.request.operation != .passthrough else { return answered(child, failure(child)) }
        child.request.extentByteCount = byteCount
        // Fewer blocks than the request has: within its buffer.
        unsafe child.request.buffer = unsafe .init(rebasing: child.request.buffer[..<Int(byteCount)])
        child.start(on: inner)
    }

    /// What a fault answers: for a short count the first block that was not done.
    private func failure(_ child: ChildRequest<FaultFilter>) -> BlockOutcome {
        let note = child.note
        guard case .short(let blockCount) = note.decision.ending else {
            return plan.options.errorStatus.outcome(of: note.operation, lba: note.decision.lba)
        }
        let first = child.request.byteOffset / UInt64(blockByteCount)
        let isCDB = child.request.operation == .passthrough
        return FaultStatus.medium.outcome(of: note.operation, lba: isCDB ? note.decision.lba : first + blockCount)
    }

    // MARK: - On the way back

    public func ended(_ child: ChildRequest<FaultFilter>) {
        var outcome = child.request.outcome
        if outcome == .good {
            switch child.note.decision.ending {
            case .short: outcome = failure(child)
            case .corrupt: corrupt(child)
            case .own, .error, .loseFlush, .hang: break
            }
        }
        answered(child, outcome)
    }

    /// Changes one bit of what was read.
    private func corrupt(_ child: ChildRequest<FaultFilter>) {
        let count = unsafe child.request.transferredByteCount ?? child.request.buffer.count
        guard count > 0 else { return }
        let bits = child.note.decision.detail
        let index = Int(FaultRandom.below(UInt64(count), bits))
        // Within what the store filled; the core keeps the memory until the parent has completed.
        unsafe child.request.buffer[index] ^= 1 << UInt8(bits & 7)
        FaultCounters.add(counts.corruptions)
    }

    private func answered(_ child: ChildRequest<FaultFilter>, _ outcome: BlockOutcome) {
        child.note.outcome = outcome
        let delay = child.note.decision.endDelayNanoseconds
        guard delay > 0 else { return leave(child) }
        child.note.stage = .beforeEnd
        held.hold(child, until: clinux_monotonic_nanoseconds() &+ delay)
    }

    private func leave(_ child: ChildRequest<FaultFilter>) {
        if child.note.decision.isReordered, !held.gather(child) { return }
        child.finish(child.note.outcome)
    }

    // MARK: - The thread

    private func attend() {
        var due: [ChildRequest<FaultFilter>] = []
        var leaving: [ChildRequest<FaultFilter>] = []
        due.reserveCapacity(ChildPool<FaultFilter>.usualCount)
        leaving.reserveCapacity(plan.options.reorder)
        while held.takeDue(&due, leaving: &leaving) {
            var hasStarted = false
            for child in due {
                switch child.note.stage {
                case .beforeEnd: leave(child)
                case .hung: begin(child)
                case .beforeStart:
                    begin(child)
                    hasStarted = true
                }
            }
            due.removeAll(keepingCapacity: true)
            if leaving.count > 1 { counts.reorders.add(UInt64(leaving.count), ordering: .relaxed) }
            for child in leaving { child.finish(child.note.outcome) }
            leaving.removeAll(keepingCapacity: true)
            if hasStarted { inner.submissionsEnded() }
        }
    }

    public func release() { held.release() }

    public func close() {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        held.release()
        children.waitUntilIdle { count in
            context.diagnostics.report(
                .warning, "\(context.deviceName): \(count) commands are still below the filter \(description); waiting")
        }
        held.stop()
        thread?.join()
        thread = nil
    }
}
