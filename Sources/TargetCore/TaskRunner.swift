// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Runs tasks step by step. Nothing here recurses: whatever becomes ready while a task runs, because a request ended
/// inside `submit` or a callback of the transport brought the next command, waits in the ready queue for its turn.
extension ITNexus {
    /// `task.request` was posted to the loop: it has ended, or what its task waited for has come.
    func resume(_ task: SCSITask) {
        switch task.state {
        case .enabled:
            task.hasUnsettledRequest = true
            if task.request.isTimed { port?.use { $0.port.requestEnded(task) } }
        case .waiting:
            task.state = .enabled
            if task.extentClaim == .waiting { task.extentClaim = .held }
            if task.turn == .waiting { task.turn = .held }
        case .free, .awaitingData, .blocked, .finished:
            return
        }
        ready.append(task)
        drain()
    }

    func drain() {
        guard !isDraining else { return }
        isDraining = true
        runReady()
        isDraining = false
    }

    func runReady() {
        while let task = ready.popFirst() { task.use { run($0) } }
    }

    func run(_ task: SCSITask) {
        task.unit?.use { run(task, $0) }
    }

    private func run(_ task: SCSITask, _ unit: NexusUnit) {
        if task.hasUnsettledRequest {
            task.hasUnsettledRequest = false
            guard settle(task) else { return }
        }
        while true {
            // An abort waits for requests, so between two of them is where it takes hold.
            if task.isAborted { return endAborted(task) }
            let step: CommandDescriptor.Step
            do throws(SenseData) {
                step = try nextStep(of: task, unit)
            } catch {
                return finish(task, .checkCondition, sense: error)
            }
            switch step {
            case .request:
                touch(unit)
                if task.request.isTimed { port?.use { $0.port.requestBegan(task) } }
                guard task.request.start(on: unit.unit.device) else { return }
                if task.request.isTimed { port?.use { $0.port.requestEnded(task) } }
                guard settle(task) else { return }
            case .requestOn(let device):
                task.otherDevice = device
                touch(device)
                let hasEnded = task.request.start(on: device)
                guard hasEnded else { return }
                guard settle(task) else { return }
            case .wait:
                task.state = .waiting
                return
            case .finished(let byteCount):
                return finish(task, .good, toInitiator: byteCount)
            case .conditionMet:
                return finish(task, .conditionMet)
            case .reservationConflict:
                return finish(task, .reservationConflict)
            }
        }
    }

    private func nextStep(of task: SCSITask, _ unit: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        if task.step == 0 {
            let conditions = unit.unit.conditions.now
            if !conditions.isDisjoint(with: .heedsBeforeFirstStep), try !mayBegin(task, unit, conditions) {
                return .wait
            }
            task.hasBegun = true
        }
        if task.isOffered { return offer(task, unit) }
        if let refusal = task.refusal { throw refusal }
        if task.flushesTuples, let protection = unit.unit.protection {
            task.flushesTuples = false
            task.request.prepare(.flush)
            return .requestOn(protection.device)
        }
        guard let row = task.descriptor else { throw .internalTargetFailure }
        return try row.use { row throws(SenseData) in try row.perform(task, unit) }
    }

    /// What happened since the task was accepted may keep it from the medium. False: it waits for its turn.
    private func mayBegin(
        _ task: SCSITask, _ unit: NexusUnit, _ conditions: UnitConditions.Set
    ) throws(SenseData) -> Bool {
        if let row = task.descriptor?.object, task.operation == nil,
            let sense = unit.unit.notReadySense(for: row, conditions)
        {
            throw sense
        }
        if conditions.contains(.extentsGuarded), !passesGuard(task, unit) { return false }
        // Looked at when it has its turn, and anew: a token may have been made while it waited.
        if unit.unit.conditions.contains(.tokensWatched) { revokeTokens(task, unit) }
        return true
    }

    /// Hands the CDB to the store as it came. When it ends well, so does the command.
    private func offer(_ task: SCSITask, _ unit: NexusUnit) -> CommandDescriptor.Step {
        let request = task.request
        if task.step > 0 {
            let byteCount = min(max(0, request.transferredByteCount ?? task.plan.toInitiator), task.plan.toInitiator)
            if unit.isReadOnlyView { ModeCommands.showWriteProtected(task, byteCount: byteCount) }
            return .finished(toInitiator: byteCount)
        }
        request.prepare(.passthrough)
        request.cdb = OfferedCommand.shown(task.cdb, on: unit.unit)
        let plan = task.plan
        // Blocks that are only verified need the working memory, and a command that the core may have to run leaves it.
        let isWorkShown = unit.unit.features.passthrough == .always && plan.work > 0
        let start = isWorkShown ? plan.workOffset : 0
        let byteCount = isWorkShown ? plan.work : plan.toInitiator > 0 ? plan.toInitiator : task.receivedByteCount
        // Safe: the transport leased the plan's bytes, and received no more than those.
        unsafe request.buffer = unsafe .init(rebasing: task.buffer[start..<min(start + byteCount, task.buffer.count)])
        if plan.toInitiator > 0 {
            // A store that tells no count sends all of it: nothing of an earlier command may be in it.
            unsafe request.buffer.initializeMemory(as: UInt8.self, repeating: 0)
        }
        return .request
    }

    // MARK: - Ends

    /// Looks at the outcome of the task's request. True when the task goes on; otherwise it has ended here, and not
    /// with GOOD.
    private func settle(_ task: SCSITask) -> Bool {
        let wasOther = task.otherDevice != nil
        if wasOther { task.otherDevice = nil }
        if task.isAborted {
            endAborted(task)
            return false
        }
        switch task.request.outcome {
        case .good:
            // A flush is of the data and of their tuples: one step for the row.
            if task.request.operation == .flush, !wasOther, task.unit?.use({ $0.unit.isProtected }) ?? false {
                task.flushesTuples = true
            } else {
                task.step += 1
            }
            return true
        case .notHandled where task.isOffered:
            task.isOffered = false
            return true
        case .failedWithStoreSense where task.copy == nil && SenseData(task.request.storeSense) != nil:
            task.storeSense = task.request.storeSense
            finish(task, .checkCondition)
        case .miscompare, .failed, .notHandled, .failedWithStoreSense:
            let outcome = RequestFailure(task.request.outcome)
            let failure = task.copy?.failure(outcome) ?? outcome
            finish(task, failure.status, sense: failure.sense)
        }
        return false
    }

    func finish(_ task: SCSITask, _ status: Status, sense: SenseData? = nil, toInitiator byteCount: Int = 0) {
        leave(task)
        note(task, status, sense)
        task.status = status
        task.sense = sense
        task.toInitiatorByteCount = byteCount
        task.state = .finished
        port?.use { $0.port.taskFinished(task) }
    }

    /// Counts the end of a command for the log pages.
    private func note(_ task: SCSITask, _ status: Status, _ sense: SenseData?) {
        let kind = task.descriptor?.use { $0.activityKind } ?? .other
        if status == .good {
            if kind == .other { return }
            task.unit?.use { $0.activity.succeeded(task, kind, blockByteCount: $0.unit.blockByteCount) }
        } else if status == .checkCondition, let key = sense?.key ?? SenseData(task.storeSense)?.key {
            task.unit?.use { $0.activity.failed(kind, key) }
        }
    }

    /// No status goes to the initiator, except where it is to know (`AbortNotice`), and whoever waits for the end of the
    /// task is told (SAM-5 5.6).
    func endAborted(_ task: SCSITask) {
        leave(task)
        for wait in quietWaits { wait.tasks.removeAll { $0 === task } }
        task.state = .finished
        switch task.abortNotice {
        case .none: port?.use { $0.port.taskAborted(task) }
        case .asAnotherNexusAsked: tellAborted(task, .taskAborted)
        case .logicalUnitNotSupported: tellAborted(task, .checkCondition, .logicalUnitNotSupported)
        }
        endQuietWaits()
    }

    private func tellAborted(_ task: SCSITask, _ status: Status, _ sense: SenseData? = nil) {
        task.status = status
        task.sense = sense
        task.storeSense = []
        task.toInitiatorByteCount = 0
        port?.use { $0.port.taskFinished(task) }
    }

    private func leave(_ task: SCSITask) {
        task.unit?.use { leave(task, $0) }
    }

    private func leave(_ task: SCSITask, _ unit: NexusUnit) {
        if task.extentClaim != .none {
            task.extentClaim = .none
            unit.unit.extents.release(task.request)
            if task.copy != nil { leaveCopy(task) }
        }
        if task.turn != .none {
            task.turn = .none
            unit.unit.turns.giveBack(task.request)
        }
        unit.taskSet.remove(task)
        if !drains.isEmpty { leaveDrains(task) }
        if unit.taskSet.blockedCount > 0 { unblock(unit) }
    }

    /// Lets those run that waited for a task that has left.
    func unblock(_ unit: NexusUnit) {
        while let next = unit.taskSet.unblockNext() { next.use { ready.append($0) } }
    }
}
