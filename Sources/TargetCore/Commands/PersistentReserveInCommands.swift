// SPDX-License-Identifier: Apache-2.0

import SCSI

/// PERSISTENT RESERVE IN (SPC-4 6.15).
enum PersistentReserveInCommands {
    static let rows = [
        row("READ KEYS", .readKeys) { reservation, _, writer in
            PersistentReserveInData(generation: reservation.generation)
                .write(keys: reservation.registrations.map(\.key), to: &writer)
        },
        row("READ RESERVATION", .readReservation) { reservation, _, writer in
            PersistentReserveInData(generation: reservation.generation)
                .write(reservation: held(reservation), to: &writer)
        },
        row("REPORT CAPABILITIES", .reportCapabilities) { reservation, unit, writer in
            var capabilities = ReservationCapabilities()
            capabilities.handlesCompatibleReservation = true
            capabilities.canSpecifyInitiatorPorts = true
            capabilities.canSpecifyAllTargetPorts = true
            capabilities.canPersistThroughPowerLoss = unit.durable.isAvailable
            capabilities.isPersistingThroughPowerLoss = reservation.persistsThroughPowerLoss
            capabilities.write(to: &writer)
        },
        row("READ FULL STATUS", .readFullStatus) { reservation, _, writer in
            let all = reservation.registrations.map { status(of: $0, in: reservation) }
            PersistentReserveInData(generation: reservation.generation).write(fullStatus: all, to: &writer)
        },
    ]

    private static let allocationLengthByte = 7

    private static func row(
        _ name: String, _ action: PersistentReserveInServiceAction,
        write: @escaping @Sendable (PersistentReservation, LogicalUnit, inout ParameterDataWriter) -> Void
    ) -> CommandDescriptor {
        CommandDescriptor(
            name: "PERSISTENT RESERVE IN, " + name, opcode: .persistentReserveIn, serviceAction: action.rawValue,
            usage: [0x1F, 0x00, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x00], data: .toInitiator, traits: .ownedByCore,
            reservation: .duringPersistentReservation,
            plan: { task, _ throws(SenseData) in
                TransferPlan(toInitiator: Int(task.cdb.uint16(at: allocationLengthByte)))
            },
            perform: { task, nexus throws(SenseData) in
                let reservation = nexus.unit.reservations.snapshot
                return task.respond { write(reservation, nexus.unit, &$0) }
            })
    }

    /// The key is zero where every registrant holds the reservation.
    private static func held(_ reservation: PersistentReservation) -> (key: UInt64, type: ReservationType)? {
        guard let held = reservation.reservation else { return nil }
        let key = held.type.isAllRegistrants ? 0 : reservation.key(of: held.holder) ?? 0
        return (key, held.type)
    }

    private static func status(
        of registration: PersistentReservation.Registration, in reservation: PersistentReservation
    ) -> RegistrationStatus {
        let nexus = registration.nexus
        return RegistrationStatus(
            key: registration.key, held: reservation.isHolder(nexus) ? reservation.reservation?.type : nil,
            relativeTargetPort: nexus.relativeTargetPort,
            initiatorPort: TransportID(iSCSIName: nexus.initiatorPortName))
    }
}
