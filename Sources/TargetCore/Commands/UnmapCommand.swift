// SPDX-License-Identifier: Apache-2.0

import SCSI

/// UNMAP (SBC-4 5.30): a request for each block descriptor, after all of them have been checked.
enum UnmapCommand {
    static let row = CommandDescriptor(
        name: "UNMAP", opcode: .unmap, usage: [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0x00],
        data: .fromInitiator, traits: [.needsMedium, .writesMedium, .revokesTokens], reservation: .never,
        isSupported: { $0.features.canUnmap },
        plan: { task, _ throws(SenseData) in TransferPlan(fromInitiator: parameterListLength(task)) },
        perform: perform)

    /// MAXIMUM UNMAP LBA COUNT.
    static func maximumBlockCount(on unit: LogicalUnit) -> UInt32 {
        let byDevice = unit.features.maximumUnmapBlockCount
        return byDevice == 0 ? TargetLimits.unmapBlockCount : min(byDevice, TargetLimits.unmapBlockCount)
    }

    private static let parameterListLengthByte = 7

    private static func parameterListLength(_ task: SCSITask) -> Int {
        Int(task.cdb.uint16(at: parameterListLengthByte))
    }

    /// `task.descriptorIndex` is the next descriptor.
    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let bytes = try task.parameterList(parameterListLength(task))
        // Safe: a byte of an array has no padding, and the span does not outlive it.
        let list = try unsafe UnmapParameterList(bytes.span.bytes)
        if task.step == 0 { try check(list, bytes, on: unit) }
        while task.descriptorIndex < list.descriptorCount {
            let range = unsafe UnmapParameterList.descriptor(task.descriptorIndex, in: bytes.span.bytes)
            task.descriptorIndex += 1
            guard range.count > 0 else { continue }
            if unit.conditions.contains(.tokensWatched) { unit.tokens.revoke(range) }
            MediumAccess.prepare(task, .unmap, range, on: unit)
            task.useNoMemory()
            return .request
        }
        return task.step == 0 ? .finished(toInitiator: 0) : MediumAccess.endWrite(task, on: unit, isForced: false)
    }

    private static func check(_ list: UnmapParameterList, _ bytes: [UInt8], on unit: LogicalUnit) throws(SenseData) {
        guard list.descriptorCount <= TargetLimits.unmapDescriptorCount else { throw .invalidFieldInParameterList }
        // The sum of at most 256 counts of 32 bits does not overflow.
        var blockCount: UInt64 = 0
        for index in 0..<list.descriptorCount {
            let range = unsafe UnmapParameterList.descriptor(index, in: bytes.span.bytes)
            try MediumAccess.checkRange(range, on: unit)
            blockCount += range.count
        }
        guard blockCount <= UInt64(maximumBlockCount(on: unit)) else { throw .invalidFieldInParameterList }
    }
}
