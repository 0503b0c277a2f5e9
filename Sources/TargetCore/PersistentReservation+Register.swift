// SPDX-License-Identifier: Apache-2.0

import SCSI

/// The service actions that make registrations, change them and take them back.
extension PersistentReservation {
    /// What REGISTER and REGISTER AND IGNORE EXISTING KEY ask for.
    struct Registering {
        /// RESERVATION KEY; REGISTER AND IGNORE EXISTING KEY does not look at it.
        var key: UInt64
        /// SERVICE ACTION RESERVATION KEY: zero unregisters.
        var newKey: UInt64
        var ignoresKey = false
        /// ALL_TG_PT: the same initiator port through the unit's other target ports.
        var throughOtherPorts: [NexusIdentity] = []
        /// SPEC_I_PT: these besides.
        var specified: [NexusIdentity]?
    }

    /// REGISTER and REGISTER AND IGNORE EXISTING KEY (SPC-4 5.12.7). All that is asked for, or nothing.
    ///
    /// With ALL_TG_PT it is as if each port had received the command; only that a nexus without a registration needs
    /// none to be changed or taken back.
    mutating func register(_ nexus: NexusIdentity, _ asked: Registering) throws(Refusal) -> Effects {
        let ownKey = key(of: nexus)
        if !asked.ignoresKey {
            guard (ownKey ?? 0) == asked.key else { throw .reservationConflict }
            for other in asked.throughOtherPorts {
                guard let key = key(of: other) else { continue }
                guard key == asked.key else { throw .reservationConflict }
            }
        }
        guard ownKey != nil || asked.newKey != 0 else { return Effects() }
        guard ownKey == nil || asked.specified == nil else { throw .refused(.invalidFieldInCDB) }
        guard asked.newKey != 0 else {
            generation &+= 1
            return unregister([nexus] + asked.throughOtherPorts)
        }
        var changed = self
        for each in [nexus] + asked.throughOtherPorts { changed.set(asked.newKey, for: each) }
        // Those of them that are registered stay as they are.
        for each in asked.specified ?? [] where changed.index(of: each) == nil { changed.set(asked.newKey, for: each) }
        guard changed.registrations.count <= max(registrations.count, TargetLimits.registrationCount) else {
            throw .refused(.insufficientRegistrationResources)
        }
        changed.generation &+= 1
        self = changed
        return Effects()
    }

    private mutating func set(_ key: UInt64, for nexus: NexusIdentity) {
        if let index = index(of: nexus) {
            registrations[index].key = key
        } else {
            registrations.append(Registration(nexus: nexus, key: key))
        }
    }

    /// SPC-4 5.12.11.2: a holder that unregisters releases; the others registered are told when the type is a
    /// registrants only one.
    private mutating func unregister(_ nexuses: [NexusIdentity]) -> Effects {
        registrations.removeAll { nexuses.contains($0.nexus) }
        guard let reservation else { return Effects() }
        if reservation.type.isAllRegistrants {
            if registrations.isEmpty { self.reservation = nil }
            return Effects()
        }
        guard nexuses.contains(reservation.holder) else { return Effects() }
        self.reservation = nil
        guard reservation.type.admitsRegistrants else { return Effects() }
        return Effects(attentions: tell(.reservationsReleased))
    }

    /// REGISTER AND MOVE (SPC-4 5.12.8): the reservation goes to `destination`, which is registered with `newKey`.
    mutating func registerAndMove(
        _ nexus: NexusIdentity, key: UInt64, to destination: NexusIdentity, newKey: UInt64, unregisters: Bool
    ) throws(Refusal) -> Effects {
        guard self.key(of: nexus) == key else { throw .reservationConflict }
        guard let reservation, !reservation.type.isAllRegistrants else { throw .refused(.invalidFieldInCDB) }
        guard reservation.holder == nexus else { throw .reservationConflict }
        guard newKey != 0 else { throw .refused(.invalidFieldInParameterList(byte: Self.serviceActionKeyByte)) }
        guard destination != nexus else {
            throw .refused(.invalidFieldInParameterList(byte: RegisterAndMoveParameterList.transportIDOffset))
        }
        var changed = self
        changed.set(newKey, for: destination)
        changed.reservation?.holder = destination
        if unregisters { changed.registrations.removeAll { $0.nexus == nexus } }
        guard changed.registrations.count <= max(registrations.count, TargetLimits.registrationCount) else {
            throw .refused(.insufficientRegistrationResources)
        }
        changed.generation &+= 1
        self = changed
        return Effects()
    }
}
