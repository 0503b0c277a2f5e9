// SPDX-License-Identifier: Apache-2.0

import SCSI

/// REPORT IDENTIFYING INFORMATION and SET IDENTIFYING INFORMATION (SPC-4 6.32, 6.43). What is set must outlive a power
/// cycle: without a place to keep it there is neither command.
enum IdentifyingInformationCommands {
    static let rows = [
        CommandDescriptor(
            name: "REPORT IDENTIFYING INFORMATION", opcode: .maintenanceIn,
            serviceAction: ServiceAction.MaintenanceIn.reportIdentifyingInformation.rawValue,
            usage: [0x1F, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0x00], data: .toInitiator,
            reservation: .duringPersistentReservation, isSupported: { $0.durable.isAvailable },
            plan: { task, _ throws(SenseData) in
                let length = try IdentifyingInformationRequest(task.cdb, isSet: false).length
                return TransferPlan(toInitiator: Int(min(length, UInt32(TargetLimits.responseByteCount))))
            },
            perform: report),
        CommandDescriptor(
            name: "SET IDENTIFYING INFORMATION", opcode: .maintenanceOut,
            serviceAction: ServiceAction.MaintenanceOut.setIdentifyingInformation.rawValue,
            usage: [0x1F, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0x00], data: .fromInitiator,
            reservation: .never, isSupported: { $0.durable.isAvailable },
            plan: { task, _ throws(SenseData) in
                let (type, length) = try information(task)
                guard length <= UInt32(type.maximumByteCount) else {
                    throw .invalidFieldInCDB(byte: IdentifyingInformationRequest.lengthByte)
                }
                return TransferPlan(fromInitiator: Int(length))
            },
            perform: set),
    ]

    private static func information(
        _ task: SCSITask
    ) throws(SenseData) -> (type: IdentifyingInformationType, length: UInt32) {
        let request = try IdentifyingInformationRequest(task.cdb, isSet: true)
        guard case .information(let type) = request.subject else { throw .internalTargetFailure }
        return (type, request.length)
    }

    @Sendable
    private static func report(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let current = nexus.unit.durable.current
        switch try IdentifyingInformationRequest(task.cdb, isSet: false).subject {
        case .supportedTypes: return task.respond { IdentifyingInformationData.writeSupportedTypes(to: &$0) }
        case .information(let type):
            let information = current[identifyingInformation: type]
            return task.respond { IdentifyingInformationData.write(information, to: &$0) }
        }
    }

    /// An empty list takes the information away. Told to every other I_T nexus once it is on stable storage.
    @Sendable
    private static func set(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let unit = nexus.unit
        if task.step > 0 {
            guard !task.hasFailedToSave else { throw .internalTargetFailure }
            unit.post(.deviceIdentifierChanged, except: nexus.attachment)
            return .finished(toInitiator: 0)
        }
        let (type, length) = try information(task)
        let list = try task.parameterList(Int(length))
        if type == .peripheralDeviceText { try checkText(list) }
        return nexus.nexus.save(on: unit, for: task) { $0[identifyingInformation: type] = list }
    }

    /// Text is UTF-8, and a zero ends it.
    private static func checkText(_ list: [UInt8]) throws(SenseData) {
        guard let last = list.last else { return }
        guard last == 0 else { throw .invalidFieldInParameterList(byte: list.count - 1) }
        guard String(validating: list, as: UTF8.self) != nil else { throw .invalidFieldInParameterList(byte: 0) }
    }
}

extension DurableUnitState {
    fileprivate subscript(identifyingInformation type: IdentifyingInformationType) -> [UInt8] {
        get {
            switch type {
            case .peripheralDevice: identifyingInformation ?? []
            case .peripheralDeviceText: identifyingText ?? []
            }
        }
        set {
            let value = newValue.isEmpty ? nil : newValue
            switch type {
            case .peripheralDevice: identifyingInformation = value
            case .peripheralDeviceText: identifyingText = value
            }
        }
    }
}
