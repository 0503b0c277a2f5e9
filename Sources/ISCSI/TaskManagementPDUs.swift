// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// Function codes of a Task Management Function Request (RFC 7143 11.5.1; 9 to 12: RFC 7144).
public enum TaskManagementFunctionCode: UInt8, Sendable, CaseIterable {
    case abortTask = 1
    case abortTaskSet = 2
    case clearACA = 3
    case clearTaskSet = 4
    case logicalUnitReset = 5
    case targetWarmReset = 6
    case targetColdReset = 7
    case taskReassign = 8
    case queryTask = 9
    case queryTaskSet = 10
    case iTNexusReset = 11
    case queryAsynchronousEvent = 12
}

/// Response codes of a Task Management Function Response (RFC 7143 11.6.1; 7: RFC 7144).
public enum TaskManagementResponseCode: UInt8, Sendable, CaseIterable {
    case functionComplete = 0
    case taskDoesNotExist = 1
    case lunDoesNotExist = 2
    case taskStillAllegiant = 3
    case taskAllegianceReassignmentNotSupported = 4
    case functionNotSupported = 5
    case functionAuthorizationFailed = 6
    case functionSucceeded = 7
    case functionRejected = 255
}

/// Task Management Function Request (RFC 7143 11.5).
public struct TaskManagementRequestPDU: Equatable, Sendable, EncodablePDU {
    public var isImmediate: Bool
    /// The function's code as it came: `function` names the known ones, the others are answered with
    /// `functionNotSupported`.
    public var rawFunction: UInt8
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    /// The task that ABORT TASK, TASK REASSIGN and QUERY TASK are about; otherwise reserved.
    public var referencedTaskTag: UInt32
    public var cmdSN: UInt32
    public var expStatSN: UInt32
    /// CmdSN of the referenced task.
    public var refCmdSN: UInt32
    public var expDataSN: UInt32

    private static let functionMask: UInt8 = 0x7F

    public init(
        isImmediate: Bool = true, function: TaskManagementFunctionCode, lun: LogicalUnitNumber,
        initiatorTaskTag: UInt32, referencedTaskTag: UInt32 = BasicHeaderSegment.reservedTag, cmdSN: UInt32,
        expStatSN: UInt32, refCmdSN: UInt32 = 0, expDataSN: UInt32 = 0
    ) {
        self.isImmediate = isImmediate
        rawFunction = function.rawValue
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.referencedTaskTag = referencedTaskTag
        self.cmdSN = cmdSN
        self.expStatSN = expStatSN
        self.refCmdSN = refCmdSN
        self.expDataSN = expDataSN
    }

    public var function: TaskManagementFunctionCode? { TaskManagementFunctionCode(rawValue: rawFunction) }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkTaskHeader()
        isImmediate = BasicHeaderSegment.isImmediate(header)
        rawFunction = header.uint8(at: 1) & Self.functionMask
        lun = BasicHeaderSegment.lun(of: header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        referencedTaskTag = header.uint32(at: 20)
        cmdSN = BasicHeaderSegment.cmdSN(of: header)
        expStatSN = BasicHeaderSegment.expStatSN(of: header)
        refCmdSN = header.uint32(at: 32)
        expDataSN = header.uint32(at: 36)
        guard BasicHeaderSegment.dataSegmentLength(of: header) == 0 else { throw .reject(.invalidPDUField) }
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: InitiatorOpcode.taskManagement.rawValue, isImmediate: isImmediate,
            flags: BasicHeaderSegment.finalBit | rawFunction & Self.functionMask, dataSegmentLength: 0)
        header.store(lun.rawValue, at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(referencedTaskTag, at: 20)
        header.store(cmdSN, at: 24)
        header.store(expStatSN, at: 28)
        header.store(refCmdSN, at: 32)
        header.store(expDataSN, at: 36)
    }
}

/// Task Management Function Response (RFC 7143 11.6).
public struct TaskManagementResponsePDU: Equatable, Sendable, EncodablePDU {
    public var response: TaskManagementResponseCode
    public var initiatorTaskTag: UInt32
    public var numbers: SequenceNumbers
    /// What a query tells besides (RFC 7144): one byte of qualifier in three.
    public var additionalInformation: UInt32

    private static let additionalInformationMask: UInt32 = 0xFF_FFFF

    /// The three low bytes of `additionalInformation` count.
    public init(
        response: TaskManagementResponseCode, initiatorTaskTag: UInt32, numbers: SequenceNumbers,
        additionalInformation: UInt32 = 0
    ) {
        self.response = response
        self.initiatorTaskTag = initiatorTaskTag
        self.numbers = numbers
        self.additionalInformation = additionalInformation & Self.additionalInformationMask
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkTaskHeader()
        guard let response = TaskManagementResponseCode(rawValue: header.uint8(at: 2)) else {
            throw .reject(.protocolError)
        }
        self.response = response
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        numbers = header.sequenceNumbers()
        additionalInformation = header.uint24(at: 37)
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: TargetOpcode.taskManagementResponse.rawValue, flags: BasicHeaderSegment.finalBit,
            dataSegmentLength: 0)
        header.store(response.rawValue, at: 2)
        header.store(initiatorTaskTag, at: 16)
        header.store(numbers)
        header.store24(additionalInformation, at: 37)
    }
}
