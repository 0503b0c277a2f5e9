// SPDX-License-Identifier: Apache-2.0

import SCSI

/// REPORT SUPPORTED OPERATION CODES (SPC-4 6.35), from the rows themselves.
enum ReportSupportedOperationCodes {
    static let row = CommandDescriptor(
        name: "REPORT SUPPORTED OPERATION CODES", opcode: .maintenanceIn,
        serviceAction: ServiceAction.MaintenanceIn.reportSupportedOperationCodes.rawValue,
        usage: [0x1F, 0x87, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00], data: .toInitiator,
        reservation: .duringWriteExclusive, plan: plan, perform: perform)

    private static let optionsByte = 2
    private static let optionsBit = 2
    private static let operationCodeByte = 3
    private static let serviceActionByte = 4

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let request = SupportedOperationCodesRequest(task.cdb)
        guard request.options != nil else { throw .invalidFieldInCDB(byte: optionsByte, bit: optionsBit) }
        return TransferPlan(toInitiator: Int(min(request.allocationLength, UInt32(TargetLimits.responseByteCount))))
    }

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let request = SupportedOperationCodesRequest(task.cdb)
        let rows = nexus.table.supportedRows(on: nexus.unit)
        guard let options = request.options, options != .all else {
            return task.respond {
                SupportedCommand.write(
                    all: rows.map { SupportedCommand($0, on: nexus.unit) }, withTimeouts: request.returnsTimeouts,
                    to: &$0)
            }
        }
        let row = try find(request, options, in: rows)
        return task.respond {
            SupportedCommand.write(
                one: row.map { SupportedCommand($0, on: nexus.unit) }, withTimeouts: request.returnsTimeouts, to: &$0)
        }
    }

    /// The one command that is asked for; nil when it is not supported.
    private static func find(
        _ request: SupportedOperationCodesRequest, _ options: SupportedOperationCodesRequest.ReportingOptions,
        in rows: [CommandDescriptor]
    ) throws(SenseData) -> CommandDescriptor? {
        let ofOpcode = rows.filter { $0.opcode == request.operationCode }
        guard let first = ofOpcode.first else { return nil }
        let hasServiceActions = first.serviceAction != nil
        switch options {
        case .oneWithoutServiceAction where hasServiceActions, .oneWithServiceAction where !hasServiceActions:
            throw .invalidFieldInCDB(byte: optionsByte, bit: optionsBit)
        case .all, .oneWithoutServiceAction, .oneWithServiceAction, .oneEither:
            break
        }
        if hasServiceActions { return ofOpcode.first { $0.serviceAction == request.serviceAction } }
        let isNamed = options == .oneWithoutServiceAction || request.serviceAction == 0
        return isNamed ? first : nil
    }
}

extension SupportedCommand {
    fileprivate init(_ row: CommandDescriptor, on unit: LogicalUnit) {
        self.init(operationCode: row.opcode, serviceAction: row.serviceAction, usage: row.usage(on: unit))
    }
}

/// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 6.36).
enum ReportSupportedTaskManagementFunctions {
    static let row = CommandDescriptor(
        name: "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", opcode: .maintenanceIn,
        serviceAction: ServiceAction.MaintenanceIn.reportSupportedTaskManagementFunctions.rawValue,
        usage: [0x1F, extendedMask, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00], data: .toInitiator,
        reservation: .duringWriteExclusive,
        plan: { task, _ throws(SenseData) in
            let allocationLength = task.cdb.uint32(at: allocationLengthByte)
            return TransferPlan(toInitiator: Int(min(allocationLength, UInt32(TargetLimits.responseByteCount))))
        },
        perform: { task, _ throws(SenseData) in
            let isExtended = task.cdb.isSet(extendedMask, inByte: flagByte)
            return task.respond { writer in
                if isExtended { functions.writeExtended(to: &writer) } else { functions.write(to: &writer) }
            }
        })

    private static let flagByte = 2
    /// REPD
    private static let extendedMask: UInt8 = 0x80
    private static let allocationLengthByte = 6

    private static let functions: SupportedTaskManagementFunctions = [
        .abortTask, .abortTaskSet, .clearTaskSet, .logicalUnitReset, .queryTask, .targetReset, .queryAsynchronousEvent,
        .queryTaskSet, .iTNexusReset,
    ]
}
