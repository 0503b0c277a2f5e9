// SPDX-License-Identifier: Apache-2.0

internal import SCSI

/// Stages of a login (RFC 7143 11.12.3); 2 is reserved.
public enum LoginStage: UInt8, Sendable, CaseIterable {
    case securityNegotiation = 0
    case loginOperationalNegotiation = 1
    case fullFeaturePhase = 3
}

/// The initiator's part of a session identifier (RFC 7143 11.12.5): six bytes.
public struct InitiatorSessionIdentifier: Hashable, Sendable {
    /// The six bytes as one big-endian number.
    public let rawValue: UInt64

    /// The two highest bytes of `rawValue` are dropped.
    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue & 0xFFFF_FFFF_FFFF
    }
}

// Bits of byte 1, the same in request and response.
private enum LoginFlags {
    static let transit: UInt8 = 0x80
    static let continuation: UInt8 = 0x40

    static func byte(transit: Bool, continues: Bool, current: UInt8, next: UInt8) -> UInt8 {
        (transit ? Self.transit : 0) | (continues ? continuation : 0) | (current & 3) << 2 | next & 3
    }
}

/// Login Request (RFC 7143 11.12). Decoding takes every value; the login machine judges them, because it alone can
/// answer with a status.
public struct LoginRequestPDU: Equatable, Sendable, EncodablePDU {
    /// The T bit.
    public var wantsTransit: Bool
    /// The C bit: the text goes on in the next request.
    public var continues: Bool
    /// CSG and NSG, two bits each.
    public var rawCurrentStage: UInt8
    public var rawNextStage: UInt8
    public var versionMax: UInt8
    public var versionMin: UInt8
    public var isid: InitiatorSessionIdentifier
    public var tsih: UInt16
    public var initiatorTaskTag: UInt32
    public var cid: UInt16
    public var cmdSN: UInt32
    public var expStatSN: UInt32
    public var dataSegmentLength: UInt32

    public init(
        wantsTransit: Bool = false, continues: Bool = false, current: LoginStage,
        next: LoginStage = .securityNegotiation, versionMax: UInt8 = 0, versionMin: UInt8 = 0,
        isid: InitiatorSessionIdentifier, tsih: UInt16 = 0, initiatorTaskTag: UInt32, cid: UInt16 = 0,
        cmdSN: UInt32, expStatSN: UInt32, dataSegmentLength: UInt32 = 0
    ) {
        self.wantsTransit = wantsTransit
        self.continues = continues
        rawCurrentStage = current.rawValue
        rawNextStage = next.rawValue
        self.versionMax = versionMax
        self.versionMin = versionMin
        self.isid = isid
        self.tsih = tsih
        self.initiatorTaskTag = initiatorTaskTag
        self.cid = cid
        self.cmdSN = cmdSN
        self.expStatSN = expStatSN
        self.dataSegmentLength = dataSegmentLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        guard header.byteCount >= BasicHeaderSegment.byteCount else { throw .dropConnection(.truncatedHeader) }
        guard BasicHeaderSegment.initiatorOpcode(of: header) == .login,
            BasicHeaderSegment.totalAHSByteCount(of: header) == 0
        else { throw .dropConnection(.notALoginRequest) }
        let flags = header.uint8(at: 1)
        wantsTransit = flags & LoginFlags.transit != 0
        continues = flags & LoginFlags.continuation != 0
        rawCurrentStage = flags >> 2 & 3
        rawNextStage = flags & 3
        versionMax = header.uint8(at: 2)
        versionMin = header.uint8(at: 3)
        isid = InitiatorSessionIdentifier(rawValue: header.uint64(at: 8) >> 16)
        tsih = header.uint16(at: 14)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        cid = header.uint16(at: 20)
        cmdSN = BasicHeaderSegment.cmdSN(of: header)
        expStatSN = BasicHeaderSegment.expStatSN(of: header)
        dataSegmentLength = header.uint24(at: 5)
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: InitiatorOpcode.login.rawValue, isImmediate: true,
            flags: LoginFlags.byte(
                transit: wantsTransit, continues: continues, current: rawCurrentStage, next: rawNextStage),
            dataSegmentLength: dataSegmentLength)
        header.store(versionMax, at: 2)
        header.store(versionMin, at: 3)
        header.store(isid.rawValue << 16 | UInt64(tsih), at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(cid, at: 20)
        header.store(cmdSN, at: 24)
        header.store(expStatSN, at: 28)
    }
}

/// Login Response (RFC 7143 11.13).
public struct LoginResponsePDU: Equatable, Sendable, EncodablePDU {
    public var transits: Bool
    public var continues: Bool
    public var rawCurrentStage: UInt8
    public var rawNextStage: UInt8
    public var versionMax: UInt8 = 0
    public var versionActive: UInt8 = 0
    public var isid: InitiatorSessionIdentifier
    /// The session's, in the last response of a successful login; what the initiator sent until then.
    public var tsih: UInt16
    public var initiatorTaskTag: UInt32
    /// StatSN means nothing when the login is refused.
    public var numbers: SequenceNumbers
    public var status: LoginStatus
    public var dataSegmentLength: UInt32

    public init(
        transits: Bool = false, continues: Bool = false, current: UInt8, next: UInt8 = 0,
        isid: InitiatorSessionIdentifier, tsih: UInt16, initiatorTaskTag: UInt32, numbers: SequenceNumbers,
        status: LoginStatus = .success, dataSegmentLength: UInt32 = 0
    ) {
        self.transits = transits
        self.continues = continues
        rawCurrentStage = current
        rawNextStage = next
        self.isid = isid
        self.tsih = tsih
        self.initiatorTaskTag = initiatorTaskTag
        self.numbers = numbers
        self.status = status
        self.dataSegmentLength = dataSegmentLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkPlainHeader()
        let flags = header.uint8(at: 1)
        guard let status = LoginStatus(rawValue: header.uint16(at: 36)) else { throw .reject(.protocolError) }
        self.status = status
        transits = flags & LoginFlags.transit != 0
        continues = flags & LoginFlags.continuation != 0
        rawCurrentStage = flags >> 2 & 3
        rawNextStage = flags & 3
        versionMax = header.uint8(at: 2)
        versionActive = header.uint8(at: 3)
        isid = InitiatorSessionIdentifier(rawValue: header.uint64(at: 8) >> 16)
        tsih = header.uint16(at: 14)
        initiatorTaskTag = BasicHeaderSegment.initiatorTaskTag(of: header)
        numbers = header.sequenceNumbers()
        dataSegmentLength = header.uint24(at: 5)
    }

    public func encode(into header: inout MutableRawSpan) {
        header.beginHeader(
            opcode: TargetOpcode.loginResponse.rawValue,
            flags: LoginFlags.byte(
                transit: transits, continues: continues, current: rawCurrentStage, next: rawNextStage),
            dataSegmentLength: dataSegmentLength)
        header.store(versionMax, at: 2)
        header.store(versionActive, at: 3)
        header.store(isid.rawValue << 16 | UInt64(tsih), at: 8)
        header.store(initiatorTaskTag, at: 16)
        header.store(numbers)
        header.store(status.rawValue, at: 36)
    }
}
