// SPDX-License-Identifier: Apache-2.0

import SCSI

extension CommandTable {
    /// A direct access block device (PERIPHERAL DEVICE TYPE 00h).
    public static let directAccess = CommandTable(
        [
            TestUnitReady.row, RequestSense.row, Inquiry.row, ReportLUNs.row, StartStopUnit.row,
            CompareAndWriteCommand.row, WriteAtomicCommand.row, UnmapCommand.row, GetLBAStatus.row,
            ReportSupportedOperationCodes.row,
            ReportSupportedTaskManagementFunctions.row,
        ]
            + ReadCommands.rows + WriteCommands.rows + ReadCapacityCommands.rows + SynchronizeCacheCommands.rows
            + VerifyCommands.rows + WriteAndVerifyCommands.rows + WriteSameCommands.rows
            + ModeCommands.rows + ReserveReleaseCommands.rows + PersistentReserveInCommands.rows
            + PersistentReserveOutCommands.rows + TargetPortGroupCommands.rows + LogCommands.rows
            + IdentifyingInformationCommands.rows + TimestampCommands.rows + BufferCommands.rows)

    /// What a number without a logical unit answers (SPC-4 6.4.1, 6.33, 6.39).
    static let absentUnit = CommandTable(
        [Inquiry.absentRow, RequestSense.absentRow, ReportLUNs.row], refusal: .logicalUnitNotSupported)
}
