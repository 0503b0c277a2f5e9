// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// Who may use a logical unit: persistent reservations, and the older RESERVE and RELEASE (SPC-2).
///
/// Shared by all loops. While nothing is reserved a command sees one load. Whoever changes something has the unit's
/// turn (`UnitTurns`), but for the end of a RESERVE by nexus loss or reset.
final class Reservations: Sendable {
    private struct State {
        var persistent: PersistentReservation
        /// The attachment that holds a RESERVE, by identity: it ends with the nexus.
        var reserver: (attachment: ObjectIdentifier, nexus: NexusIdentity)?
    }

    private let state: Mutex<State>
    private let isAnyFlag: Atomic<Bool>

    init(_ restored: PersistentReservation = PersistentReservation()) {
        state = Mutex(State(persistent: restored))
        isAnyFlag = Atomic(restored.reservation != nil)
    }

    var isAny: Bool { isAnyFlag.load(ordering: .acquiring) }

    /// Whether the command of `task` runs now. One without a row, which only a pass-through store knows, runs under
    /// no reservation of another.
    func permits(_ task: SCSITask, _ nexus: NexusUnit) -> Bool {
        permits(task.descriptor?.object.reservation ?? .never, task.cdb, nexus)
    }

    /// Whether the I_T_L nexus may do to its unit what `rule` says of a command: for a copy that another unit was told
    /// to make.
    func permits(_ rule: ReservationRule, _ nexus: NexusUnit) -> Bool {
        permits(rule, CommandDescriptorBlock(), nexus)
    }

    private func permits(_ rule: ReservationRule, _ cdb: CommandDescriptorBlock, _ nexus: NexusUnit) -> Bool {
        guard isAny, let attachment = nexus.attachment else { return true }
        return state.withLock { state in
            if let reserver = state.reserver, reserver.attachment != ObjectIdentifier(attachment) {
                return rule.allowsDuringReserve
            }
            return state.persistent.permits(rule, cdb, from: attachment.nexusIdentity)
        }
    }

    // MARK: - PERSISTENT RESERVE

    var snapshot: PersistentReservation { state.withLock { $0.persistent } }

    /// The holder of a RESERVE.
    var reserver: NexusIdentity? { state.withLock { $0.reserver?.nexus } }

    /// What PERSISTENT RESERVE OUT may change: refused with RESERVATION CONFLICT while a RESERVE is held.
    func changeable() throws(PersistentReservation.Refusal) -> PersistentReservation {
        try state.withLock { state throws(PersistentReservation.Refusal) in
            guard state.reserver == nil else { throw .reservationConflict }
            return state.persistent
        }
    }

    func publish(_ new: PersistentReservation) {
        state.withLock { state in
            state.persistent = new
            updateFlag(state)
        }
    }

    func renumber(port old: UInt16, as new: UInt16) {
        state.withLock { $0.persistent.renumber(port: old, as: new) }
    }

    // MARK: - RESERVE and RELEASE

    /// False: RESERVATION CONFLICT. Registrations and RESERVE exclude each other, but a nexus that a persistent
    /// reservation admits is told GOOD, with nothing done (SPC-4 5.12.3, CRH one).
    func reserve(by attachment: UnitAttachment) -> Bool {
        state.withLock { state in
            guard state.persistent.registrations.isEmpty else {
                return state.persistent.admits(attachment.nexusIdentity)
            }
            guard state.reserver.map({ $0.attachment == ObjectIdentifier(attachment) }) ?? true else { return false }
            state.reserver = (ObjectIdentifier(attachment), attachment.nexusIdentity)
            updateFlag(state)
            return true
        }
    }

    /// False: RESERVATION CONFLICT, as with `reserve`. A release by one that holds nothing changes nothing.
    func release(by attachment: UnitAttachment) -> Bool {
        state.withLock { state in
            guard state.persistent.registrations.isEmpty else {
                return state.persistent.admits(attachment.nexusIdentity)
            }
            if state.reserver?.attachment == ObjectIdentifier(attachment) { state.reserver = nil }
            updateFlag(state)
            return true
        }
    }

    /// Nexus loss ends the RESERVE of `attachment`, a reset that of anybody (nil).
    func releaseReserve(of attachment: UnitAttachment?) {
        state.withLock { state in
            if let attachment, state.reserver?.attachment != ObjectIdentifier(attachment) { return }
            state.reserver = nil
            updateFlag(state)
        }
    }

    private func updateFlag(_ state: borrowing State) {
        isAnyFlag.store(state.reserver != nil || state.persistent.reservation != nil, ordering: .releasing)
    }
}
