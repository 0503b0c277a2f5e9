// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// What an Asynchronous Message tells (RFC 7143 11.9.1).
public enum AsyncEvent: Equatable, Sendable {
    /// The data segment holds sense data, led by their length in two bytes.
    case scsiAsynchronousEvent
    /// The initiator is to log out within so many seconds.
    case requestsLogout(timeSeconds: UInt16)
    /// The connection `cid` will be dropped.
    case dropsConnection(cid: UInt16, time2WaitSeconds: UInt16, time2RetainSeconds: UInt16)
    /// All connections of the session will be dropped.
    case dropsAllConnections(time2WaitSeconds: UInt16, time2RetainSeconds: UInt16)
    /// The initiator is to negotiate parameters by a Text Request within so many seconds.
    case requestsNegotiation(timeSeconds: UInt16)
    /// All tasks of the logical unit are being ended (FastAbort, RFC 7143 4.2.3.4).
    case terminatesTasks(parameter1: UInt16)
    /// `code` is the vendor's.
    case vendorSpecific(code: UInt8, parameter1: UInt16, parameter2: UInt16, parameter3: UInt16)

    private static let vendorSpecificEvent: UInt8 = 255

    /// AsyncEvent, AsyncVCode, Parameter1 to 3.
    struct Fields: Equatable {
        var event: UInt8
        var vendorCode: UInt8 = 0
        var parameters: (UInt16, UInt16, UInt16) = (0, 0, 0)

        static func == (left: Self, right: Self) -> Bool {
            left.event == right.event && left.vendorCode == right.vendorCode && left.parameters == right.parameters
        }
    }

    var fields: Fields {
        switch self {
        case .scsiAsynchronousEvent: Fields(event: 0)
        case .requestsLogout(let time): Fields(event: 1, parameters: (0, 0, time))
        case .dropsConnection(let cid, let wait, let retain): Fields(event: 2, parameters: (cid, wait, retain))
        case .dropsAllConnections(let wait, let retain): Fields(event: 3, parameters: (0, wait, retain))
        case .requestsNegotiation(let time): Fields(event: 4, parameters: (0, 0, time))
        case .terminatesTasks(let parameter1): Fields(event: 5, parameters: (parameter1, 0, 0))
        case .vendorSpecific(let code, let parameter1, let parameter2, let parameter3):
            Fields(
                event: Self.vendorSpecificEvent, vendorCode: code,
                parameters: (parameter1, parameter2, parameter3))
        }
    }

    /// Nil for a reserved event.
    init?(_ fields: Fields) {
        let (parameter1, parameter2, parameter3) = fields.parameters
        switch fields.event {
        case 0: self = .scsiAsynchronousEvent
        case 1: self = .requestsLogout(timeSeconds: parameter3)
        case 2: self = .dropsConnection(cid: parameter1, time2WaitSeconds: parameter2, time2RetainSeconds: parameter3)
        case 3: self = .dropsAllConnections(time2WaitSeconds: parameter2, time2RetainSeconds: parameter3)
        case 4: self = .requestsNegotiation(timeSeconds: parameter3)
        case 5: self = .terminatesTasks(parameter1: parameter1)
        case Self.vendorSpecificEvent:
            self = .vendorSpecific(
                code: fields.vendorCode, parameter1: parameter1, parameter2: parameter2, parameter3: parameter3)
        default: return nil
        }
    }
}

/// Asynchronous Message (RFC 7143 11.9).
public struct AsyncMessagePDU: Equatable, Sendable, EncodablePDU {
    public var event: AsyncEvent
    /// The logical unit that a SCSI event is about.
    public var lun: LogicalUnitNumber
    public var numbers: SequenceNumbers
    public var dataSegmentLength: UInt32

    public init(
        event: AsyncEvent, lun: LogicalUnitNumber = LogicalUnitNumber(rawValue: 0), numbers: SequenceNumbers,
        dataSegmentLength: UInt32 = 0
    ) {
        self.event = event
        self.lun = lun
        self.numbers = numbers
        self.dataSegmentLength = dataSegmentLength
    }

    public init(_ header: RawSpan) throws(PDUError) {
        try header.checkPlainHeader()
        let fields = AsyncEvent.Fields(
            event: header.uint8(at: 36), vendorCode: header.uint8(at: 37),
            parameters: (header.uint16(at: 38), header.uint16(at: 40), header.uint16(at: 42)))
        guard let event = AsyncEvent(fields) else { throw .reject(.protocolError) }
        self.event = event
        lun = BasicHeaderSegment.lun(of: header)
        numbers = header.sequenceNumbers()
        dataSegmentLength = header.uint24(at: 5)
    }

    public func encode(into header: inout MutableRawSpan) {
        let fields = event.fields
        header.beginHeader(
            opcode: TargetOpcode.asyncMessage.rawValue, flags: BasicHeaderSegment.finalBit,
            dataSegmentLength: dataSegmentLength)
        header.store(lun.rawValue, at: 8)
        header.store(BasicHeaderSegment.reservedTag, at: 16)
        header.store(numbers)
        header.store(fields.event, at: 36)
        header.store(fields.vendorCode, at: 37)
        header.store(fields.parameters.0, at: 38)
        header.store(fields.parameters.1, at: 40)
        header.store(fields.parameters.2, at: 42)
    }
}
