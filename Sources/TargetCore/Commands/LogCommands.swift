// SPDX-License-Identifier: Apache-2.0

import SCSI

/// LOG SENSE and LOG SELECT (SPC-4 6.6, 6.5). Parameters are shared by all initiators; none is saved, and none has a
/// threshold.
enum LogCommands {
    static let rows = [
        CommandDescriptor(
            name: "LOG SENSE", opcode: .logSense, usage: [0x00, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x00],
            data: .toInitiator, reservation: .duringPersistentReservation,
            plan: { task, _ throws(SenseData) in
                TransferPlan(toInitiator: LogSenseRequest(task.cdb).allocationLength)
            },
            perform: sense),
        CommandDescriptor(
            name: "LOG SELECT", opcode: .logSelect, usage: [0x02, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x00],
            data: .fromInitiator, reservation: .never,
            plan: { task, _ throws(SenseData) in
                let request = LogSelectRequest(task.cdb)
                try request.check()
                guard request.parameterListLength <= TargetLimits.parameterListByteCount else {
                    throw .parameterListLengthError
                }
                return TransferPlan(fromInitiator: request.parameterListLength)
            },
            perform: select),
    ]

    @Sendable
    private static func sense(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let pages = nexus.unit.logPages
        return try task.respondChecking { writer throws(SenseData) in
            try pages.write(LogSenseRequest(task.cdb), to: &writer)
        }
    }

    @Sendable
    private static func select(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let request = LogSelectRequest(task.cdb)
        let hasChanged: Bool
        if request.parameterListLength > 0 {
            let list = try task.parameterList(request.parameterListLength)
            // Safe: a byte of an array has no padding, and the span does not outlive it.
            let settings = try unsafe unit.logPages.settings(list.span.bytes)
            unit.withCounts { unit.logs.set(settings, $0) }
            hasChanged = !settings.isEmpty
        } else {
            hasChanged = try reset(request, unit)
        }
        if hasChanged { unit.post(.logParametersChanged, except: nexus.attachment) }
        return .finished(toInitiator: 0)
    }

    /// Page 00h means all pages; with subpage FFh a page means itself and its subpages.
    private static func reset(_ request: LogSelectRequest, _ unit: LogicalUnit) throws(SenseData) -> Bool {
        let isAll = request.pageCode == LogPageCode.supportedPages
        let takesSubpages = request.subpageCode == LogPageCode.allSubpages
        if !isAll || request.subpageCode != 0 && !takesSubpages {
            _ = try unit.logPages.named(request.pageCode, takesSubpages ? 0 : request.subpageCode)
        }
        guard request.isReset else { return false }
        return unit.withCounts { counts in unit.logs.reset(counts) { isAll || $0 == request.pageCode } }
    }
}
