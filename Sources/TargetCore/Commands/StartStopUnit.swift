// SPDX-License-Identifier: Apache-2.0

import SCSI

/// START STOP UNIT (SBC-4 5.31): starts and stops the unit, loads and ejects a removable medium, or puts the unit to
/// rest.
struct StartStopUnit {
    /// START.
    let isStart: Bool
    /// LOEJ: the medium is to be loaded with START one, ejected with zero.
    let movesMedium: Bool
    /// NO_FLUSH: the cache is not to be written to the medium first.
    let skipsFlush: Bool
    private let powerCondition: UInt8

    init(_ cdb: CommandDescriptorBlock) {
        isStart = cdb.isSet(Self.startMask, inByte: Self.actionByte)
        movesMedium = cdb.isSet(Self.loadEjectMask, inByte: Self.actionByte)
        skipsFlush = cdb.isSet(Self.noFlushMask, inByte: Self.actionByte)
        powerCondition = cdb[Self.actionByte] >> 4
    }

    /// START one and POWER CONDITION zero: allowed under any persistent reservation.
    var isPlainStart: Bool { isStart && powerCondition == 0 }

    private static let actionByte = 4
    private static let startMask: UInt8 = 0x01
    private static let loadEjectMask: UInt8 = 0x02
    private static let loadEjectBit = 1
    private static let noFlushMask: UInt8 = 0x04
    private static let powerConditionMask: UInt8 = 0xF0
    private static let modifierMask: UInt8 = 0x0F

    /// IMMED is taken, and the command done before its status all the same.
    static let row = CommandDescriptor(
        name: "START STOP UNIT", opcode: .startStopUnit,
        usage: [
            0x01, 0x00, modifierMask, powerConditionMask | noFlushMask | loadEjectMask | startMask, 0x00,
        ],
        reservation: .startStopUnit, plan: plan, perform: perform)

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        let condition = try condition(of: task, on: nexus.unit)
        let command = StartStopUnit(task.cdb)
        if condition.code == .startValid, command.movesMedium, !nexus.unit.options.isRemovable {
            throw .invalidFieldInCDB(byte: actionByte, bit: loadEjectBit)
        }
        return TransferPlan()
    }

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let condition = try condition(of: task, on: nexus.unit)
        let command = StartStopUnit(task.cdb)
        guard condition.code == .startValid else {
            // START and LOEJ do not count.
            return rest(in: condition, command, task, nexus.unit)
        }
        switch (command.isStart, command.movesMedium) {
        case (true, false):
            if nexus.unit.conditions.contains(.noMedium) { throw .mediumNotPresent }
            nexus.unit.isStopped = false
            nexus.unit.wake()
            return .finished(toInitiator: 0)
        case (true, true):
            return try load(nexus)
        case (false, false):
            return stop(command, task, nexus.unit)
        case (false, true):
            return try eject(command, task, nexus)
        }
    }

    /// On a removable unit a POWER CONDITION that SBC-4 reserves changes nothing: initiators of removable media send
    /// all sixteen, and expect no more than that the medium stays.
    private static func condition(of task: SCSITask, on unit: LogicalUnit) throws(SenseData) -> PowerCondition {
        let isKnown = PowerCondition.Code(rawValue: task.cdb[actionByte] >> 4) != nil
        return isKnown || !unit.options.isRemovable ? try PowerCondition(task.cdb) : .unchanged
    }

    private static func flush(
        _ command: StartStopUnit, _ task: SCSITask, _ unit: LogicalUnit
    ) -> CommandDescriptor.Step? {
        guard task.step == 0, !command.skipsFlush, unit.hasVolatileWriteCache, unit.features.canFlush else {
            return nil
        }
        return MediumAccess.flush(task)
    }

    private static func rest(
        in condition: PowerCondition, _ command: StartStopUnit, _ task: SCSITask, _ unit: LogicalUnit
    ) -> CommandDescriptor.Step {
        let isStandby = condition.code == .standby || condition.code == .forceStandby
        if isStandby, let step = flush(command, task, unit) { return step }
        unit.enter(condition)
        return .finished(toInitiator: 0)
    }

    private static func stop(
        _ command: StartStopUnit, _ task: SCSITask, _ unit: LogicalUnit
    ) -> CommandDescriptor.Step {
        if let step = flush(command, task, unit) { return step }
        // A removable medium that has been stopped starts by itself when it is used, as MMC-6 and initiators have it.
        if !unit.options.isRemovable { unit.isStopped = true }
        unit.wake()
        unit.operations.abortSelfTest()
        return .finished(toInitiator: 0)
    }

    /// A medium that comes in may be another one: told to every nexus but the one that asked for it. Prevention locks
    /// the way in as well as out.
    private static func load(_ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        if unit.conditions.contains(.noMedium), unit.removal.isPrevented { throw .mediumRemovalPrevented }
        unit.isStopped = false
        unit.wake()
        if unit.conditions.contains(.noMedium) {
            unit.post(.mediumMayHaveChanged, except: nexus.attachment)
            unit.conditions.set(.noMedium, false)
        }
        return .finished(toInitiator: 0)
    }

    /// Nothing is on its way to the medium when it goes, and what was acknowledged is on it.
    private static func eject(
        _ command: StartStopUnit, _ task: SCSITask, _ nexus: NexusUnit
    ) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        if unit.conditions.contains(.noMedium) { return .finished(toInitiator: 0) }
        if unit.removal.isPrevented { throw .mediumRemovalPrevented }
        if task.step == 0 {
            guard nexus.nexus.holdsAlone(.wholeMedium, for: task, on: nexus) else { return .wait }
            if let step = flush(command, task, unit) { return step }
        }
        let isEjected = unit.removal.unlessPrevented { unit.conditions.set([.noMedium, .stopped], true) }
        guard isEjected else { throw .mediumRemovalPrevented }
        unit.tokens.revoke(.wholeMedium)
        unit.wake()
        unit.operations.abortSelfTest()
        return .finished(toInitiator: 0)
    }
}

/// PREVENT ALLOW MEDIUM REMOVAL (SPC-4 6.15), for removable media. Each I_T nexus prevents for itself.
enum PreventAllowMediumRemoval {
    private static let preventByte = 4
    private static let preventMask: UInt8 = 0x01

    /// PREVENT; its upper bit is obsolete.
    static func prevents(_ cdb: CommandDescriptorBlock) -> Bool { cdb.isSet(preventMask, inByte: preventByte) }

    static let row = CommandDescriptor(
        name: "PREVENT ALLOW MEDIUM REMOVAL", opcode: .preventAllowMediumRemoval,
        usage: [0x00, 0x00, 0x00, preventMask, 0x00], reservation: .preventAllowMediumRemoval,
        isSupported: { $0.options.isRemovable },
        perform: { task, nexus in
            guard let attachment = nexus.attachment else { return .finished(toInitiator: 0) }
            if prevents(task.cdb) {
                nexus.unit.removal.prevent(for: attachment)
            } else {
                nexus.unit.removal.allow(for: attachment)
            }
            return .finished(toInitiator: 0)
        })
}
