// SPDX-License-Identifier: Apache-2.0

internal import SCSI

/// Why an initiator logs out (RFC 7143 11.14.1).
public enum LogoutReason: UInt8, Sendable, CaseIterable {
    case closeSession = 0
    case closeConnection = 1
    /// To go on with its tasks on another connection: error recovery level 2.
    case removeConnectionForRecovery = 2
}

/// RFC 7143 11.15.1.
public enum LogoutResponseCode: UInt8, Sendable, CaseIterable {
    case closedSuccessfully = 0
    case cidNotFound = 1
    case connectionRecoveryNotSupported = 2
    case cleanupFailed = 3
}

/// What a logout means for the session (RFC 7143 11.14.1).
public enum LogoutOutcome: Equatable, Sendable {
    case closeSession
    /// The connection ends, and its tasks with it.
    case closeConnection(UInt16)
    /// The connection ends; its tasks wait to be reassigned.
    case removeForRecovery(UInt16)
    /// Nothing changes.
    case refuse(LogoutResponseCode)
}

/// Logout Request (RFC 7143 11.14).
public struct LogoutRequestPDU: Equatable, Sendable, EncodablePDU {
    public var isImmediate: Bool
    public var reason: LogoutReason
    public var initiatorTaskTag: UInt32
    /// The connection to close; means nothing when the session is closed.
    public var cid: UInt16
    public var cmdSN: UInt32
    public var expStatSN: UInt32

    private static let reasonMask: UInt8 = 0x7F

    public init(
        isImmediate: Bool = true, reason: LogoutReason, initiatorTaskTag: UInt32, cid: UInt16, cmdSN: UInt32,
        expStatSN: UInt32
    ) {
        self.isImmediate = isImmediate
        self.reason = reason
        self.initiatorTaskTag = initiatorTaskTag
        self.cid = cid
        self.cmdSN = cmdSN
        self.expStatSN = expStatSN
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkTaskHeader()
        guard let reason = LogoutReason(rawValue: header.uint8(at: 1) & Self.reasonMask) else {
            throw .reject(.protocolError)
        }
        guard BasicHeaderSegment.dataSegmentLength(of: header) == 0 else { throw .reject(.invalidPDUField) }
        self.reason = reason
        isImmediate = BasicHeaderSegment.isImmediate(header)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        cid = header.uint16(at: 20)
        cmdSN = BasicHeaderSegment.cmdSN(of: header)
        expStatSN = BasicHeaderSegment.expStatSN(of: header)
    }

    /// What is to be done about it, on the connection `own` of a session at this error recovery level.
    /// - Parameter isKnown: whether the session has a connection of this CID: one in the full feature phase, or one
    ///   that was lost and whose tasks are kept.
    public func outcome(
        onConnection own: UInt16, errorRecoveryLevel: Int, isKnown: (UInt16) -> Bool
    ) -> LogoutOutcome {
        switch reason {
        case .closeSession: return .closeSession
        case .closeConnection:
            return cid == own || isKnown(cid) ? .closeConnection(cid) : .refuse(.cidNotFound)
        case .removeConnectionForRecovery:
            guard cid == own || isKnown(cid) else { return .refuse(.cidNotFound) }
            return errorRecoveryLevel < 2 ? .refuse(.connectionRecoveryNotSupported) : .removeForRecovery(cid)
        }
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: InitiatorOpcode.logout.rawValue, isImmediate: isImmediate,
            flags: BasicHeaderSegment.finalBit | reason.rawValue, dataSegmentLength: 0)
        header.store(initiatorTaskTag, at: 16)
        header.store(cid, at: 20)
        header.store(cmdSN, at: 24)
        header.store(expStatSN, at: 28)
    }
}

/// Logout Response (RFC 7143 11.15).
public struct LogoutResponsePDU: Equatable, Sendable, EncodablePDU {
    public var response: LogoutResponseCode
    public var initiatorTaskTag: UInt32
    public var numbers: SequenceNumbers
    /// How long to wait before the connection or session is tried again. Both times mean something only after
    /// `closedSuccessfully` of another connection, or of a session with tasks to go on with.
    public var time2WaitSeconds: UInt16
    public var time2RetainSeconds: UInt16

    public init(
        response: LogoutResponseCode, initiatorTaskTag: UInt32, numbers: SequenceNumbers,
        time2WaitSeconds: UInt16 = 0, time2RetainSeconds: UInt16 = 0
    ) {
        self.response = response
        self.initiatorTaskTag = initiatorTaskTag
        self.numbers = numbers
        self.time2WaitSeconds = time2WaitSeconds
        self.time2RetainSeconds = time2RetainSeconds
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkTaskHeader()
        guard let response = LogoutResponseCode(rawValue: header.uint8(at: 2)) else {
            throw .reject(.protocolError)
        }
        self.response = response
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        numbers = header.sequenceNumbers()
        time2WaitSeconds = header.uint16(at: 40)
        time2RetainSeconds = header.uint16(at: 42)
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: TargetOpcode.logoutResponse.rawValue, flags: BasicHeaderSegment.finalBit, dataSegmentLength: 0)
        header.store(response.rawValue, at: 2)
        header.store(initiatorTaskTag, at: 16)
        header.store(numbers)
        header.store(time2WaitSeconds, at: 40)
        header.store(time2RetainSeconds, at: 42)
    }
}
