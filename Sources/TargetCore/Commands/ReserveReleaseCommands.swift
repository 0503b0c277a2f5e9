// SPDX-License-Identifier: Apache-2.0

import SCSI

/// RESERVE(6), (10) and RELEASE(6), (10) (SPC-2 7.16 to 7.21): the whole unit for the nexus that asks. Third-party
/// and extent reservations are obsolete; their fields must be zero.
enum ReserveReleaseCommands {
    static let rows = [
        row("RESERVE(6)", .reserve6, byteCount: 6, perform: reserve),
        row("RELEASE(6)", .release6, byteCount: 6, perform: release),
        row("RESERVE(10)", .reserve10, byteCount: 10, perform: reserve),
        row("RELEASE(10)", .release10, byteCount: 10, perform: release),
    ]

    private static func row(
        _ name: String, _ opcode: OperationCode, byteCount: Int, perform: @escaping CommandDescriptor.Perform
    ) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: [UInt8](repeating: 0, count: byteCount - 1), traits: .ownedByCore,
            reservation: .byCommand, perform: perform)
    }

    @Sendable
    private static func reserve(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        guard nexus.nexus.hasTurn(task, on: nexus) else { return .wait }
        guard let attachment = nexus.attachment, nexus.unit.reservations.reserve(by: attachment) else {
            return .reservationConflict
        }
        return .finished(toInitiator: 0)
    }

    @Sendable
    private static func release(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        guard nexus.nexus.hasTurn(task, on: nexus) else { return .wait }
        guard let attachment = nexus.attachment, nexus.unit.reservations.release(by: attachment) else {
            return .reservationConflict
        }
        return .finished(toInitiator: 0)
    }
}
