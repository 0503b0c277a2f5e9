// SPDX-License-Identifier: Apache-2.0

import SCSI

/// SYNCHRONIZE CACHE(10) and (16) (SBC-4 5.31, 5.32). The whole cache is flushed whatever the range, and IMMED is
/// taken but not made use of: status comes when the data are stable. The obsolete SYNC_NV, which older initiators set,
/// would do with less.
enum SynchronizeCacheCommands {
    static let rows = [
        row("SYNCHRONIZE CACHE(10)", .synchronizeCache10, [0x06, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0x00]),
        row("SYNCHRONIZE CACHE(16)", .synchronizeCache16, [0x06] + [UInt8](repeating: 0xFF, count: 12) + [0x00, 0x00]),
    ]

    /// There is no row where a volatile cache could not be flushed.
    private static func row(_ name: String, _ opcode: OperationCode, _ usage: [UInt8]) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, traits: .needsMedium, reservation: .never,
            isSupported: { $0.canForceUnitAccess }, plan: plan, perform: perform)
    }

    /// NUMBER OF LOGICAL BLOCKS zero means up to the last block.
    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        try MediumAccess.checkRange(try MediumAccess.access(of: task).range, on: nexus.unit)
        return TransferPlan()
    }

    /// A store that can flush is asked even when it has no volatile cache: it knows best what is stable.
    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        guard task.step == 0, nexus.unit.features.canFlush else { return .finished(toInitiator: 0) }
        return MediumAccess.flush(task)
    }
}
