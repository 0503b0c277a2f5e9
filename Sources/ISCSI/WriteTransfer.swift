// SPDX-License-Identifier: Apache-2.0

/// The data of one command from the initiator: immediate, unsolicited, then by R2T (RFC 7143 11.7 and 11.8).
///
/// DataPDUInOrder and DataSequenceInOrder are always negotiated to Yes, so every byte has one moment at which it may
/// come, and what is outstanding is one unbroken range: nothing needs to be stored for each R2T.
public struct WriteTransfer: Equatable, Sendable {
    /// R2Ts that are outstanding at most, whatever was negotiated.
    public static let outstandingR2TLimit = 8

    /// How a command ends whose data came wrongly: CHECK CONDITION, ABORTED COMMAND (RFC 7143 11.4.7.2).
    public enum Failure: Sendable, Equatable, CaseIterable {
        /// WRITE ERROR - UNEXPECTED UNSOLICITED DATA
        case unexpectedUnsolicitedData
        /// WRITE ERROR - NOT ENOUGH UNSOLICITED DATA, which the RFC calls "incorrect amount of data".
        case incorrectAmountOfData
        /// PROTOCOL SERVICE CRC ERROR: a DataSN is missing (RFC 7143 7.9).
        case protocolServiceCRCError
    }

    /// Where the bytes of a Data-Out go. The rest of its data segment is to be discarded.
    public struct Placement: Equatable, Sendable {
        /// Bytes from the start of the command's buffer.
        public let offset: Int
        /// At most the PDU's data segment; offset and count together never exceed what the command wants.
        public let byteCount: Int

        @usableFromInline static let nowhere = Placement(offset: 0, byteCount: 0)

        @inlinable
        public init(offset: Int, byteCount: Int) {
            self.offset = offset
            self.byteCount = byteCount
        }
    }

    /// What one R2T asks for.
    public struct Burst: Equatable, Sendable {
        public let offset: Int
        public let byteCount: Int
        public let r2tSN: UInt32

        public init(offset: Int, byteCount: Int, r2tSN: UInt32) {
            self.offset = offset
            self.byteCount = byteCount
            self.r2tSN = r2tSN
        }
    }

    /// Bytes that the initiator will send in all, if asked for them.
    private let expectedLength: Int
    /// Bytes at the start of the data that have a place.
    private let wanted: Int
    private let maxBurstLength: Int
    private let maxOutstandingR2T: Int
    /// Where unsolicited data end.
    private let unsolicitedLimit: Int
    /// Unsolicited data beyond immediate data must be FirstBurstLength exactly (RFC 7143 11.4.7.2).
    private let unsolicitedMustBeWhole: Bool

    /// The byte that must come next.
    private var nextOffset: Int
    /// The end of the burst that is being answered.
    private var burstEnd = 0
    /// The end of what has been asked for.
    private var requestedEnd = 0
    private var outstandingR2TCount = 0
    private var nextR2TSN: UInt32 = 0
    private var expectedDataSN: UInt32 = 0

    /// The unsolicited sequence has not ended.
    public private(set) var awaitsUnsolicited: Bool
    /// Set when data came wrongly. No more R2Ts are made, and nothing more is placed.
    public private(set) var failure: Failure?
    /// Bytes placed so far; they are the first ones of the buffer.
    public private(set) var receivedByteCount: Int

    /// A command that writes has come.
    /// - Parameters:
    ///   - expectedLength: Expected Data Transfer Length.
    ///   - wanted: bytes that the command itself needs, and its buffer holds.
    ///   - immediateByteCount: bytes of its data segment: those below `wanted` have their place at offset 0.
    ///   - unsolicitedFollows: the F bit was 0.
    public init(
        expectedLength: Int, wanted: Int, immediateByteCount: Int, unsolicitedFollows: Bool,
        parameters: SessionParameters
    ) throws(PDUError) {
        let firstBurst = min(expectedLength, parameters.firstBurstLength)
        guard immediateByteCount <= firstBurst, !unsolicitedFollows || !parameters.initialR2T else {
            throw .reject(.protocolError)
        }
        self.expectedLength = expectedLength
        self.wanted = max(0, min(expectedLength, wanted))
        maxBurstLength = parameters.maxBurstLength
        maxOutstandingR2T = min(parameters.maxOutstandingR2T, Self.outstandingR2TLimit)
        unsolicitedLimit = firstBurst
        unsolicitedMustBeWhole = expectedLength > parameters.firstBurstLength
        nextOffset = immediateByteCount
        awaitsUnsolicited = unsolicitedFollows
        receivedByteCount = min(immediateByteCount, self.wanted)
        if immediateByteCount > 0 && !parameters.immediateData {
            failure = .unexpectedUnsolicitedData
            receivedByteCount = 0
        }
        if !awaitsUnsolicited { beginSolicited() }
    }

    /// All bytes that the command needs have come, and nothing else is under way.
    public var isComplete: Bool { failure == nil && hasEnded && receivedByteCount == wanted }

    /// The command has failed, and everything that the initiator still had to send has come: it can be answered.
    public var isFailed: Bool { failure != nil && hasEnded }

    /// Nothing is to be expected from the initiator until it is asked for it.
    private var hasEnded: Bool { !awaitsUnsolicited && outstandingR2TCount == 0 }

    private mutating func beginSolicited() {
        requestedEnd = nextOffset
        expectedDataSN = 0
    }

    // MARK: Data-Out

    /// Checks a Data-Out of this command and says where its data go.
    ///
    /// Throws when the PDU cannot belong here; the transfer is as it was. Data that are wrong in a way for which the
    /// command must end with CHECK CONDITION set `failure`.
    public mutating func receive(_ pdu: DataOutPDU) throws(PDUError) -> Placement {
        pdu.isUnsolicited ? try receiveUnsolicited(pdu) : try receiveSolicited(pdu)
    }

    private mutating func receiveUnsolicited(_ pdu: DataOutPDU) throws(PDUError) -> Placement {
        guard awaitsUnsolicited else {
            fail(.unexpectedUnsolicitedData)
            return .nowhere
        }
        let placement = try place(pdu, limit: unsolicitedLimit)
        if pdu.isFinal {
            awaitsUnsolicited = false
            if unsolicitedMustBeWhole && nextOffset != unsolicitedLimit { fail(.incorrectAmountOfData) }
            beginSolicited()
        }
        return placement
    }

    private mutating func receiveSolicited(_ pdu: DataOutPDU) throws(PDUError) -> Placement {
        // R2Ts are answered in the order in which they were sent (RFC 7143 11.8).
        guard outstandingR2TCount > 0 else { throw .reject(.protocolError) }
        let placement = try place(pdu, limit: burstEnd)
        if pdu.isFinal {
            if nextOffset != burstEnd { fail(.incorrectAmountOfData) }
            outstandingR2TCount -= 1
            nextOffset = burstEnd
            burstEnd = min(burstEnd + maxBurstLength, requestedEnd)
            expectedDataSN = 0
        }
        return placement
    }

    /// The next bytes of a sequence that ends at `limit`.
    private mutating func place(_ pdu: DataOutPDU, limit: Int) throws(PDUError) -> Placement {
        guard failure == nil else { return .nowhere }
        let offset = Int(pdu.bufferOffset)
        let byteCount = Int(pdu.dataSegmentLength)
        guard pdu.dataSN == expectedDataSN else {
            fail(.protocolServiceCRCError)
            return .nowhere
        }
        guard offset == nextOffset else { throw .dropConnection(.dataOutOfOrder) }
        guard byteCount <= limit - offset else {
            fail(.incorrectAmountOfData)
            return .nowhere
        }
        expectedDataSN &+= 1
        nextOffset = offset + byteCount
        let placed = max(0, min(nextOffset, wanted) - offset)
        receivedByteCount += placed
        return Placement(offset: placed > 0 ? offset : 0, byteCount: placed)
    }

    /// The first failure is the one that is told.
    private mutating func fail(_ failure: Failure) {
        if self.failure == nil { self.failure = failure }
    }

    // MARK: R2T

    /// The next R2T to send; nil while there is nothing to ask for, or enough is outstanding.
    public mutating func nextR2T() -> Burst? {
        guard failure == nil, !awaitsUnsolicited, outstandingR2TCount < maxOutstandingR2T, requestedEnd < wanted
        else { return nil }
        let burst = Burst(
            offset: requestedEnd, byteCount: min(maxBurstLength, wanted - requestedEnd), r2tSN: nextR2TSN)
        requestedEnd += burst.byteCount
        nextR2TSN &+= 1
        if outstandingR2TCount == 0 { burstEnd = requestedEnd }
        outstandingR2TCount += 1
        return burst
    }
}
