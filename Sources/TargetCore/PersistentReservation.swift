// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Registrations and the reservation of one logical unit, as a value: what PERSISTENT RESERVE OUT does (SPC-4 5.12).
/// Every change says which nexuses are to be told of it.
struct PersistentReservation: Sendable {
    struct Registration: Sendable {
        let nexus: NexusIdentity
        var key: UInt64
    }

    struct Reservation: Sendable {
        /// With an all registrants type: the nexus that made it, which matters to nobody.
        var holder: NexusIdentity
        var type: ReservationType
    }

    enum Refusal: Error {
        case reservationConflict
        case refused(SenseData)
    }

    /// Unit attentions to establish, and nexuses whose commands are to be aborted.
    struct Effects: Sendable {
        var attentions: [NexusIdentity: UnitAttention] = [:]
        var preempted: [NexusIdentity] = []
    }

    private(set) var registrations: [Registration] = []
    private(set) var reservation: Reservation?
    /// PRGENERATION: wraps around.
    private(set) var generation: UInt32 = 0

    func key(of nexus: NexusIdentity) -> UInt64? {
        registrations.first { $0.nexus == nexus }?.key
    }

    func isHolder(_ nexus: NexusIdentity) -> Bool {
        guard let reservation else { return false }
        return reservation.type.isAllRegistrants ? key(of: nexus) != nil : reservation.holder == nexus
    }

    /// Whether a command of `nexus` with `rule` runs (SPC-4 table 66).
    func permits(_ rule: ReservationRule, _ cdb: CommandDescriptorBlock, from nexus: NexusIdentity) -> Bool {
        guard let reservation, !isHolder(nexus) else { return true }
        if reservation.type.admitsRegistrants && key(of: nexus) != nil { return true }
        return rule.allows(cdb, duringExclusiveAccess: reservation.type.isExclusiveAccess)
    }

    // MARK: - Service actions

    /// REGISTER (`ignoresKey` false) and REGISTER AND IGNORE EXISTING KEY (SPC-4 5.12.7).
    mutating func register(
        _ nexus: NexusIdentity, key: UInt64, newKey: UInt64, ignoresKey: Bool
    ) throws(Refusal) -> Effects {
        guard let index = registrations.firstIndex(where: { $0.nexus == nexus }) else {
            guard ignoresKey || key == 0 else { throw .reservationConflict }
            guard newKey != 0 else { return Effects() }
            guard registrations.count < TargetLimits.registrationCount else {
                throw .refused(.insufficientRegistrationResources)
            }
            registrations.append(Registration(nexus: nexus, key: newKey))
            generation &+= 1
            return Effects()
        }
        guard ignoresKey || registrations[index].key == key else { throw .reservationConflict }
        generation &+= 1
        if newKey != 0 {
            registrations[index].key = newKey
            return Effects()
        }
        return unregister(at: index)
    }

    /// SPC-4 5.12.11.2: a holder that unregisters releases; the others registered are told when the type is a
    /// registrants only one.
    private mutating func unregister(at index: Int) -> Effects {
        let nexus = registrations.remove(at: index).nexus
        guard let reservation else { return Effects() }
        if reservation.type.isAllRegistrants {
            if registrations.isEmpty { self.reservation = nil }
            return Effects()
        }
        guard reservation.holder == nexus else { return Effects() }
        self.reservation = nil
        guard reservation.type.admitsRegistrants else { return Effects() }
        return Effects(attentions: tell(.reservationsReleased))
    }

    /// RESERVE (SPC-4 5.12.9).
    mutating func reserve(_ nexus: NexusIdentity, key: UInt64, type: ReservationType) throws(Refusal) {
        guard self.key(of: nexus) == key else { throw .reservationConflict }
        guard let reservation else {
            self.reservation = Reservation(holder: nexus, type: type)
            return
        }
        guard isHolder(nexus), reservation.type == type else { throw .reservationConflict }
    }

    /// RELEASE (SPC-4 5.12.11.3).
    mutating func release(_ nexus: NexusIdentity, key: UInt64, type: ReservationType) throws(Refusal) -> Effects {
        guard self.key(of: nexus) == key else { throw .reservationConflict }
        guard let reservation, isHolder(nexus) else { return Effects() }
        guard reservation.type == type else { throw .refused(.invalidReleaseOfPersistentReservation) }
        self.reservation = nil
        guard type.admitsRegistrants else { return Effects() }
        return Effects(attentions: tell(.reservationsReleased, except: nexus))
    }

    /// CLEAR (SPC-4 5.12.11.6).
    mutating func clear(_ nexus: NexusIdentity, key: UInt64) throws(Refusal) -> Effects {
        guard self.key(of: nexus) == key else { throw .reservationConflict }
        let effects = Effects(attentions: tell(.reservationsPreempted, except: nexus))
        registrations = []
        reservation = nil
        generation &+= 1
        return effects
    }

    /// PREEMPT, and the registrations part of PREEMPT AND ABORT (SPC-4 5.12.11.4, table 67).
    mutating func preempt(
        _ nexus: NexusIdentity, key: UInt64, victimKey: UInt64, type: ReservationType
    ) throws(Refusal) -> Effects {
        guard self.key(of: nexus) == key else { throw .reservationConflict }
        guard let reservation else { return try removeRegistrations(of: victimKey, by: nexus) }
        if reservation.type.isAllRegistrants {
            guard victimKey == 0 else { return try removeRegistrations(of: victimKey, by: nexus) }
        } else if self.key(of: reservation.holder) != victimKey {
            guard victimKey != 0 else { throw .refused(.invalidFieldInParameterList(byte: serviceActionKeyByte)) }
            return try removeRegistrations(of: victimKey, by: nexus)
        }
        return replaceReservation(reservation, by: nexus, victimKey: victimKey, type: type)
    }

    private mutating func removeRegistrations(of victimKey: UInt64, by nexus: NexusIdentity) throws(Refusal) -> Effects
    {
        guard victimKey != 0 else { throw .refused(.invalidFieldInParameterList(byte: serviceActionKeyByte)) }
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

    private func tell(_ attention: UnitAttention, except exempt: NexusIdentity? = nil) -> [NexusIdentity: UnitAttention]
    {
        var told: [NexusIdentity: UnitAttention] = [:]
        for registration in registrations where registration.nexus != exempt { told[registration.nexus] = attention }
        return told
    }

    /// SERVICE ACTION RESERVATION KEY in the parameter list (SPC-4 6.16.3).
    private var serviceActionKeyByte: Int { 8 }
}
