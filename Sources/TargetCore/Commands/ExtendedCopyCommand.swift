// SPDX-License-Identifier: Apache-2.0

import SCSI

/// EXTENDED COPY(LID1) (SPC-4 6.4): segments of blocks, copied one after the other.
///
/// Sources and destinations are looked for among the logical units of the I_T nexus that sent the command, never
/// anywhere else: a designator of a unit that this initiator is not to see names nothing.
enum ExtendedCopyCommand {
    static let row = CommandDescriptor(
        name: "EXTENDED COPY(LID1)", opcode: .thirdPartyCopyOut,
        serviceAction: ServiceAction.ThirdPartyCopyOut.extendedCopyLID1.rawValue,
        usage: [0x1F] + [UInt8](repeating: 0, count: 8) + [0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00],
        data: .fromInitiator, traits: .ownedByCore, reservation: .never, isSupported: ThirdPartyCopy.isSupported,
        plan: { task, _ throws(SenseData) in try ThirdPartyCopy.plan(task, movesBlocks: true) }, perform: perform)

    @Sendable
    private static func perform(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        if let copy = task.copy { return try copy.next(task, nexus) }
        let length = ThirdPartyCopy.parameterListLength(task)
        guard length > 0 else { return .finished(toInitiator: 0) }
        let bytes = try task.parameterList(length)
        // Safe: a byte of an array has no padding, and the span does not outlive it.
        let list = try unsafe ExtendedCopyParameterList(bytes.span.bytes, limits: ThirdPartyCopy.limits)
        let identifier = list.listIdentifier.map(UInt32.init)
        try nexus.copies.checkRoom(for: identifier)
        let copy = try operation(list, identifier, nexus)
        nexus.copies.add(copy)
        task.copy = copy
        return try copy.next(task, nexus)
    }

    private static func operation(
        _ list: ExtendedCopyParameterList, _ identifier: UInt32?, _ nexus: NexusUnit
    ) throws(SenseData) -> CopyOperation {
        var units: [NexusUnit] = []
        for target in list.targets { units.append(try find(target, from: nexus)) }
        var runs: [CopyRun] = []
        var residueUnits: [Int] = []
        for (index, segment) in list.segments.enumerated() {
            let source = units[segment.source]
            let destination = units[segment.destination]
            let pads = list.targets[segment.source].pads || list.targets[segment.destination].pads
            let counted = segment.countsDestinationBlocks ? destination : source
            runs.append(try run(segment, index, from: source, to: destination, counted, pads: pads))
            residueUnits.append(counted.unit.blockByteCount)
        }
        let copy = CopyOperation(.extendedCopyLID1, listIdentifier: identifier, runs: runs)
        copy.residueUnits = residueUnits
        return copy
    }

    private static func run(
        _ segment: BlockToBlockSegment, _ index: Int, from source: NexusUnit, to destination: NexusUnit,
        _ counted: NexusUnit, pads: Bool
    ) throws(SenseData) -> CopyRun {
        let byteCount = UInt64(segment.blockCount) * UInt64(counted.unit.blockByteCount)
        func place(_ unit: NexusUnit, _ lba: UInt64, _ byte: Int) throws(SenseData) -> CopyRun.Place {
            let blockByteCount = UInt64(unit.unit.blockByteCount)
            guard byteCount % blockByteCount == 0 else {
                // Neither residual data nor padding is kept.
                throw .copyAborted(
                    pads || segment.concatenates ? .copySegmentGranularityViolation : .unexpectedInexactSegment,
                    segment: index, residue: UInt64(segment.blockCount), byte: BlockToBlockSegment.blockCountByte)
            }
            let range = BlockRange(lba: lba, count: byteCount / blockByteCount)
            guard range.isWithin(blockCount: unit.unit.blockCount) else {
                throw .copyAborted(
                    .logicalBlockAddressOutOfRange, segment: index, residue: UInt64(segment.blockCount), byte: byte)
            }
            return CopyRun.Place(unit: unit, byteOffset: lba * blockByteCount)
        }
        return CopyRun(
            source: try place(source, segment.sourceLBA, BlockToBlockSegment.sourceLBAByte),
            destination: try place(destination, segment.destinationLBA, BlockToBlockSegment.destinationLBAByte),
            byteCount: byteCount)
    }

    /// The unit of this I_T nexus that `target` names.
    private static func find(
        _ target: CopyTargetDescriptor, from nexus: NexusUnit
    ) throws(SenseData) -> NexusUnit {
        let found = nexus.nexus.presentUnits.first { unit in
            ThirdPartyCopy.isSupported(by: unit.unit)
                && InquiryData.designators(unit.unit.identity, unit).contains {
                    $0.association == .logicalUnit && target.names($0)
                }
        }
        guard let found else { throw .copyAborted(.copyTargetDeviceNotReachable, parameterListByte: target.offset) }
        guard target.peripheralDeviceType == 0 else {
            throw .copyAborted(.incorrectCopyTargetDeviceType, parameterListByte: target.offset + 1)
        }
        guard Int(target.blockByteCount) == found.unit.blockByteCount else {
            throw .invalidFieldInParameterList(byte: target.offset + 29)
        }
        return found
    }
}
