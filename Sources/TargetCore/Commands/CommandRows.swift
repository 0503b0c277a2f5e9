// SPDX-License-Identifier: Apache-2.0

import SCSI

extension CommandTable {
    /// A direct access block device (PERIPHERAL DEVICE TYPE 00h).
    public static let directAccess = CommandTable(
        [primary, parameters, access, reservations, transfers, provisioning, copies, medium].flatMap { $0 })

    /// What every device has (SPC-4).
    private static let primary: [CommandDescriptor] = [
        TestUnitReady.row, RequestSense.row, Inquiry.row, ReportLUNs.row, StartStopUnit.row,
        ReportSupportedOperationCodes.row, ReportSupportedTaskManagementFunctions.row,
    ]

    private static let parameters: [CommandDescriptor] = [
        ModeCommands.rows, LogCommands.rows, IdentifyingInformationCommands.rows, TimestampCommands.rows,
        BufferCommands.rows,
    ].flatMap { $0 }

    /// Paths to the unit.
    private static let access: [CommandDescriptor] = TargetPortGroupCommands.rows

    private static let reservations: [CommandDescriptor] =
        ReserveReleaseCommands.rows + PersistentReserveInCommands.rows + PersistentReserveOutCommands.rows

    /// Blocks (SBC-4).
    private static let transfers: [CommandDescriptor] = [
        ReadCommands.rows, WriteCommands.rows, VerifyCommands.rows, WriteAndVerifyCommands.rows,
        WriteSameCommands.rows, SynchronizeCacheCommands.rows,
        [CompareAndWriteCommand.row, OrWriteCommand.row, WriteAtomicCommand.row],
    ].flatMap { $0 }

    /// The medium as a whole.
    private static let provisioning: [CommandDescriptor] =
        ReadCapacityCommands.rows + [UnmapCommand.row, GetLBAStatus.row]

    private static let copies: [CommandDescriptor] =
        [ExtendedCopyCommand.row] + ReceiveCopyCommands.rows + TokenCommands.rows

    private static let medium: [CommandDescriptor] = [
        [PreventAllowMediumRemoval.row, FormatUnit.row], SanitizeCommands.rows, DiagnosticCommands.rows,
        ReadDefectData.rows, PreFetchCommands.rows,
    ].flatMap { $0 }

    /// What a number without a logical unit answers (SPC-4 6.4.1, 6.33, 6.39).
    static let absentUnit = CommandTable(
        [Inquiry.absentRow, RequestSense.absentRow, ReportLUNs.row], refusal: .logicalUnitNotSupported)
}
