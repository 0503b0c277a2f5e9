// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Registrations and the reservation of one logical unit, as a value: what PERSISTENT RESERVE OUT does (SPC-4 5.12).
/// Every change says which nexuses are to be told of it.
struct PersistentReservation: Sendable, Equatable {
    struct Registration: Sendable, Equatable {
        var nexus: NexusIdentity
        var key: UInt64
    }

    struct Reservation: Sendable, Equatable {
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

    var registrations: [Registration] = []
    var reservation: Reservation?
    /// PRGENERATION: wraps around, and is zero after a power on.
    var generation: UInt32 = 0
    /// APTPL of the last command that registered: all of this survives the end of the target (SPC-4 5.12.5).
    var persistsThroughPowerLoss = false

    func index(of nexus: NexusIdentity) -> Int? {
        registrations.firstIndex { $0.nexus == nexus }
    }

    func key(of nexus: NexusIdentity) -> UInt64? {
        index(of: nexus).map { registrations[$0].key }
    }

    func isHolder(_ nexus: NexusIdentity) -> Bool {
        guard let reservation else { return false }
        return reservation.type.isAllRegistrants ? key(of: nexus) != nil : reservation.holder == nexus
    }

    /// Whether the reservation gives `nexus` access of its own: it holds it, or is registered where that is enough.
    func admits(_ nexus: NexusIdentity) -> Bool {
        guard let reservation else { return false }
        return isHolder(nexus) || reservation.type.admitsRegistrants && key(of: nexus) != nil
    }

    /// Whether a command of `nexus` with `rule` runs (SPC-4 table 66).
    func permits(_ rule: ReservationRule, _ cdb: CommandDescriptorBlock, from nexus: NexusIdentity) -> Bool {
        guard let reservation, !admits(nexus) else { return true }
        return rule.allows(cdb, duringExclusiveAccess: reservation.type.isExclusiveAccess)
    }

    // MARK: - Service actions

    /// RESERVE (SPC-4 5.12.9).
    mutating func reserve(_ nexus: NexusIdentity, key: UInt64, type: ReservationType) throws(Refusal) -> Effects {
        guard self.key(of: nexus) == key else { throw .reservationConflict }
        guard let reservation else {
            self.reservation = Reservation(holder: nexus, type: type)
            return Effects()
        }
        guard isHolder(nexus), reservation.type == type else { throw .reservationConflict }
        return Effects()
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

    /// `attention` for every registered nexus but `exempt`.
    func tell(_ attention: UnitAttention, except exempt: NexusIdentity? = nil) -> [NexusIdentity: UnitAttention] {
        var told: [NexusIdentity: UnitAttention] = [:]
        for registration in registrations where registration.nexus != exempt { told[registration.nexus] = attention }
        return told
    }

    /// SERVICE ACTION RESERVATION KEY in the parameter list (SPC-4 6.16.3).
    static let serviceActionKeyByte = 8

    /// A target port has another number than when it was saved.
    mutating func renumber(port old: UInt16, as new: UInt16) {
        func renumbered(_ nexus: NexusIdentity) -> NexusIdentity {
            guard nexus.relativeTargetPort == old else { return nexus }
            return NexusIdentity(initiatorPortName: nexus.initiatorPortName, relativeTargetPort: new)
        }
        for index in registrations.indices { registrations[index].nexus = renumbered(registrations[index].nexus) }
        if let holder = reservation?.holder { reservation?.holder = renumbered(holder) }
    }
}
