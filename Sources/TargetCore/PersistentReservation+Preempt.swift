// SPDX-License-Identifier: Apache-2.0

import SCSI

/// PREEMPT and PREEMPT AND ABORT.
extension PersistentReservation {
    /// PREEMPT, and the registrations part of PREEMPT AND ABORT (SPC-4 5.12.11.4, table 67).
    mutating func preempt(
        _ nexus: NexusIdentity, key: UInt64, victimKey: UInt64, type: ReservationType
    ) throws(Refusal) -> Effects {
        guard self.key(of: nexus) == key else { throw .reservationConflict }
        guard let reservation else { return try removeRegistrations(of: victimKey, by: nexus) }
        if reservation.type.isAllRegistrants {
            guard victimKey == 0 else { return try removeRegistrations(of: victimKey, by: nexus) }
        } else if self.key(of: reservation.holder) != victimKey {
            guard victimKey != 0 else { throw .refused(.invalidFieldInParameterList(byte: Self.serviceActionKeyByte)) }
            return try removeRegistrations(of: victimKey, by: nexus)
        }
        return replaceReservation(reservation, by: nexus, victimKey: victimKey, type: type)
    }

    private mutating func removeRegistrations(of victimKey: UInt64, by nexus: NexusIdentity) throws(Refusal) -> Effects
    {
        guard victimKey != 0 else { throw .refused(.invalidFieldInParameterList(byte: Self.serviceActionKeyByte)) }
        let victims = registrations.filter { $0.key == victimKey }.map(\.nexus)
        guard !victims.isEmpty else { throw .reservationConflict }
        registrations.removeAll { $0.key == victimKey }
        generation &+= 1
        var effects = Effects(preempted: victims)
        for victim in victims where victim != nexus { effects.attentions[victim] = .registrationsPreempted }
        // With an all registrants reservation the last of them may have gone.
        if registrations.isEmpty { reservation = nil }
        return effects
    }

    private mutating func replaceReservation(
        _ old: Reservation, by nexus: NexusIdentity, victimKey: UInt64, type: ReservationType
    ) -> Effects {
        let isVictim: (Registration) -> Bool = { registration in
            registration.nexus != nexus && (old.type.isAllRegistrants || registration.key == victimKey)
        }
        var effects = Effects(preempted: registrations.filter(isVictim).map(\.nexus))
        registrations.removeAll(where: isVictim)
        for victim in effects.preempted { effects.attentions[victim] = .registrationsPreempted }
        // Those that stay registered learn that the reservation is another.
        if old.type != type {
            effects.attentions.merge(tell(.reservationsReleased, except: nexus)) { earlier, _ in earlier }
        }
        reservation = Reservation(holder: nexus, type: type)
        generation &+= 1
        return effects
    }
}
