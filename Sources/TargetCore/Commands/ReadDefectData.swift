// SPDX-License-Identifier: Apache-2.0

import SCSI

/// READ DEFECT DATA(10) and (12) (SBC-4 5.18, 5.19). What lies under a unit here keeps its defects to itself: both lists
/// are there and empty.
enum ReadDefectData {
    static let rows = [
        row("READ DEFECT DATA(10)", .readDefectData10, [0x00, 0x1F, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x00]),
        row(
            "READ DEFECT DATA(12)", .readDefectData12,
            [0x1F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00]),
    ]

    private static func row(_ name: String, _ opcode: OperationCode, _ usage: [UInt8]) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, data: .toInitiator, traits: .needsMedium,
            reservation: .duringWriteExclusive,
            plan: { task, _ throws(SenseData) in
                let length = try DefectDataRequest(task.cdb).allocationLength
                return TransferPlan(toInitiator: min(length, TargetLimits.responseByteCount))
            },
            perform: { task, _ throws(SenseData) in
                let request = try DefectDataRequest(task.cdb)
                return task.respond { request.writeEmptyLists(to: &$0) }
            })
    }
}
