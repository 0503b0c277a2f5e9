// SPDX-License-Identifier: Apache-2.0

import SCSI

/// POPULATE TOKEN and WRITE USING TOKEN (SBC-3 5.9, 5.45). IMMED is taken but not made use of: status comes when the
/// work is done.
enum TokenCommands {
    static let rows = [
        row(
            "POPULATE TOKEN", .populateToken, traits: [.needsMedium, .readsMedium, .claimsExtent, .ownedByCore],
            reservation: .duringWriteExclusive, movesBlocks: false, perform: populate),
        row(
            "WRITE USING TOKEN", .writeUsingToken,
            traits: [.needsMedium, .writesMedium, .claimsExtent, .revokesTokens, .ownedByCore], reservation: .never,
            movesBlocks: true, perform: write),
    ]

    private static func row(
        _ name: String, _ action: ServiceAction.ThirdPartyCopyOut, traits: CommandDescriptor.Traits,
        reservation: ReservationRule, movesBlocks: Bool, perform: @escaping CommandDescriptor.Perform
    ) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: .thirdPartyCopyOut, serviceAction: action.rawValue,
            usage: [0x1F, 0, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 8) + [0x00, 0x00], data: .fromInitiator,
            traits: traits, reservation: reservation, isSupported: ThirdPartyCopy.isSupported,
            plan: { task, _ throws(SenseData) in try ThirdPartyCopy.plan(task, movesBlocks: movesBlocks) },
            perform: perform)
    }

    private static let listIdentifierByte = 6

    private static func checkRanges(_ ranges: [BlockRange], on unit: LogicalUnit) throws(SenseData) {
        for range in ranges { try MediumAccess.checkRange(range, on: unit) }
    }

    // MARK: - POPULATE TOKEN

    /// The token is made while nobody else touches the blocks: a write that began before has ended, and one that begins
    /// afterwards finds the token and revokes it.
    @Sendable
    private static func populate(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        let length = ThirdPartyCopy.parameterListLength(task)
        guard length > 0 else { return .finished(toInitiator: 0) }
        let bytes = try task.parameterList(length)
        let list = try unsafe PopulateTokenParameterList(
            bytes.span.bytes, limits: ThirdPartyCopy.rangeLimits(of: unit))
        try checkRanges(list.ranges, on: unit)
        let timeoutSeconds = try inactivityTimeout(list)
        let copy = if let copy = task.copy { copy } else { try begin(.populateToken, [], task, nexus) }
        let bounds = list.ranges.dropFirst().reduce(list.ranges[0]) { $0.union($1) }
        guard nexus.nexus.holdsAlone(bounds, for: task, on: nexus) else { return .wait }
        do throws(SenseData) {
            copy.token = try unit.tokens.create(
                for: list.ranges, timeoutSeconds: timeoutSeconds, blockByteCount: unit.blockByteCount,
                creator: DesignationDescriptor(.naaLocallyAssigned(unit.identity.naa), of: .logicalUnit))
        } catch {
            copy.end(.checkCondition, error)
            throw error
        }
        copy.tokenBlockCount = list.ranges.reduce(0) { $0 + $1.count }
        copy.end(.good)
        return .finished(toInitiator: 0)
    }

    private static func inactivityTimeout(_ list: PopulateTokenParameterList) throws(SenseData) -> UInt32 {
        if let type = list.rodType, type != RODType.pointInTimeChangeVulnerable, type != RODType.pointInTimeAny {
            throw .unsupportedTokenType
        }
        guard list.inactivityTimeoutSeconds > 0 else { return TargetLimits.defaultTokenInactivitySeconds }
        guard list.inactivityTimeoutSeconds <= TargetLimits.maximumTokenInactivitySeconds else {
            throw .invalidFieldInParameterList(byte: PopulateTokenParameterList.inactivityTimeoutByte)
        }
        return list.inactivityTimeoutSeconds
    }

    private static func begin(
        _ action: ServiceAction.ThirdPartyCopyOut, _ runs: [CopyRun], _ task: SCSITask, _ nexus: NexusUnit
    ) throws(SenseData) -> CopyOperation {
        let identifier = task.cdb.uint32(at: listIdentifierByte)
        try nexus.copies.checkRoom(for: identifier)
        let copy = CopyOperation(action, listIdentifier: identifier, runs: runs)
        nexus.copies.add(copy)
        task.copy = copy
        return copy
    }

    // MARK: - WRITE USING TOKEN

    @Sendable
    private static func write(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        if let copy = task.copy { return try copy.next(task, nexus) }
        let unit = nexus.unit
        let length = ThirdPartyCopy.parameterListLength(task)
        guard length > 0 else { return .finished(toInitiator: 0) }
        let bytes = try task.parameterList(length)
        let list = try unsafe WriteUsingTokenParameterList(
            bytes.span.bytes, limits: ThirdPartyCopy.rangeLimits(of: unit))
        try checkRanges(list.ranges, on: unit)
        try nexus.copies.checkRoom(for: task.cdb.uint32(at: listIdentifierByte))
        let header = try RODToken.Header(list.token)
        if header.rodType == RODType.blockDeviceZero {
            return try begin(.writeUsingToken, zeroes(list.ranges, nexus), task, nexus).next(task, nexus)
        }
        guard header.rodType == RODType.pointInTimeChangeVulnerable else { throw .unsupportedTokenType }
        let (source, lease) = try find(list.token, header, from: nexus)
        let store = source.unit.tokens
        do throws(SenseData) {
            let (runs, isPartial) = try runs(list, of: lease.ranges, on: source, to: nexus)
            let copy = try begin(.writeUsingToken, runs, task, nexus)
            copy.lease = (store, lease, list.deletesToken)
            copy.isPartial = isPartial
        } catch {
            store.end(lease, deletes: false)
            throw error
        }
        guard let copy = task.copy else { throw .internalTargetFailure }
        return try copy.next(task, nexus)
    }

    private static func zeroes(_ ranges: [BlockRange], _ nexus: NexusUnit) -> [CopyRun] {
        let blockByteCount = UInt64(nexus.unit.blockByteCount)
        return ranges.map {
            CopyRun(
                source: nil, destination: .init(unit: nexus, byteOffset: $0.lba * blockByteCount),
                byteCount: $0.count * blockByteCount)
        }
    }

    /// The unit of this I_T nexus whose data the token stands for. A token of any other is not known here.
    private static func find(
        _ token: [UInt8], _ header: RODToken.Header, from nexus: NexusUnit
    ) throws(SenseData) -> (NexusUnit, TokenStore.Lease) {
        for unit in nexus.nexus.presentUnits {
            if let lease = try unit.unit.tokens.begin(token, identifier: header.identifier) { return (unit, lease) }
        }
        throw .tokenUnknown
    }

    /// Lays the blocks of the token, from OFFSET INTO ROD on, to the ranges of the command, in the order of both. Where
    /// the token ends first, only part is written.
    private static func runs(
        _ list: WriteUsingTokenParameterList, of sources: [BlockRange], on source: NexusUnit, to nexus: NexusUnit
    ) throws(SenseData) -> (runs: [CopyRun], isPartial: Bool) {
        let sourceBlock = UInt64(source.unit.blockByteCount)
        let block = UInt64(nexus.unit.blockByteCount)
        let represented = sources.reduce(0) { $0 + $1.count } * sourceBlock
        let (offset, overflow) = list.offsetIntoROD.multipliedReportingOverflow(by: block)
        guard !overflow, offset < represented else {
            throw .invalidFieldInParameterList(byte: WriteUsingTokenParameterList.offsetIntoRODByte)
        }
        var skipped = offset
        var from: [(start: UInt64, byteCount: UInt64)] = []
        for range in sources {
            let byteCount = range.count * sourceBlock
            let skip = min(skipped, byteCount)
            skipped -= skip
            if byteCount > skip { from.append((range.lba * sourceBlock + skip, byteCount - skip)) }
        }
        var runs: [CopyRun] = []
        var next = 0
        for range in list.ranges {
            var start = range.lba * block
            var wanted = range.count * block
            while wanted > 0, next < from.count {
                let byteCount = min(wanted, from[next].byteCount)
                guard byteCount % block == 0, byteCount % sourceBlock == 0, from[next].start % sourceBlock == 0 else {
                    throw .copySegmentGranularityViolation
                }
                runs.append(
                    CopyRun(
                        source: .init(unit: source, byteOffset: from[next].start),
                        destination: .init(unit: nexus, byteOffset: start), byteCount: byteCount))
                start += byteCount
                wanted -= byteCount
                from[next] = (from[next].start + byteCount, from[next].byteCount - byteCount)
                if from[next].byteCount == 0 { next += 1 }
            }
            if wanted > 0 { return (runs, true) }
        }
        return (runs, false)
    }
}
