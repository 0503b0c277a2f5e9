// SPDX-License-Identifier: Apache-2.0

import SCSI

/// GET LBA STATUS (SBC-4 5.6). A store that cannot tell has everything mapped.
enum GetLBAStatus {
    static let row = CommandDescriptor(
        name: "GET LBA STATUS", opcode: .serviceActionIn16, serviceAction: ServiceAction.In16.getLBAStatus.rawValue,
        usage: [0x1F] + [UInt8](repeating: 0xFF, count: 12) + [0x00, 0x00], data: .toInitiator,
        traits: .needsMedium, reservation: .duringWriteExclusive, plan: plan, perform: perform)

    private static let addressByte = 2
    private static let allocationLengthByte = 10

    @Sendable
    private static func plan(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> TransferPlan {
        _ = try range(task, on: nexus.unit)
        let longest =
            GetLBAStatusData.headerByteCount
            + GetLBAStatusData.descriptorByteCount * TargetLimits.lbaStatusDescriptorCount
        return TransferPlan(toInitiator: min(Int(task.cdb.uint32(at: allocationLengthByte)), longest))
    }

    /// From the starting address to the last block.
    private static func range(_ task: SCSITask, on unit: LogicalUnit) throws(SenseData) -> BlockRange {
        let lba = task.cdb.uint64(at: addressByte)
        let blockCount = unit.blockCount
        guard lba < blockCount else { throw .logicalBlockAddressOutOfRange }
        return BlockRange(lba: lba, count: blockCount - lba)
    }

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let range = try range(task, on: unit)
        if unit.features.canReportBlockStatus, task.step == 0 {
            task.request.extents.removeAll(keepingCapacity: true)
            MediumAccess.prepare(task, .blockStatus, range, on: unit)
            task.useNoMemory()
            return .request
        }
        let extents = unit.features.canReportBlockStatus ? task.request.extents : []
        let room = GetLBAStatusData.descriptorCount(allocationLength: task.plan.toInitiator)
        // One descriptor at least, even when the allocation length cuts it off.
        let all = descriptors(of: extents, from: range, blockByteCount: UInt64(unit.blockByteCount))
        let data = GetLBAStatusData(descriptors: Array(all.prefix(max(1, room))))
        return task.respond { data.write(to: &$0) }
    }

    /// Whole deallocated blocks, and between them mapped ones: a block that is deallocated only in part is mapped.
    /// An empty list says that everything is mapped.
    private static func descriptors(
        of extents: [BlockStatusExtent], from range: BlockRange, blockByteCount: UInt64
    ) -> [LBAStatusDescriptor] {
        let end = range.lba + range.count
        var found: [LBAStatusDescriptor] = []
        var next = range.lba
        func append(upTo lba: UInt64, _ status: LBAStatusDescriptor.ProvisioningStatus) {
            while next < lba, found.count < TargetLimits.lbaStatusDescriptorCount {
                let count = UInt32(clamping: lba - next)
                found.append(LBAStatusDescriptor(lba: next, count: count, status: status))
                next += UInt64(count)
            }
        }
        // Sums saturate: what a store says is not trusted to stay on the medium.
        var offset = range.lba * blockByteCount
        for extent in extents {
            let start = offset
            let (sum, overflow) = offset.addingReportingOverflow(extent.byteCount)
            offset = overflow ? .max : sum
            guard !extent.isMapped else { continue }
            let first = start / blockByteCount + (start % blockByteCount == 0 ? 0 : 1)
            let last = min(offset / blockByteCount, end)
            guard first < last else { continue }
            append(upTo: first, .mapped)
            append(upTo: last, .deallocated)
        }
        append(upTo: extents.isEmpty ? end : min(offset / blockByteCount, end), .mapped)
        if found.isEmpty { append(upTo: min(next + 1, end), .mapped) }
        return found
    }
}
