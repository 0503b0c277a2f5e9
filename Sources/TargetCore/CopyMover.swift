// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Moves the runs of a copy, piece by piece through the working memory of its task: reads from one unit, writes to the
/// other, and in the end flushes where writes must be stable.
extension CopyOperation {
    /// The next step; called whenever a request has ended well or a claim was granted. GOOD when all is done.
    func next(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        do throws(SenseData) {
            let step = try nextStep(task, nexus)
            if case .finished = step { end(.good) }
            return step
        } catch {
            end(.checkCondition, error)
            throw error
        }
    }

    private func nextStep(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        guard nexus.nexus.holdsClaims(of: self, for: task) else { return .wait }
        switch phase {
        case .between:
            break
        case .reading:
            if isCancelled { throw .copyOperationTerminated }
            if let lease { try lease.store.check(lease.token) }
            return try writePiece(task, nexus)
        case .writing:
            phase = .between
            advance()
        case .flushing:
            phase = .between
        }
        if isCancelled { throw .copyOperationTerminated }
        while runIndex < runs.count {
            let run = runs[runIndex]
            if doneByteCount < run.byteCount { return try beginPiece(of: run, task, nexus) }
            runIndex += 1
            doneByteCount = 0
        }
        while let unit = flushes.popLast() {
            guard MediumAccess.mustFlush(unit.unit, isForced: false) else { continue }
            phase = .flushing
            return submit(MediumAccess.flush(task), to: unit, nexus)
        }
        return .finished(toInitiator: 0)
    }

    private func beginPiece(
        of run: CopyRun, _ task: SCSITask, _ nexus: NexusUnit
    ) throws(SenseData) -> CommandDescriptor.Step {
        try check(run)
        if doneByteCount == 0 {
            run.destination.unit.unit.tokens.revoke(run.destination.range(byteCount: run.byteCount))
        }
        let remaining = run.byteCount - doneByteCount
        pieceByteCount = min(remaining, Self.longestPiece(of: run))
        guard let source = run.source else { return try writePiece(task, nexus) }
        guard pieceByteCount > 0 else { throw .invalidOperationForCopySourceOrDestination }
        phase = .reading
        task.request.prepare(
            .read, byteOffset: source.byteOffset + pieceOffset(in: run), extentByteCount: pieceByteCount)
        task.useWork(byteCount: Int(pieceByteCount))
        return submit(.request, to: source.unit, nexus)
    }

    private func writePiece(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let run = runs[runIndex]
        let unit = run.destination.unit
        // Others may have reserved or protected the unit while the source was read.
        try check(run)
        phase = .writing
        let byteOffset = run.destination.byteOffset + pieceOffset(in: run)
        if run.source == nil, unit.unit.features.canWriteZeroes {
            let longest = TargetLimits.writeSameBlockCount * UInt64(unit.unit.blockByteCount)
            pieceByteCount = min(run.byteCount - doneByteCount, longest)
            task.request.prepare(.writeZeroes, byteOffset: byteOffset, extentByteCount: pieceByteCount)
            task.request.mayUnmap = false
            task.useNoMemory()
        } else {
            if run.source == nil {
                task.fillWork(withBlockOf: unit.unit.blockByteCount, isZero: true, byteCount: Int(pieceByteCount))
            }
            task.request.prepare(.write, byteOffset: byteOffset, extentByteCount: pieceByteCount)
            task.useWork(byteCount: Int(pieceByteCount))
        }
        return submit(.request, to: unit, nexus)
    }

    /// From the start of the run.
    private func pieceOffset(in run: CopyRun) -> UInt64 {
        run.isBackward ? run.byteCount - doneByteCount - pieceByteCount : doneByteCount
    }

    /// No more than the working memory and either store take, in whole blocks of both.
    private static func longestPiece(of run: CopyRun) -> UInt64 {
        let units = [run.source?.unit.unit, run.destination.unit.unit].compactMap(\.self)
        let block = UInt64(units.map(\.blockByteCount).max() ?? 512)
        let longest = units.reduce(UInt64(TargetLimits.workByteCount)) {
            min($0, $1.maximumTransferBlockCount * UInt64($1.blockByteCount))
        }
        return longest - longest % block
    }

    private func submit(
        _ step: CommandDescriptor.Step, to unit: NexusUnit, _ nexus: NexusUnit
    ) -> CommandDescriptor.Step {
        guard case .request = step, unit.unit !== nexus.unit else { return step }
        return .requestOn(unit.unit.device)
    }

    // MARK: - What either unit must allow

    /// Asked before each read and each write, because any of it may change while the copy goes on.
    private func check(_ run: CopyRun) throws(SenseData) {
        if let source = run.source {
            try check(source, run.byteCount, .duringWriteExclusive)
        }
        try check(run.destination, run.byteCount, .never)
        if run.destination.unit.isWriteProtected { throw explained(.writeProtected) }
    }

    private func check(
        _ place: CopyRun.Place, _ byteCount: UInt64, _ rule: ReservationRule
    ) throws(SenseData) {
        let unit = place.unit.unit
        guard unit.reservations.permits(rule, place.unit) else { throw aborted(.thirdPartyDeviceFailure) }
        if unit.conditions.contains(.asymmetric) {
            do throws(SenseData) {
                // As the copy reads and writes itself: no state tells the two apart.
                try place.unit.checkAccessState([OperationCode.read16.rawValue])
            } catch {
                throw explained(error)
            }
        }
        if let sense = unit.notReadySense { throw explained(sense) }
        guard place.range(byteCount: byteCount).isWithin(blockCount: unit.blockCount) else {
            throw explained(.logicalBlockAddressOutOfRange)
        }
    }

    /// A copy by segments says which segment it was; others say what the unit says.
    private func explained(_ sense: SenseData) -> SenseData {
        serviceAction == .extendedCopyLID1 ? aborted(sense.additional) : sense
    }
}

extension ITNexus {
    /// Whether `copy` has all its claims. False: its task waits for one, and is called again when it is granted.
    func holdsClaims(of copy: CopyOperation, for task: SCSITask) -> Bool {
        if task.extentClaim == .waiting { return false }
        while copy.claimedCount < copy.claims.count {
            let claim = copy.claims[copy.claimedCount]
            copy.claimedCount += 1
            guard claim.unit.extents.acquire(claim.range, .shared, for: task.request) else {
                wait(task)
                return false
            }
            task.extentClaim = .held
        }
        // Without any block to move, too: `leave` looks at copies among the tasks with a claim only.
        if task.extentClaim == .none { task.extentClaim = .held }
        return true
    }
}
