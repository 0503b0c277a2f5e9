// SPDX-License-Identifier: Apache-2.0

import SCSI

/// How copies went, by list identifier, and what the copy manager can do (SPC-4 6.18 to 6.29). There is no RECEIVE COPY
/// DATA: no segment descriptor that holds data is taken.
enum ReceiveCopyCommands {
    static let rows = [
        row("RECEIVE COPY STATUS(LID1)", .receiveCopyStatusLID1, shortIdentifier, status),
        row("RECEIVE COPY OPERATING PARAMETERS", .receiveCopyOperatingParameters, shortIdentifier, operatingParameters),
        row("RECEIVE COPY FAILURE DETAILS(LID1)", .receiveCopyFailureDetails, shortIdentifier, failureDetails),
        row("RECEIVE ROD TOKEN INFORMATION", .receiveRODTokenInformation, longIdentifier, tokenInformation),
        CommandDescriptor(
            name: "COPY OPERATION ABORT", opcode: .thirdPartyCopyOut,
            serviceAction: ServiceAction.ThirdPartyCopyOut.copyOperationAbort.rawValue,
            usage: [0x1F] + longIdentifier + [UInt8](repeating: 0, count: 10), traits: .ownedByCore,
            reservation: .never,
            isSupported: ThirdPartyCopy.isSupported, perform: abort),
    ]

    private static let identifierByte = 2
    private static let shortIdentifier: [UInt8] = [0xFF, 0, 0, 0]
    private static let longIdentifier: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]

    private static func row(
        _ name: String, _ action: ServiceAction.ThirdPartyCopyIn, _ identifier: [UInt8],
        _ perform: @escaping CommandDescriptor.Perform
    ) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: .thirdPartyCopyIn, serviceAction: action.rawValue,
            usage: [0x1F] + identifier + [0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00], data: .toInitiator,
            traits: .ownedByCore, reservation: .never, isSupported: ThirdPartyCopy.isSupported,
            plan: ThirdPartyCopy.answerPlan, perform: perform)
    }

    /// Of this I_T nexus; one that it does not know is an invalid field.
    private static func find(_ identifier: UInt32, _ nexus: NexusUnit) throws(SenseData) -> CopyOperation {
        guard let copy = nexus.copies.find(identifier) else { throw .invalidFieldInCDB(byte: identifierByte) }
        return copy
    }

    @Sendable
    private static func operatingParameters(
        _ task: SCSITask, _ nexus: NexusUnit
    ) throws(SenseData) -> CommandDescriptor.Step {
        let data = ThirdPartyCopy.operatingParameters(of: nexus.unit)
        return task.respond { data.write(to: &$0) }
    }

    @Sendable
    private static func status(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let copy = try find(UInt32(task.cdb[identifierByte]), nexus)
        let state: CopyStatusData.State =
            switch copy.state {
            case .underWay: .inProgress
            case .ended: copy.status == .good ? .completedWithoutErrors : .completedWithErrors
            case .terminated: .completedWithErrors
            }
        let data = CopyStatusData(
            state: state, segmentsProcessed: UInt16(clamping: copy.runIndex), byteCount: copy.movedByteCount)
        return task.respond { data.write(to: &$0) }
    }

    @Sendable
    private static func failureDetails(
        _ task: SCSITask, _ nexus: NexusUnit
    ) throws(SenseData) -> CommandDescriptor.Step {
        let copy = try find(UInt32(task.cdb[identifierByte]), nexus)
        let failure = copy.sense.map { (copy.status, senseBytes($0, nexus)) }
        let data = CopyFailureDetails(failure: failure)
        return task.respond { data.write(to: &$0) }
    }

    @Sendable
    private static func tokenInformation(
        _ task: SCSITask, _ nexus: NexusUnit
    ) throws(SenseData) -> CommandDescriptor.Step {
        let copy = try find(task.cdb.uint32(at: identifierByte), nexus)
        guard copy.serviceAction != .extendedCopyLID1 else { throw .invalidFieldInCDB(byte: identifierByte) }
        let state: RODTokenInformation.State =
            switch copy.state {
            case .underWay: .inForeground
            case .terminated: .terminated
            case .ended where copy.status == .good: copy.isPartial ? .completedPartly : .completedWithoutErrors
            case .ended: copy.isCancelled ? .terminated : .completedWithErrors
            }
        var data = RODTokenInformation(serviceAction: copy.serviceAction, state: state)
        data.operationCount = nexus.copies.count
        data.status = copy.status
        data.sense = copy.sense.map { senseBytes($0, nexus) } ?? []
        data.blockCount =
            copy.serviceAction == .populateToken
            ? copy.tokenBlockCount : copy.movedByteCount / UInt64(nexus.unit.blockByteCount)
        data.token = copy.token
        return task.respond { data.write(to: &$0) }
    }

    private static func senseBytes(_ sense: SenseData, _ nexus: NexusUnit) -> [UInt8] {
        sense.encode(descriptor: nexus.unit.modes.usesDescriptorSense)
    }

    /// COPY OPERATION ABORT (SPC-4 6.3): the copy ends before its next request.
    @Sendable
    private static func abort(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let copy = try find(task.cdb.uint32(at: identifierByte), nexus)
        copy.isCancelled = copy.isCancelled || copy.state == .underWay
        return .finished(toInitiator: 0)
    }
}
