// SPDX-License-Identifier: Apache-2.0

import SCSI

/// MODE SENSE(6), (10) and MODE SELECT(6), (10) (SPC-4 6.11 to 6.14). The parameters are shared by all initiators, and
/// can be saved where the unit has a place for that.
///
/// Write protection is about the medium (SBC-4 4.12), and so does not forbid MODE SELECT. But through a read-only view no
/// parameter is changeable or savable: what everybody shares, SWP among it, is not for one who may only read.
enum ModeCommands {
    static let rows = [
        sense("MODE SENSE(6)", .modeSense6, [0x08, 0xFF, 0xFF, 0xFF, 0x00]),
        sense("MODE SENSE(10)", .modeSense10, [0x18, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x00]),
        select("MODE SELECT(6)", .modeSelect6, [0x11, 0x00, 0x00, 0xFF, 0x00]),
        select("MODE SELECT(10)", .modeSelect10, [0x11, 0x00, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x00]),
    ]

    private static func sense(_ name: String, _ opcode: OperationCode, _ usage: [UInt8]) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, data: .toInitiator, reservation: .duringWriteExclusive,
            plan: { task, _ throws(SenseData) in TransferPlan(toInitiator: allocationLength(task.cdb)) },
            perform: sense)
    }

    private static func select(_ name: String, _ opcode: OperationCode, _ usage: [UInt8]) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, data: .fromInitiator, reservation: .never,
            plan: { task, nexus throws(SenseData) in
                let request = ModeSelectRequest(task.cdb)
                try request.check(canSave: nexus.unit.durable.isAvailable && !nexus.isReadOnlyView)
                return TransferPlan(fromInitiator: request.parameterListLength)
            },
            perform: select)
    }

    private static func allocationLength(_ cdb: CommandDescriptorBlock) -> Int {
        ModeSenseRequest(cdb).isTenByte ? Int(cdb.uint16(at: 7)) : Int(cdb[4])
    }

    @Sendable
    private static func sense(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let data = ModeParameterData(
            pages: pages(of: unit, isReadOnlyView: nexus.isReadOnlyView), blockDescriptor: medium(of: unit),
            isWriteProtected: nexus.isWriteProtected,
            supportsDPOAndFUA: unit.canForceUnitAccess)
        return try task.respondChecking { writer throws(SenseData) in
            try data.write(ModeSenseRequest(task.cdb), to: &writer)
        }
    }

    /// With SP all that can be saved is saved before anything changes (SPC-4 6.11). When WCE goes from one to zero, what
    /// the cache holds is flushed in the end: from then on every write is stable.
    @Sendable
    private static func select(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        switch task.step {
        case 0:
            guard nexus.nexus.hasTurn(task, on: nexus) else { return .wait }
            return try selectPages(task, nexus)
        case saved:
            if task.hasFailedToSave { throw .internalTargetFailure }
            return task.progress == mustFlush ? MediumAccess.flush(task) : .finished(toInitiator: 0)
        default:
            return .finished(toInitiator: 0)
        }
    }

    /// The step after the save.
    private static let saved = 1
    /// `SCSITask.progress`: the save is followed by a flush.
    private static let mustFlush: UInt64 = 1

    private static func selectPages(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let request = ModeSelectRequest(task.cdb)
        let list = try task.parameterList(request.parameterListLength)
        var selected = pages(of: unit, isReadOnlyView: nexus.isReadOnlyView)
        // Safe: a byte of an array has no padding, and the span does not outlive it.
        let hasChanged = try unsafe selected.select(
            list.span.bytes, isTenByte: request.isTenByte, medium: medium(of: unit))
        let switchesCacheOff = unit.isWriteCacheEnabled && !selected[.writeCacheEnable]
        if request.savesPages {
            task.progress = switchesCacheOff ? mustFlush : 0
            return nexus.nexus.save(selected, hasChanged: hasChanged, for: task, on: nexus)
        }
        guard hasChanged else { return .finished(toInitiator: 0) }
        publish(selected, on: unit, by: nexus.attachment)
        task.step = saved
        return switchesCacheOff ? MediumAccess.flush(task) : .finished(toInitiator: 0)
    }

    /// `selected` is current now, and every other nexus is told.
    fileprivate static func publish(_ selected: ModePages, on unit: LogicalUnit, by attachment: UnitAttachment?) {
        apply(selected, to: unit)
        unit.post(.modeParametersChanged, except: attachment)
    }

    private static func apply(_ selected: ModePages, to unit: LogicalUnit) {
        unit.modes.set(
            writeCache: unit.isWriteCacheChangeable ? selected[.writeCacheEnable] : unit.modes.isWriteCacheEnabled,
            descriptorSense: selected[.descriptorSense], softwareWriteProtect: selected[.softwareWriteProtect],
            taskAbortedStatus: selected[.taskAbortedStatus])
    }

    /// What power on and a reset bring: saved values, or defaults where nothing was saved.
    static func restore(_ unit: LogicalUnit) {
        guard unit.durable.current.modePages != nil else { return unit.modes.restoreDefaults() }
        var restored = pages(of: unit)
        restored.restore()
        apply(restored, to: unit)
    }

    private static func medium(of unit: LogicalUnit) -> ModeBlockDescriptor {
        ModeBlockDescriptor(blockCount: unit.blockCount, blockByteCount: UInt32(unit.blockByteCount))
    }

    static func selects(_ cdb: CommandDescriptorBlock) -> Bool {
        cdb.opcode == OperationCode.modeSelect6.rawValue || cdb.opcode == OperationCode.modeSelect10.rawValue
    }

    /// Sets WP in what a store has answered to MODE SENSE: the first `byteCount` bytes of the buffer.
    static func showWriteProtected(_ task: SCSITask, byteCount: Int) {
        let byte: Int
        switch OperationCode(rawValue: task.cdb.opcode) {
        case .modeSense6: byte = 2
        case .modeSense10: byte = 3
        default: return
        }
        // Safe: no more than the buffer's bytes are counted.
        if byte < byteCount { unsafe task.buffer[byte] |= 0x80 }
    }

    static func pages(of unit: LogicalUnit, isReadOnlyView: Bool = false) -> ModePages {
        let isChangeable = !isReadOnlyView
        var pages = ModePages(
            [.readWriteErrorRecovery, .caching, .perNexusTaskSets, .informationalExceptionsControl]
                + unit.fixedModePages)
        pages.configure(.disableExceptionControl, default: true, isChangeable: false)
        pages.configure(.globalLoggingTargetSaveDisable, default: true, isChangeable: false)
        let modes = unit.modes
        pages.configure(
            .writeCacheEnable, default: unit.isWriteCacheEnabledByDefault,
            isChangeable: isChangeable && unit.isWriteCacheChangeable)
        pages[.writeCacheEnable] = unit.isWriteCacheEnabled
        pages.configure(
            .applicationTagOwner, default: unit.protection?.isTagOwnedByInitiator ?? false, isChangeable: false)
        pages.configure(.descriptorSense, default: false, isChangeable: isChangeable)
        pages[.descriptorSense] = modes.usesDescriptorSense
        pages.configure(.softwareWriteProtect, default: false, isChangeable: isChangeable)
        pages[.softwareWriteProtect] = modes.isSoftwareWriteProtected
        pages.configure(.taskAbortedStatus, default: false, isChangeable: isChangeable)
        pages[.taskAbortedStatus] = modes.reportsTaskAborted
        if unit.durable.isAvailable, isChangeable { pages.makeSavable(unit.durable.current.modePages ?? []) }
        return pages
    }
}

extension ITNexus {
    /// Saves `selected`, and only then makes it current. When it cannot be saved nothing changes, and
    /// `task.hasFailedToSave` says so. `task` is called again with `step` 1.
    fileprivate func save(
        _ selected: ModePages, hasChanged: Bool, for task: SCSITask, on unit: NexusUnit
    ) -> CommandDescriptor.Step {
        task.step = 1
        let waiter = LoopBound((self, task))
        let attachment = unit.attachment
        let unit = unit.unit
        let loop = loop
        let pages = selected.savable
        unit.durable.save(
            { $0.modePages = pages },
            completion: { isSaved in
                loop.perform {
                    let (nexus, task) = waiter.value
                    task.hasFailedToSave = !isSaved
                    if isSaved, hasChanged { ModeCommands.publish(selected, on: unit, by: attachment) }
                    nexus.resume(task)
                }
            })
        return .wait
    }
}

extension ModePage {
    private static let taskSetPerNexus: UInt8 = 0b001 << 5
    private static let unrestrictedReordering: UInt8 = 0b0001 << 4

    /// The Control mode page with TST 001b and QUEUE ALGORITHM MODIFIER 0001b: each I_T nexus has its own task set,
    /// and SIMPLE tasks run in any order.
    fileprivate static var perNexusTaskSets: ModePage {
        let page = ModePage.control
        var body = Array(page.bytes(.default).dropFirst(page.headerByteCount))
        body[0] |= taskSetPerNexus
        body[1] |= unrestrictedReordering
        return ModePage(code: page.code, defaults: body)
    }
}
