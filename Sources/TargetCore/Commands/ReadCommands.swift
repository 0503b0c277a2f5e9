// SPDX-License-Identifier: Apache-2.0

import SCSI

/// READ(6), (10), (12) and (16) (SBC-4 5.13 and on).
enum ReadCommands {
    static let rows = [
        row("READ(6)", .read6, [0x1F, 0xFF, 0xFF, 0xFF, 0x00]),
        row("READ(10)", .read10, [0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0x00]),
        row("READ(12)", .read12, [0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00]),
        row("READ(16)", .read16, [0x18] + [UInt8](repeating: 0xFF, count: 12) + [0x00, 0x00]),
    ]

    private static func row(_ name: String, _ opcode: OperationCode, _ usage: [UInt8]) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, data: .toInitiator,
            traits: [.needsMedium, .readsMedium, .namesOneExtent],
            reservation: .duringWriteExclusive, plan: plan, perform: perform)
    }

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let unit = nexus.unit
        let access = try MediumAccess.checked(task, on: unit)
        var plan = TransferPlan(toInitiator: MediumAccess.byteCount(access.range.count, on: unit))
        plan.isMapped =
            unit.canMapReads && !nexus.taskSet.isOrdered && !unit.conditions.contains(.extentsGuarded)
            && maps(task, access, plan.toInitiator, on: unit)
        return plan
    }

    /// Finds the data where the device keeps them. Not for a read that must first see a flush, and not in a task set
    /// with an order: later writes show through until the data are sent, which only SIMPLE tasks allow each other. When
    /// an ORDERED task comes later the transport settles what it has still to send.
    private static func maps(
        _ task: SCSITask, _ access: BlockAccess, _ byteCount: Int, on unit: LogicalUnit
    ) -> Bool {
        guard task.allowsMappedData, task.attribute == .simple, byteCount > 0,
            !access.forceUnitAccess || !unit.hasVolatileWriteCache,
            let data = unsafe unit.device.mapRead(
                byteOffset: access.range.lba * UInt64(unit.blockByteCount), byteCount: byteCount)
        else { return false }
        unsafe task.mappedData = UnsafeRawBufferPointer(start: data, count: byteCount)
        return true
    }

    /// With FUA what a volatile cache holds goes to the medium first, so that the data come from there.
    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        if task.plan.isMapped { return .finished(toInitiator: task.plan.toInitiator) }
        let unit = nexus.unit
        let access = try MediumAccess.access(of: task)
        let byteCount = MediumAccess.byteCount(access.range.count, on: unit)
        if byteCount == 0 || task.step > 0 && task.request.operation == .read {
            return .finished(toInitiator: byteCount)
        }
        if task.step == 0, access.forceUnitAccess, unit.hasVolatileWriteCache, unit.features.canFlush {
            return MediumAccess.flush(task)
        }
        MediumAccess.prepare(task, .read, access.range, on: unit)
        task.useData(byteCount: byteCount)
        return .request
    }
}
