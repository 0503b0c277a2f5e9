// SPDX-License-Identifier: Apache-2.0

public import SCSI
import Synchronization

/// What of a logical unit outlives the process. Everything is optional, so that a file of an earlier version can be
/// read.
public struct DurableUnitState: Codable, Equatable, Sendable {
    /// While APTPL is one.
    public var reservations: DurableReservations?

    /// Saved mode pages (SPC-4 7.5); nil: none was saved.
    public var modePages: [SavedModePage]?

    /// A sanitize operation has begun, and has not ended well.
    public var sanitizeFailure: SanitizeFailure?
    /// FORMAT UNIT has begun, and has not ended well.
    public var isFormatCorrupt: Bool?
    /// What SET IDENTIFYING INFORMATION gave, by type.
    public var identifyingInformation: [UInt8]?
    public var identifyingText: [UInt8]?

    public init() {}

    /// Whether the parts agree with each other: what was read may come from anywhere.
    public var isWhole: Bool { reservations?.isWhole ?? true }
}

/// A place on stable storage for the state of one logical unit.
public protocol DurableStore: AnyObject, Sendable {
    /// What was saved last, as it was read at the start.
    var loaded: DurableUnitState { get }

    /// Brings `state` to stable storage in place of the one before, whole or not at all, and calls `completion` with
    /// the success, from any thread. Saves end in the order in which they were asked for. Never blocks.
    func save(_ state: DurableUnitState, completion: @escaping @Sendable (Bool) -> Void)
}

/// The durable state of a logical unit, and the one place that changes it.
final class DurableUnit: Sendable {
    private struct State {
        var current: DurableUnitState
        /// Changes that a save under way does not hold yet, in their order.
        var pending: [Change] = []
        var isSaving = false
    }

    private struct Change: Sendable {
        let apply: @Sendable (inout DurableUnitState) -> Void
        let completion: @Sendable (Bool) -> Void
    }

    private let store: (any DurableStore)?
    private let state: Mutex<State>

    init(_ store: (any DurableStore)?) {
        self.store = store
        state = Mutex(State(current: store?.loaded ?? DurableUnitState()))
    }

    /// Whether anything can be kept: what is claimed of APTPL and of saved mode pages.
    var isAvailable: Bool { store != nil }

    /// What is on stable storage.
    var current: DurableUnitState { state.withLock { $0.current } }

    /// Makes `change` durable, and calls `completion` with the success, from any thread, perhaps before this returns.
    /// Without a store it fails. Changes that come while one is being saved are saved together.
    func save(
        _ change: @escaping @Sendable (inout DurableUnitState) -> Void,
        completion: @escaping @Sendable (Bool) -> Void
    ) {
        guard let store else { return completion(false) }
        let isFirst = state.withLock { state in
            state.pending.append(Change(apply: change, completion: completion))
            defer { state.isSaving = true }
            return !state.isSaving
        }
        if isFirst { saveNext(to: store) }
    }

    private func saveNext(to store: any DurableStore) {
        let batch: (changes: [Change], wanted: DurableUnitState)? = state.withLock { state in
            guard !state.pending.isEmpty else {
                state.isSaving = false
                return nil
            }
            var wanted = state.current
            for change in state.pending { change.apply(&wanted) }
            defer { state.pending = [] }
            return (state.pending, wanted)
        }
        guard let batch else { return }
        store.save(batch.wanted) { [self] isSaved in
            if isSaved { state.withLock { $0.current = batch.wanted } }
            for change in batch.changes { change.completion(isSaved) }
            saveNext(to: store)
        }
    }
}

extension ITNexus {
    /// Makes `change` of `unit`'s durable state, and then calls the row of `task` again, one step higher; with
    /// `task.hasFailedToSave` when nothing was saved. The row returns what this returns.
    func save(
        on unit: LogicalUnit, for task: SCSITask, _ change: @escaping @Sendable (inout DurableUnitState) -> Void
    ) -> CommandDescriptor.Step {
        task.step += 1
        let waiter = LoopBound((self, task))
        let loop = loop
        unit.durable.save(change) { isSaved in
            loop.perform {
                let (nexus, task) = waiter.value
                task.hasFailedToSave = !isSaved
                nexus.resume(task)
            }
        }
        return .wait
    }
}
