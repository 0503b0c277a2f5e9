// SPDX-License-Identifier: Apache-2.0

import SCSI

/// MODE SENSE(6), (10) and MODE SELECT(6), (10) (SPC-4 6.11 to 6.14). The parameters are shared by all initiators;
/// none is saved.
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
            plan: { task, _ throws(SenseData) in
                let request = ModeSelectRequest(task.cdb)
                try request.check()
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
            pages: pages(of: unit), blockDescriptor: medium(of: unit), isWriteProtected: unit.isWriteProtected,
            supportsDPOAndFUA: unit.canForceUnitAccess)
        var refusal: SenseData?
        let step = task.respond { writer in
            do throws(SenseData) {
                try data.write(ModeSenseRequest(task.cdb), to: &writer)
            } catch {
                refusal = error
            }
        }
        if let refusal { throw refusal }
        return step
    }

    /// When WCE goes from one to zero, what the cache holds is flushed first: from then on every write is stable.
    @Sendable
    private static func select(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let request = ModeSelectRequest(task.cdb)
        let list = try task.parameterList(request.parameterListLength)
        var selected = pages(of: unit)
        // Safe: a byte of an array has no padding, and the span does not outlive it.
        let hasChanged = try unsafe selected.select(
            list.span.bytes, isTenByte: request.isTenByte, medium: medium(of: unit))
        guard hasChanged else { return .finished(toInitiator: 0) }
        let switchesCacheOff = unit.isWriteCacheEnabled && !selected[.writeCacheEnable]
        unit.modes.set(
            writeCache: unit.isWriteCacheChangeable ? selected[.writeCacheEnable] : unit.modes.isWriteCacheEnabled,
            descriptorSense: selected[.descriptorSense], softwareWriteProtect: selected[.softwareWriteProtect],
            taskAbortedStatus: selected[.taskAbortedStatus])
        unit.post(.modeParametersChanged, except: nexus.attachment)
        return switchesCacheOff ? MediumAccess.flush(task) : .finished(toInitiator: 0)
    }

    private static func medium(of unit: LogicalUnit) -> ModeBlockDescriptor {
        ModeBlockDescriptor(blockCount: unit.blockCount, blockByteCount: UInt32(unit.blockByteCount))
    }

    static func pages(of unit: LogicalUnit) -> ModePages {
        var pages = ModePages(
            [.readWriteErrorRecovery, .caching, .perNexusTaskSets, .informationalExceptionsControl]
                + unit.fixedModePages)
        pages.configure(.disableExceptionControl, default: true, isChangeable: false)
        pages.configure(.globalLoggingTargetSaveDisable, default: true, isChangeable: false)
        let modes = unit.modes
        pages.configure(
            .writeCacheEnable, default: unit.isWriteCacheEnabledByDefault, isChangeable: unit.isWriteCacheChangeable)
        pages[.writeCacheEnable] = unit.isWriteCacheEnabled
        pages.configure(.descriptorSense, default: false, isChangeable: true)
        pages[.descriptorSense] = modes.usesDescriptorSense
        pages.configure(.softwareWriteProtect, default: false, isChangeable: true)
        pages.configure(.taskAbortedStatus, default: false, isChangeable: true)
        pages[.taskAbortedStatus] = modes.reportsTaskAborted
        pages[.softwareWriteProtect] = modes.isSoftwareWriteProtected
        return pages
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
