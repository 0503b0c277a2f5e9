// SPDX-License-Identifier: Apache-2.0

import SCSI

/// PERSISTENT RESERVE OUT (SPC-4 6.16). The commands of a unit take turns: each computes the new state, saves it where
/// APTPL asks for that, and only then lets anybody see it. REPLACE LOST RESERVATION is not supported: nothing is lost
/// without the server refusing to start.
enum PersistentReserveOutCommands {
    static let rows = [
        row("REGISTER", .register),
        row("RESERVE", .reserve),
        row("RELEASE", .release),
        row("CLEAR", .clear),
        row("PREEMPT", .preempt),
        row("PREEMPT AND ABORT", .preemptAndAbort),
        row("REGISTER AND IGNORE EXISTING KEY", .registerAndIgnoreExistingKey),
        row("REGISTER AND MOVE", .registerAndMove),
    ]

    private static let flagsByte = 20
    private static let persistThroughPowerLossBit = 0
    /// The same bit of REGISTER AND MOVE.
    private static let moveFlagsByte = 17
    private static let relativeTargetPortByte = 18

    private static func row(_ name: String, _ action: PersistentReserveOutServiceAction) -> CommandDescriptor {
        CommandDescriptor(
            name: "PERSISTENT RESERVE OUT, " + name, opcode: .persistentReserveOut, serviceAction: action.rawValue,
            usage: [0x1F, 0xFF, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x00], data: .fromInitiator, traits: .ownedByCore,
            reservation: .byCommand,
            plan: { task, _ throws(SenseData) in
                let request = PersistentReserveOutRequest(task.cdb)
                if usesType(action) { _ = try request.checkedType() }
                guard request.parameterListLength <= UInt32(PersistentReserveOutParameterList.maximumByteCount) else {
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
        if task.step > 0 {
            if task.hasFailedToSave { throw unsaved(action) }
            return .finished(toInitiator: 0)
        }
        guard let attachment = nexus.attachment else { return .reservationConflict }
        guard nexus.nexus.hasTurn(task, on: nexus) else { return .wait }
        do throws(PersistentReservation.Refusal) {
            var state = try nexus.unit.reservations.changeable()
            let effects = try change(&state, task, attachment.nexusIdentity, on: nexus.unit, action)
            let change = ReservationChange(state: state, effects: effects, aborts: action == .preemptAndAbort)
            return nexus.nexus.make(change, for: task, on: nexus.unit)
        } catch {
            switch error {
            case .reservationConflict: return .reservationConflict
            case .refused(let sense): throw sense
            }
        }
    }

    /// What could not be brought to stable storage has not happened.
    private static func unsaved(_ action: PersistentReserveOutServiceAction) -> SenseData {
        switch action {
        case .register, .registerAndIgnoreExistingKey, .registerAndMove: .insufficientRegistrationResources
        case .reserve, .release, .clear, .preempt, .preemptAndAbort, .replaceLostReservation: .internalTargetFailure
        }
    }

    // MARK: - The change

    private static func change(
        _ state: inout PersistentReservation, _ task: SCSITask, _ nexus: NexusIdentity, on unit: LogicalUnit,
        _ action: PersistentReserveOutServiceAction
    ) throws(PersistentReservation.Refusal) -> PersistentReservation.Effects {
        let request = PersistentReserveOutRequest(task.cdb)
        if action == .registerAndMove { return try move(&state, task, nexus, on: unit) }
        let list = try refusing { () throws(SenseData) in
            let bytes = try task.parameterList(Int(request.parameterListLength))
            // Safe: a byte of an array has no padding, and the span does not outlive it.
            return try unsafe PersistentReserveOutParameterList(bytes.span.bytes, serviceAction: action)
        }
        switch (action, request.type) {
        case (.register, _), (.registerAndIgnoreExistingKey, _):
            return try register(&state, list, nexus, on: unit, ignoresKey: action != .register)
        case (.clear, _):
            return try state.clear(nexus, key: list.key)
        case (.reserve, let type?):
            return try state.reserve(nexus, key: list.key, type: type)
        case (.release, let type?):
            return try state.release(nexus, key: list.key, type: type)
        case (.preempt, let type?), (.preemptAndAbort, let type?):
            return try state.preempt(nexus, key: list.key, victimKey: list.serviceActionKey, type: type)
        case (.reserve, nil), (.release, nil), (.preempt, nil), (.preemptAndAbort, nil), (.registerAndMove, _),
            (.replaceLostReservation, _):
            throw .refused(.invalidFieldInCDB)
        }
    }

    private static func refusing<Result>(
        _ body: () throws(SenseData) -> Result
    ) throws(PersistentReservation.Refusal) -> Result {
        do throws(SenseData) { return try body() } catch { throw .refused(error) }
    }

    private static func register(
        _ state: inout PersistentReservation, _ list: PersistentReserveOutParameterList, _ nexus: NexusIdentity,
        on unit: LogicalUnit, ignoresKey: Bool
    ) throws(PersistentReservation.Refusal) -> PersistentReservation.Effects {
        if list.persistsThroughPowerLoss, !unit.durable.isAvailable {
            throw .refused(.invalidFieldInParameterList(byte: flagsByte, bit: persistThroughPowerLossBit))
        }
        let ports = list.isForAllTargetPorts ? unit.ports.all.map(\.relativeIdentifier) : [nexus.relativeTargetPort]
        var asked = PersistentReservation.Registering(key: list.key, newKey: list.serviceActionKey)
        asked.ignoresKey = ignoresKey
        asked.throughOtherPorts = through(ports, nexus.initiatorPortName).filter { $0 != nexus }
        if let initiatorPorts = list.initiatorPorts {
            var specified: [NexusIdentity] = []
            for (port, offset) in zip(initiatorPorts, list.initiatorPortOffsets) {
                specified += through(ports, try name(of: port, at: offset))
            }
            asked.specified = specified
        }
        let effects = try state.register(nexus, asked)
        state.persistsThroughPowerLoss = list.persistsThroughPowerLoss
        return effects
    }

    private static func through(_ ports: [UInt16], _ initiatorPortName: String) -> [NexusIdentity] {
        ports.map { NexusIdentity(initiatorPortName: initiatorPortName, relativeTargetPort: $0) }
    }

    /// A nexus begins at a port: the name of an initiator device does not say at which of its own.
    private static func name(
        of port: TransportID, at offset: Int
    ) throws(PersistentReservation.Refusal) -> String {
        guard let name = port.portName else { throw .refused(.invalidFieldInParameterList(byte: offset)) }
        return name
    }

    private static func move(
        _ state: inout PersistentReservation, _ task: SCSITask, _ nexus: NexusIdentity, on unit: LogicalUnit
    ) throws(PersistentReservation.Refusal) -> PersistentReservation.Effects {
        let list = try refusing { () throws(SenseData) in
            let bytes = try task.parameterList(Int(PersistentReserveOutRequest(task.cdb).parameterListLength))
            // Safe: a byte of an array has no padding, and the span does not outlive it.
            return try unsafe RegisterAndMoveParameterList(bytes.span.bytes)
        }
        if list.persistsThroughPowerLoss, !unit.durable.isAvailable {
            throw .refused(.invalidFieldInParameterList(byte: moveFlagsByte, bit: persistThroughPowerLossBit))
        }
        guard unit.ports.isReachable(list.relativeTargetPort) else {
            throw .refused(.invalidFieldInParameterList(byte: relativeTargetPortByte))
        }
        let name = try name(of: list.initiatorPort, at: RegisterAndMoveParameterList.transportIDOffset)
        let destination = NexusIdentity(initiatorPortName: name, relativeTargetPort: list.relativeTargetPort)
        let effects = try state.registerAndMove(
            nexus, key: list.key, to: destination, newKey: list.serviceActionKey, unregisters: list.unregisters)
        state.persistsThroughPowerLoss = list.persistsThroughPowerLoss
        return effects
    }
}
