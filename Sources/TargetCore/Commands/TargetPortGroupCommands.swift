// SPDX-License-Identifier: Apache-2.0

import SCSI

/// REPORT TARGET PORT GROUPS and SET TARGET PORT GROUPS (SPC-4 6.37, 6.45).
enum TargetPortGroupCommands {
    static let rows = [
        CommandDescriptor(
            name: "REPORT TARGET PORT GROUPS", opcode: .maintenanceIn,
            serviceAction: ServiceAction.MaintenanceIn.reportTargetPortGroups.rawValue,
            usage: [0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00], data: .toInitiator,
            reservation: .duringPersistentReservation, isSupported: { $0.ports.isReported },
            plan: { task, _ throws(SenseData) in
                _ = try format(task.cdb)
                let allocationLength = task.cdb.uint32(at: lengthByte)
                return TransferPlan(toInitiator: Int(min(allocationLength, UInt32(TargetLimits.responseByteCount))))
            },
            perform: { task, nexus throws(SenseData) in
                let format = try format(task.cdb)
                let data = TargetPortGroupsData(groups: nexus.unit.ports.descriptors)
                return task.respond { data.write(format, to: &$0) }
            }),
        CommandDescriptor(
            name: "SET TARGET PORT GROUPS", opcode: .maintenanceOut,
            serviceAction: ServiceAction.MaintenanceOut.setTargetPortGroups.rawValue,
            usage: [0x1F, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00], data: .fromInitiator,
            reservation: .never, isSupported: { $0.ports.canBeSet },
            plan: { task, _ throws(SenseData) in
                let length = task.cdb.uint32(at: lengthByte)
                guard length <= UInt32(TargetLimits.parameterListByteCount) else { throw .parameterListLengthError }
                return TransferPlan(fromInitiator: Int(length))
            },
            perform: set),
    ]

    private static let formatByte = 1
    private static let formatBit = 7
    /// ALLOCATION LENGTH, PARAMETER LIST LENGTH.
    private static let lengthByte = 6

    private static func format(_ cdb: CommandDescriptorBlock) throws(SenseData) -> TargetPortGroupsData.Format {
        guard let format = TargetPortGroupsData.Format(rawValue: cdb[formatByte] >> 5) else {
            throw .invalidFieldInCDB(byte: formatByte, bit: formatBit)
        }
        return format
    }

    /// The states are others from the next command on; those that have been accepted go on to their end. Told to every
    /// other I_T nexus of the unit.
    @Sendable
    private static func set(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let bytes = try task.parameterList(Int(task.cdb.uint32(at: lengthByte)))
        // Safe: a byte of an array has no padding, and the span does not outlive it.
        let list = try unsafe SetTargetPortGroupsList(bytes.span.bytes)
        let change = nexus.unit.ports.set(
            list.descriptors.map { ($0.group, $0.state) }, by: .setTargetPortGroups)
        switch change {
        case .made: nexus.unit.post(.asymmetricAccessStateChanged, except: nexus.attachment)
        case .nothingNew: break
        case .noSuchGroup(let index):
            let offset = list.descriptors[index].offset + SetTargetPortGroupsList.groupOffset
            throw .invalidFieldInParameterList(byte: offset)
        case .transitioning: throw .setTargetPortGroupsCommandFailed
        }
        return .finished(toInitiator: 0)
    }
}
