// SPDX-License-Identifier: Apache-2.0

import SCSI

/// TEST UNIT READY (SPC-4 6.47): ready unless the prechecks say otherwise.
enum TestUnitReady {
    static let row = CommandDescriptor(
        name: "TEST UNIT READY", opcode: .testUnitReady, usage: [0x00, 0x00, 0x00, 0x00, 0x00], traits: .needsMedium,
        reservation: .duringPersistentReservation, perform: { _, _ in .finished(toInitiator: 0) })
}
