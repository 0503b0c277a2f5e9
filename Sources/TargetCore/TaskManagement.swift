// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// SAM-5 7.1, with the target resets that iSCSI keeps (RFC 7143 11.5.1).
public enum TaskManagementFunction: Sendable, CaseIterable {
    case abortTask, abortTaskSet, clearACA, clearTaskSet, logicalUnitReset, targetWarmReset, targetColdReset
    case queryTask, queryTaskSet, queryAsynchronousEvent, iTNexusReset
}

/// SAM-5 7.1, table 37. A transport says them in its own codes.
public enum TaskManagementResponse: Sendable {
    case functionComplete
    /// The queries: yes.
    case functionSucceeded
    case functionRejected
    /// ABORT TASK: no such task here. With iSCSI the command window decides what that means.
    case taskDoesNotExist
    case incorrectLogicalUnitNumber
    /// This target does not do the function at all.
    case serviceNotSupported
}

extension ITNexus {
    /// Does `function`. `completion` is called once, in the loop's thread, perhaps before this returns, and only when
    /// the affected tasks can no longer touch a medium. `tag` matters for ABORT TASK and QUERY TASK; `lun` for all
    /// but the target resets and I_T NEXUS RESET.
    public func perform(
        _ function: TaskManagementFunction, lun: LogicalUnitNumber, tag: UInt64,
        completion: @escaping (TaskManagementResponse) -> Void
    ) {
        switch function {
        case .targetWarmReset:
            return resetTarget(.scsiBusReset) { completion(.functionComplete) }
        case .targetColdReset:
            return resetTarget(.powerOn) { completion(.functionComplete) }
        case .iTNexusReset:
            return resetNexus { completion(.functionComplete) }
        case .clearACA:
            // NORMACA is zero: there is never an auto contingent allegiance.
            return completion(.serviceNotSupported)
        case .abortTask, .abortTaskSet, .clearTaskSet, .logicalUnitReset, .queryTask, .queryTaskSet,
            .queryAsynchronousEvent:
            break
        }
        let unit = unit(for: lun)
        guard !unit.isAbsent else { return completion(.incorrectLogicalUnitNumber) }
        switch function {
        case .abortTask:
            guard unit.taskSet.firstTask(where: { $0.tag == tag }) != nil else { return completion(.taskDoesNotExist) }
            abort(.tagged(tag), of: [unit]) { completion(.functionComplete) }
        case .abortTaskSet, .clearTaskSet:
            // TST 001b: the task set is that of this nexus alone.
            abort(.all, of: [unit]) { completion(.functionComplete) }
        case .logicalUnitReset:
            reset([unit.unit], .busDeviceResetFunction) { completion(.functionComplete) }
        case .queryTask:
            let isPresent = unit.taskSet.firstTask { $0.tag == tag && !$0.isAborted } != nil
            completion(isPresent ? .functionSucceeded : .functionComplete)
        case .queryTaskSet:
            let isPresent = unit.taskSet.firstTask { !$0.isAborted } != nil
            completion(isPresent ? .functionSucceeded : .functionComplete)
        case .queryAsynchronousEvent:
            completion(unit.attentions.isAny ? .functionSucceeded : .functionComplete)
        case .clearACA, .targetWarmReset, .targetColdReset, .iTNexusReset:
            completion(.functionRejected)
        }
    }

    /// Every logical unit that the nexus sees of the target, and what this nexus asked of numbers without one.
    private func resetTarget(_ attention: UnitAttention, completion: @escaping () -> Void) {
        abort(.all, of: departing + [absentUnit]) { [self] in
            reset(units.compactMap { $0?.unit }, attention, completion: completion)
        }
    }

    /// Logical unit reset (SAM-5 6.3.3): the tasks of all nexuses end, and `attention` waits for each nexus.
    private func reset(_ affected: [LogicalUnit], _ attention: UnitAttention, completion: @escaping () -> Void) {
        for unit in affected { unit.post(attention) }
        let others = affected.flatMap { unit in
            unit.attached.filter { $0.nexus.value !== self }.map { (unit, $0) }
        }
        let ended: () -> Void = {
            for unit in affected { unit.resetState() }
            completion()
        }
        let own = attachedUnits.filter { unit in affected.contains { $0 === unit.unit } }
        guard !others.isEmpty else { return abortWithCopies(.all, of: own, completion: ended) }

        let group = QuietGroup(count: others.count + 1, loop: loop, completion: ended)
        abortWithCopies(.all, of: own) { group.leave() }
        for (unit, attachment) in others {
            attachment.loop.perform { attachment.nexus.value.abortAll(for: unit) { group.leave() } }
        }
    }

    /// In the thread of this nexus's loop, asked by another.
    func abortAll(for unit: LogicalUnit, completion: @escaping () -> Void) {
        abortWithCopies(
            .all, of: attachedUnits.filter { $0.unit === unit }, notice: .asAnotherNexusAsked, completion: completion)
    }

    /// In the thread of this nexus's loop: another nexus clears the tasks of this one for `unit`. With TAS zero the
    /// initiator learns of it by a unit attention, where there was a task.
    func abortCleared(for unit: LogicalUnit, except exempt: SCSITask?, completion: @escaping () -> Void) {
        let affected = attachedUnits.filter { $0.unit === unit }
        let isTold = unit.modes.reportsTaskAborted
        for unit in affected where exempt == nil && !isTold && unit.taskSet.count > 0 {
            unit.attentions.post(.commandsClearedByAnotherInitiator)
        }
        abortWithCopies(
            exempt.map(AffectedTasks.allBut) ?? .all, of: affected,
            notice: exempt == nil ? .asAnotherNexusAsked : .none,
            completion: completion)
    }

    /// I_T NEXUS RESET (SAM-5 7.6): as if the nexus had been lost, but it stays.
    private func resetNexus(completion: @escaping () -> Void) {
        let all = presentUnits
        for unit in all { unit.attentions.post(.iTNexusLoss) }
        abort(.all, of: all + departing + [absentUnit]) {
            for unit in all {
                if let attachment = unit.attachment {
                    unit.unit.reservations.releaseReserve(of: attachment)
                    unit.unit.removal.allow(for: attachment)
                }
            }
            completion()
        }
    }
}
