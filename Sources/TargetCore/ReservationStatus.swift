// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// Who has registered with a logical unit, and who holds it: for the operator.
public struct ReservationStatus: Sendable, Equatable {
    /// An I_T nexus by the names of its ends.
    public struct Nexus: Sendable, Equatable {
        public let initiatorPortName: String
        public let relativeTargetPort: UInt16
        public let targetName: String
    }

    public struct Registration: Sendable, Equatable {
        public let nexus: Nexus
        public let key: UInt64
        public let isHolder: Bool
    }

    public let registrations: [Registration]
    /// Nil: there is no persistent reservation.
    public let type: ReservationType?
    /// PRGENERATION
    public let generation: UInt32
    /// APTPL
    public let persistsThroughPowerLoss: Bool
    /// The holder of a RESERVE.
    public let reserver: Nexus?
}

extension LogicalUnit {
    /// As it is now. From any thread.
    public var reservationStatus: ReservationStatus {
        let now = reservations.snapshot
        return ReservationStatus(
            registrations: now.registrations.map {
                ReservationStatus.Registration(nexus: names($0.nexus), key: $0.key, isHolder: now.isHolder($0.nexus))
            },
            type: now.reservation?.type, generation: now.generation,
            persistsThroughPowerLoss: now.persistsThroughPowerLoss, reserver: reservations.reserver.map(names))
    }

    private func names(_ nexus: NexusIdentity) -> ReservationStatus.Nexus {
        ReservationStatus.Nexus(
            initiatorPortName: nexus.initiatorPortName, relativeTargetPort: nexus.relativeTargetPort,
            targetName: ports.name(of: nexus.relativeTargetPort).target)
    }
}
