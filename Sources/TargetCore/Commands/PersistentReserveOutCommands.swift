// SPDX-License-Identifier: Apache-2.0

import SCSI

/// PERSISTENT RESERVE OUT (SPC-4 6.16). Reservations do not survive the end of the target (PTPL_C zero), and are made
/// for the port that asks alone (SIP_C and ATP_C zero).
enum PersistentReserveOutCommands {
    static let rows = [
        row("REGISTER", .register),
        row("RESERVE", .reserve),
        row("RELEASE", .release),
        row("CLEAR", .clear),
        row("PREEMPT", .preempt),
        row("PREEMPT AND ABORT", .preemptAndAbort),
        row("REGISTER AND IGNORE EXISTING KEY", .registerAndIgnoreExistingKey),
    ]

    private static let flagsByte = 20
    private static let specifyInitiatorPortsBit = 3
    private static let allTargetPortsBit = 2
    private static let persistThroughPowerLossBit = 0

    private static func row(_ name: String, _ action: PersistentReserveOutServiceAction) -> CommandDescriptor {
        CommandDescriptor(
            name: "PERSISTENT RESERVE OUT, " + name, opcode: .persistentReserveOut, serviceAction: action.rawValue,
            usage: [0x1F, 0xFF, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x00], data: .fromInitiator, traits: .ownedByCore,
            reservation: .byCommand,
            plan: { task, _ throws(SenseData) in
                let request = PersistentReserveOutRequest(task.cdb)
                if usesType(action) { _ = try request.checkedType() }
                guard request.parameterListLength <= UInt32(TargetLimits.parameterListByteCount) else {
                    throw .parameterListLengthError
                }
                return TransferPlan(fromInitiator: Int(request.parameterListLength))
            },
            perform: { task, nexus throws(SenseData) in try perform(task, nexus, action) })
    }

    private static func usesType(_ action: PersistentReserveOutServiceAction) -> Bool {
        switch action {
        case .reserve, .release, .preempt, .preemptAndAbort: true
        case .register, .clear, .registerAndIgnoreExistingKey, .registerAndMove, .replaceLostReservation: false
        }
    }

    private static func perform(
        _ task: SCSITask, _ nexus: NexusUnit, _ action: PersistentReserveOutServiceAction
    ) throws(SenseData) -> CommandDescriptor.Step {
        // The tasks of preempted nexuses have ended.
        if task.step > 0 { return .finished(toInitiator: 0) }
        guard let attachment = nexus.attachment else { return .reservationConflict }
        let request = PersistentReserveOutRequest(task.cdb)
        let list = try parameterList(of: task, request, action)
        let effects: PersistentReservation.Effects
        do throws(PersistentReservation.Refusal) {
            effects = try nexus.unit.reservations.change { state throws(PersistentReservation.Refusal) in
                try change(&state, by: attachment.nexusIdentity, action, request.type, list)
            }
        } catch {
            switch error {
            case .reservationConflict: return .reservationConflict
            case .refused(let sense): throw sense
            }
        }
        let attached = nexus.unit.attached
        for other in attached {
            if let attention = effects.attentions[other.nexusIdentity] { other.attentions.post(attention) }
        }
        guard action == .preemptAndAbort else { return .finished(toInitiator: 0) }
        let victims = attached.filter { effects.preempted.contains($0.nexusIdentity) }
        return nexus.nexus.abortPreempted(victims, on: nexus.unit, for: task)
    }

    private static func parameterList(
        of task: SCSITask, _ request: PersistentReserveOutRequest, _ action: PersistentReserveOutServiceAction
    ) throws(SenseData) -> PersistentReserveOutParameterList {
        let bytes = try task.parameterList(Int(request.parameterListLength))
        // Safe: a byte of an array has no padding, and the span does not outlive it.
        let list = try unsafe PersistentReserveOutParameterList(bytes.span.bytes, serviceAction: action)
        if list.initiatorPorts != nil {
            throw .invalidFieldInParameterList(byte: flagsByte, bit: specifyInitiatorPortsBit)
        }
        // The other service actions ignore both bits.
        if action == .register || action == .registerAndIgnoreExistingKey {
            if list.isForAllTargetPorts {
                throw .invalidFieldInParameterList(byte: flagsByte, bit: allTargetPortsBit)
            }
            if list.persistsThroughPowerLoss {
                throw .invalidFieldInParameterList(byte: flagsByte, bit: persistThroughPowerLossBit)
            }
        }
        return list
    }

    private static func change(
        _ state: inout PersistentReservation, by nexus: NexusIdentity, _ action: PersistentReserveOutServiceAction,
        _ type: ReservationType?, _ list: PersistentReserveOutParameterList
    ) throws(PersistentReservation.Refusal) -> PersistentReservation.Effects {
        let key = list.key
        switch (action, type) {
        case (.register, _):
            return try state.register(nexus, key: key, newKey: list.serviceActionKey, ignoresKey: false)
        case (.registerAndIgnoreExistingKey, _):
            return try state.register(nexus, key: key, newKey: list.serviceActionKey, ignoresKey: true)
        case (.clear, _):
            return try state.clear(nexus, key: key)
        case (.reserve, let type?):
            try state.reserve(nexus, key: key, type: type)
            return PersistentReservation.Effects()
        case (.release, let type?):
            return try state.release(nexus, key: key, type: type)
        case (.preempt, let type?), (.preemptAndAbort, let type?):
            return try state.preempt(nexus, key: key, victimKey: list.serviceActionKey, type: type)
        case (.reserve, nil), (.release, nil), (.preempt, nil), (.preemptAndAbort, nil), (.registerAndMove, _),
            (.replaceLostReservation, _):
            throw .refused(.invalidFieldInCDB)
        }
    }
}

extension ITNexus {
    /// Ends the tasks of `victims` for `unit`, each on its own loop, and then calls `task` again with `step` 1
    /// (SPC-4 5.12.11.5).
    fileprivate func abortPreempted(
        _ victims: [UnitAttachment], on unit: LogicalUnit, for task: SCSITask
    ) -> CommandDescriptor.Step {
        guard !victims.isEmpty else { return .finished(toInitiator: 0) }
        task.step = 1
        let group = QuietGroup(count: victims.count, loop: loop) { [self] in resume(task) }
        for victim in victims where victim.nexus.value !== self {
            victim.loop.perform {
                victim.nexus.value.abortCleared(for: unit, except: nil) { group.leave() }
            }
        }
        for victim in victims where victim.nexus.value === self {
            abortCleared(for: unit, except: task) { group.leave() }
        }
        return .wait
    }
}
