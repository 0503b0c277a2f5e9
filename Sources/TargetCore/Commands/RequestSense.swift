// SPDX-License-Identifier: Apache-2.0

import SCSI

/// REQUEST SENSE (SPC-4 6.39): the pending unit attention, which is cleared by that, or why the unit is not ready.
/// Sense data of ended commands went with their status.
enum RequestSense {
    static let row = row { task, nexus in
        if let attention = nexus.takeAttention() { return attention.sense }
        return nexus.unit.senseOfState
    }

    /// Of a number without a logical unit: GOOD, and the sense data say so.
    static let absentRow = row { _, _ in .logicalUnitNotSupported }

    private static let flagByte = 1
    private static let descriptorMask: UInt8 = 0x01
    private static let allocationLengthByte = 4

    private static func row(_ sense: @escaping @Sendable (SCSITask, NexusUnit) -> SenseData) -> CommandDescriptor {
        CommandDescriptor(
            name: "REQUEST SENSE", opcode: .requestSense,
            usage: [descriptorMask, 0x00, 0x00, 0xFF, 0x00], data: .toInitiator,
            traits: [.passesUnitAttention, .implicitHeadOfQueue], reservation: .always,
            plan: { task, _ throws(SenseData) in TransferPlan(toInitiator: Int(task.cdb[allocationLengthByte])) },
            perform: { task, nexus throws(SenseData) in
                let usesDescriptors = task.cdb.isSet(descriptorMask, inByte: flagByte)
                return task.respond(sense(task, nexus).encode(descriptor: usesDescriptors))
            })
    }
}
