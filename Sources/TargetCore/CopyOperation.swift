// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Blocks to be moved from one logical unit to another, or within one; sizes and places in bytes, checked.
struct CopyRun {
    /// Nil: zeroes.
    let source: Place?
    let destination: Place
    let byteCount: UInt64
    /// From its end to its beginning, so that a source is read before the copy itself writes over it.
    let isBackward: Bool

    struct Place {
        let unit: NexusUnit
        let byteOffset: UInt64

        /// The blocks of so many bytes from here.
        func range(byteCount: UInt64) -> BlockRange {
            let blockByteCount = UInt64(unit.unit.blockByteCount)
            return BlockRange(lba: byteOffset / blockByteCount, count: byteCount / blockByteCount)
        }
    }

    init(source: Place?, destination: Place, byteCount: UInt64) {
        self.source = source
        self.destination = destination
        self.byteCount = byteCount
        isBackward =
            source.map { $0.unit.unit === destination.unit.unit && $0.byteOffset < destination.byteOffset } ?? false
    }
}

/// A third-party copy: what is to be moved, how far it is, and how it ended. What it has done stays with the I_T_L
/// nexus under its list identifier until another takes its place. Belongs to the loop of its nexus.
final class CopyOperation {
    let serviceAction: ServiceAction.ThirdPartyCopyOut
    /// Nil: nobody will ask.
    let listIdentifier: UInt32?
    let runs: [CopyRun]
    /// The blocks that the operation holds shared against atomic commands, one range for each unit, in the one order in
    /// which all copies claim units: two can wait for each other's no more.
    let claims: [(unit: LogicalUnit, range: BlockRange)]
    /// Of `claims`; the last one may still be waited for.
    var claimedCount = 0

    /// Whose blocks the task waits for, when it does.
    var awaitedUnit: LogicalUnit? { claimedCount > 0 ? claims[claimedCount - 1].unit : nil }

    var phase = Phase.between
    var runIndex = 0
    /// Bytes of the run that are done.
    var doneByteCount: UInt64 = 0
    var pieceByteCount: UInt64 = 0
    /// Bytes written in all.
    private(set) var movedByteCount: UInt64 = 0
    /// Units to be flushed in the end.
    var flushes: [NexusUnit] = []

    /// The token that the data come from, and the unit that it lies with.
    var lease: (store: TokenStore, token: TokenStore.Lease, isDeleted: Bool)?
    /// The token that was made.
    var token: [UInt8]?
    /// The source did not reach for all that was asked.
    var isPartial = false
    /// COPY OPERATION ABORT.
    var isCancelled = false
    /// Blocks that a token was made for.
    var tokenBlockCount: UInt64 = 0

    private(set) var state = State.underWay
    private(set) var status = Status.good
    private(set) var sense: SenseData?

    enum Phase { case between, reading, writing, flushing }

    enum State { case underWay, ended, terminated }

    init(
        _ serviceAction: ServiceAction.ThirdPartyCopyOut, listIdentifier: UInt32?, runs: [CopyRun]
    ) {
        self.serviceAction = serviceAction
        self.listIdentifier = listIdentifier
        self.runs = runs
        claims = Self.claims(of: runs, withSources: serviceAction == .extendedCopyLID1)
    }

    /// Data that come from a token need no claim: any write revokes it, and that is looked at after each read.
    private static func claims(of runs: [CopyRun], withSources: Bool) -> [(unit: LogicalUnit, range: BlockRange)] {
        var claims: [ObjectIdentifier: (unit: LogicalUnit, range: BlockRange)] = [:]
        for run in runs where run.byteCount > 0 {
            for place in [withSources ? run.source : nil, run.destination].compactMap(\.self) {
                let unit = place.unit.unit
                let range = place.range(byteCount: run.byteCount)
                let joined = claims[ObjectIdentifier(unit)].map { $0.range.union(range) } ?? range
                claims[ObjectIdentifier(unit)] = (unit, joined)
            }
        }
        return claims.sorted { $0.key < $1.key }.map(\.value)
    }

    /// A piece has been written.
    func advance() {
        doneByteCount += pieceByteCount
        movedByteCount += pieceByteCount
        let unit = runs[runIndex].destination.unit
        if !flushes.contains(where: { $0.unit === unit.unit }) { flushes.append(unit) }
    }

    func end(_ status: Status, _ sense: SenseData? = nil) {
        guard state == .underWay else { return }
        state = .ended
        self.status = status
        self.sense = sense
        endLease()
    }

    /// Its task has left its task set: a copy that has not ended by itself was aborted.
    func leave(_ task: SCSITask) {
        for claim in claims.prefix(claimedCount) { claim.unit.extents.release(task.request) }
        claimedCount = 0
        guard state == .underWay else { return }
        state = .terminated
        endLease()
    }

    private func endLease() {
        guard let lease else { return }
        self.lease = nil
        lease.store.end(lease.token, deletes: lease.isDeleted && status == .good && state == .ended)
    }

    /// With what the command ends when a request has failed. A copy by segments says which one (SPC-4 5.17.7.4).
    func failure(_ failure: RequestFailure) -> RequestFailure {
        guard serviceAction == .extendedCopyLID1 else {
            end(failure.status, failure.sense)
            return failure
        }
        let sense = aborted(.thirdPartyDeviceFailure)
        end(.checkCondition, sense)
        return RequestFailure(sense: sense)
    }

    /// COPY ABORTED in the midst of the segment that is under way, or behind the last one while data are flushed.
    func aborted(_ additional: AdditionalSense) -> SenseData {
        guard runIndex < runs.count else { return .copyAborted(additional, segment: max(0, runs.count - 1)) }
        let unit = residueUnits.isEmpty ? 512 : residueUnits[runIndex]
        return .copyAborted(
            additional, segment: runIndex, residue: (runs[runIndex].byteCount - doneByteCount) / UInt64(unit))
    }

    /// Bytes of the block in which each segment counts.
    var residueUnits: [Int] = []
}

extension BlockRange {
    /// The smallest range with both. Both are not empty and end within 64 bits.
    func union(_ other: BlockRange) -> BlockRange {
        let first = min(lba, other.lba)
        return BlockRange(lba: first, count: max(lba + count, other.lba + other.count) - first)
    }
}

/// What an I_T_L nexus keeps of its copies.
struct CopyRecords {
    private var operations: [CopyOperation] = []
    /// OPERATION COUNTER of RECEIVE ROD TOKEN INFORMATION.
    private(set) var count: UInt16 = 0

    func find(_ listIdentifier: UInt32) -> CopyOperation? {
        operations.first { $0.listIdentifier == listIdentifier }
    }

    /// Throws OPERATION IN PROGRESS while `listIdentifier` names a copy that is under way, and INSUFFICIENT RESOURCES
    /// when too many are.
    mutating func checkRoom(for listIdentifier: UInt32?) throws(SenseData) {
        if let listIdentifier, find(listIdentifier)?.state == .underWay { throw .operationInProgress }
        guard operations.count(where: { $0.state == .underWay }) < TargetLimits.concurrentCopyCount else {
            throw .insufficientResources
        }
    }

    mutating func add(_ operation: CopyOperation) {
        count &+= 1
        operations.removeAll { $0.listIdentifier == operation.listIdentifier && $0.state != .underWay }
        if operations.count >= TargetLimits.copyRecordCount,
            let oldest = operations.firstIndex(where: { $0.state != .underWay })
        {
            operations.remove(at: oldest)
        }
        operations.append(operation)
    }
}
