// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Registrations and the reservation of a logical unit as they are saved while APTPL is one (SPC-4 5.12.5).
/// PRGENERATION is not: it begins anew.
///
/// Target ports stand here by their names: their numbers are those of a configuration, and may change.
public struct DurableReservations: Codable, Equatable, Sendable {
    public struct Registration: Codable, Equatable, Sendable {
        /// SCSI initiator port name.
        var initiatorPort: String
        var target: String
        /// SCSI target port name; nil in what was saved when a target had one port: its first.
        var port: String?
        var key: UInt64
    }

    var registrations: [Registration] = []
    /// TYPE; nil where nothing is reserved.
    var type: UInt8?
    /// The holder's place in `registrations`; nil where nothing is reserved, or with an all registrants type.
    var holder: Int?

    /// Nil while nothing is to survive.
    init?(_ reservation: PersistentReservation, ports: UnitPorts) {
        guard reservation.persistsThroughPowerLoss else { return nil }
        registrations = reservation.registrations.map {
            let port = ports.name(of: $0.nexus.relativeTargetPort)
            return Registration(
                initiatorPort: $0.nexus.initiatorPortName, target: port.target, port: port.port, key: $0.key)
        }
        guard let held = reservation.reservation else { return }
        type = held.type.rawValue
        holder = held.type.isAllRegistrants ? nil : reservation.index(of: held.holder)
    }

    /// The state after a power on. A reservation that names no holder, or no type that there is, is not restored:
    /// whoever keeps these makes sure that they are whole.
    func restored(ports: UnitPorts) -> PersistentReservation {
        var reservation = PersistentReservation()
        reservation.persistsThroughPowerLoss = true
        reservation.registrations = registrations.map {
            PersistentReservation.Registration(
                nexus: NexusIdentity(
                    initiatorPortName: $0.initiatorPort,
                    relativeTargetPort: ports.number(of: UnitPorts.Name(target: $0.target, port: $0.port))),
                key: $0.key)
        }
        guard let type = type.flatMap(ReservationType.init), let first = reservation.registrations.first else {
            return reservation
        }
        let place = holder ?? 0
        let named = reservation.registrations.indices.contains(place) ? reservation.registrations[place] : first
        reservation.reservation = PersistentReservation.Reservation(holder: named.nexus, type: type)
        return reservation
    }

    /// Whether the parts agree with each other.
    public var isWhole: Bool {
        guard registrations.count <= TargetLimits.registrationCount else { return false }
        guard Set(registrations.map { [$0.initiatorPort, $0.target, $0.port] }).count == registrations.count else {
            return false
        }
        // A target's ports are all named, or its one port is not.
        let unnamed = Set(registrations.filter { $0.port == nil }.map(\.target))
        guard !registrations.contains(where: { $0.port != nil && unnamed.contains($0.target) }) else { return false }
        guard registrations.allSatisfy({ $0.key != 0 }) else { return false }
        guard let type else { return holder == nil }
        guard let type = ReservationType(rawValue: type) else { return false }
        if type.isAllRegistrants { return holder == nil && !registrations.isEmpty }
        return holder.map(registrations.indices.contains) ?? false
    }
}
