// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Whether a command runs while another I_T nexus holds a reservation (SPC-4 5.12.1 and table 66, SBC-3 4.17).
public enum ReservationRule: Sendable, CaseIterable {
    /// Under every reservation, that of RESERVE included: it says only what and where the unit is.
    case always
    /// Under every persistent reservation, but not under another's RESERVE.
    case duringPersistentReservation
    /// Under Write Exclusive reservations: it does not change anything.
    case duringWriteExclusive
    /// Under none.
    case never
    /// START STOP UNIT: starting is `duringPersistentReservation`, everything else `never`.
    case startStopUnit
    /// PREVENT ALLOW MEDIUM REMOVAL: to allow it is `duringPersistentReservation`, to prevent it `never`.
    case preventAllowMediumRemoval
    /// PERSISTENT RESERVE OUT, RESERVE and RELEASE look at the reservation themselves.
    case byCommand

    /// For an I_T nexus to which the persistent reservation gives no access of its own.
    func allows(_ cdb: CommandDescriptorBlock, duringExclusiveAccess isExclusiveAccess: Bool) -> Bool {
        switch self {
        case .always, .duringPersistentReservation, .byCommand: true
        case .duringWriteExclusive: !isExclusiveAccess
        case .never: false
        case .startStopUnit: StartStopUnit(cdb).isPlainStart
        case .preventAllowMediumRemoval: !PreventAllowMediumRemoval.prevents(cdb)
        }
    }

    var allowsDuringReserve: Bool {
        self == .always || self == .byCommand
    }
}
