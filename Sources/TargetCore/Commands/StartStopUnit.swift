// SPDX-License-Identifier: Apache-2.0

import SCSI

/// START STOP UNIT (SBC-4 5.27). The medium is not removable and there are no power conditions: the fields for those
/// must be zero.
struct StartStopUnit {
    /// START.
    let isStart: Bool
    /// NO_FLUSH: the cache is not to be written to the medium first.
    let skipsFlush: Bool
    private let powerCondition: UInt8

    init(_ cdb: CommandDescriptorBlock) {
        isStart = cdb.isSet(Self.startMask, inByte: Self.actionByte)
        skipsFlush = cdb.isSet(Self.noFlushMask, inByte: Self.actionByte)
        powerCondition = cdb[Self.actionByte] >> 4
    }

    /// START one and POWER CONDITION zero: allowed under any persistent reservation.
    var isPlainStart: Bool { isStart && powerCondition == 0 }

    private static let actionByte = 4
    private static let startMask: UInt8 = 0x01
    private static let noFlushMask: UInt8 = 0x04

    /// IMMED is taken, and the command done before its status all the same.
    static let row = CommandDescriptor(
        name: "START STOP UNIT", opcode: .startStopUnit, usage: [0x01, 0x00, 0x00, startMask | noFlushMask, 0x00],
        reservation: .startStopUnit, perform: perform)

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let command = StartStopUnit(task.cdb)
        let unit = nexus.unit
        let isFlushNeeded = !command.isStart && !command.skipsFlush && unit.hasVolatileWriteCache
        if isFlushNeeded, unit.features.canFlush, task.step == 0 { return MediumAccess.flush(task) }
        unit.isStopped = !command.isStart
        return .finished(toInitiator: 0)
    }
}
