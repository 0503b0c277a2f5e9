// SPDX-License-Identifier: Apache-2.0

import SCSI

/// REPORT LUNS (SPC-4 6.33): the logical units that the I_T nexus sees, the same at every number, with or without one
/// behind it.
enum ReportLUNs {
    static let row = CommandDescriptor(
        name: "REPORT LUNS", opcode: .reportLUNs,
        usage: [0x00, 0xFF, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00], data: .toInitiator,
        traits: [.passesUnitAttention, .implicitHeadOfQueue, .ownedByCore], reservation: .always, plan: plan,
        perform: { task, nexus throws(SenseData) in
            let report = try selectReport(task)
            // SPC-4 6.33: what the condition told of has been read.
            nexus.nexus.clearAttentions(.reportedLUNsDataHasChanged)
            let numbers = nexus.nexus.logicalUnitNumbers.map { LogicalUnitNumber($0) }
            return task.respond { ReportLUNsData(logicalUnits: numbers).write(report, to: &$0) }
        })

    private static let selectReportByte = 2
    private static let allocationLengthByte = 6
    /// The list's header and one logical unit number.
    private static let minimumAllocationLength = 16
    /// The header and every number that a nexus can see.
    private static let maximumByteCount = 8 + 8 * TargetLimits.logicalUnitCount

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        _ = try selectReport(task)
        let allocationLength = Int(task.cdb.uint32(at: allocationLengthByte))
        guard allocationLength >= minimumAllocationLength else { throw .invalidFieldInCDB(byte: allocationLengthByte) }
        return TransferPlan(toInitiator: min(allocationLength, maximumByteCount))
    }

    private static func selectReport(_ task: SCSITask) throws(SenseData) -> SelectReport {
        guard let report = SelectReport(rawValue: task.cdb[selectReportByte]) else {
            throw .invalidFieldInCDB(byte: selectReportByte)
        }
        return report
    }
}
