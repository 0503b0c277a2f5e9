// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// Who may use a logical unit: persistent reservations, and the older RESERVE and RELEASE (SPC-2).
///
/// Shared by all loops. While nothing is reserved a command sees one load.
final class Reservations: Sendable {
    private struct State {
        var persistent = PersistentReservation()
        /// The attachment that holds a RESERVE, by identity: it ends with the nexus.
        var reserver: ObjectIdentifier?
    }

    private let state = Mutex(State())
    private let isAnyFlag = Atomic<Bool>(false)

    var isAny: Bool { isAnyFlag.load(ordering: .acquiring) }

    /// Whether the command of `task` runs now. One without a row, which only a pass-through store knows, runs under
    /// no reservation of another.
    func permits(_ task: SCSITask, _ nexus: NexusUnit) -> Bool {
        let rule = task.descriptor?.object.reservation ?? .never
        guard isAny, let attachment = nexus.attachment else { return true }
        return state.withLock { state in
            if let reserver = state.reserver, reserver != ObjectIdentifier(attachment) {
                return rule.allowsDuringReserve
            }
            return state.persistent.permits(rule, task.cdb, from: attachment.nexusIdentity)
        }
    }

    /// Whether the I_T_L nexus may do to its unit what `rule` says of a command: for a copy that another unit was told
    /// to make.
    func permits(_ rule: ReservationRule, _ nexus: NexusUnit) -> Bool {
        guard isAny, let attachment = nexus.attachment else { return true }
        return state.withLock { state in
            if let reserver = state.reserver, reserver != ObjectIdentifier(attachment) {
                return rule.allowsDuringReserve
            }
            return state.persistent.permits(rule, CommandDescriptorBlock(), from: attachment.nexusIdentity)
        }
    }

    // MARK: - PERSISTENT RESERVE

    var snapshot: PersistentReservation { state.withLock { $0.persistent } }

    /// Runs `change` on the registrations. Refused with RESERVATION CONFLICT while another holds a RESERVE.
    func change<Result: Sendable>(
        _ change: (inout PersistentReservation) throws(PersistentReservation.Refusal) -> Result
    ) throws(PersistentReservation.Refusal) -> Result {
        try state.withLock { state throws(PersistentReservation.Refusal) in
            guard state.reserver == nil else { throw .reservationConflict }
            defer { updateFlag(state) }
            return try change(&state.persistent)
        }
    }

    // MARK: - RESERVE and RELEASE

    /// False: RESERVATION CONFLICT. Registrations and RESERVE exclude each other (SPC-4 5.12.3, CRH zero).
    func reserve(by attachment: UnitAttachment) -> Bool {
        state.withLock { state in
            guard state.persistent.registrations.isEmpty else { return false }
            guard state.reserver == nil || state.reserver == ObjectIdentifier(attachment) else { return false }
            state.reserver = ObjectIdentifier(attachment)
            updateFlag(state)
            return true
        }
    }

    /// False: RESERVATION CONFLICT, because registrations exist. A release by one that holds nothing changes nothing.
    func release(by attachment: UnitAttachment) -> Bool {
        state.withLock { state in
            guard state.persistent.registrations.isEmpty else { return false }
            if state.reserver == ObjectIdentifier(attachment) { state.reserver = nil }
            updateFlag(state)
            return true
        }
    }

    /// Nexus loss ends the RESERVE of `attachment`, a reset that of anybody (nil).
    func releaseReserve(of attachment: UnitAttachment?) {
        state.withLock { state in
            if let attachment, state.reserver != ObjectIdentifier(attachment) { return }
            state.reserver = nil
            updateFlag(state)
        }
    }

    private func updateFlag(_ state: borrowing State) {
        isAnyFlag.store(state.reserver != nil || state.persistent.reservation != nil, ordering: .releasing)
    }
}
