// SPDX-License-Identifier: Apache-2.0

import SCSI

/// REPORT TIMESTAMP and SET TIMESTAMP (SPC-4 6.39, 6.46), where the unit has a clock.
enum TimestampCommands {
    static let rows = [
        CommandDescriptor(
            name: "REPORT TIMESTAMP", opcode: .maintenanceIn,
            serviceAction: ServiceAction.MaintenanceIn.reportTimestamp.rawValue,
            usage: [0x1F, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00], data: .toInitiator,
            reservation: .duringPersistentReservation, isSupported: { $0.clock != nil },
            plan: { task, _ throws(SenseData) in
                let allocationLength = task.cdb.uint32(at: lengthByte)
                return TransferPlan(toInitiator: Int(min(allocationLength, UInt32(TimestampData.byteCount))))
            },
            perform: { task, nexus throws(SenseData) in
                guard let now = nexus.unit.clock?.now else { throw .internalTargetFailure }
                return task.respond { now.write(to: &$0) }
            }),
        CommandDescriptor(
            name: "SET TIMESTAMP", opcode: .maintenanceOut,
            serviceAction: ServiceAction.MaintenanceOut.setTimestamp.rawValue,
            usage: [0x1F, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00], data: .fromInitiator,
            reservation: .never, isSupported: { $0.clock != nil },
            plan: { task, _ throws(SenseData) in
                let length = task.cdb.uint32(at: lengthByte)
                guard length == 0 || length == UInt32(TimestampData.parameterListByteCount) else {
                    throw .parameterListLengthError
                }
                return TransferPlan(fromInitiator: Int(length))
            },
            perform: set),
    ]

    /// ALLOCATION LENGTH, PARAMETER LIST LENGTH.
    private static let lengthByte = 6

    /// Told to every other I_T nexus. An empty list changes nothing.
    @Sendable
    private static func set(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let list = try task.parameterList(Int(task.cdb.uint32(at: lengthByte)))
        if list.isEmpty { return .finished(toInitiator: 0) }
        // Safe: a byte of an array has no padding, and the span does not outlive it.
        let milliseconds = try unsafe TimestampData.milliseconds(of: list.span.bytes)
        nexus.unit.clock?.set(milliseconds: milliseconds)
        nexus.unit.post(.timestampChanged, except: nexus.attachment)
        return .finished(toInitiator: 0)
    }
}
