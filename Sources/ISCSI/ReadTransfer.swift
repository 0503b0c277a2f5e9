// SPDX-License-Identifier: Apache-2.0

/// One Data-In PDU's part of a command's data.
public struct DataInSlice: Equatable, Sendable {
    /// Bytes from the start of the command's data.
    public let offset: Int
    public let byteCount: Int
    public let dataSN: UInt32
    /// The F bit: the end of a burst, or of all data.
    public let isFinal: Bool
    /// The end of all data.
    public let isLast: Bool
    /// The S bit.
    public let carriesStatus: Bool

    @inlinable
    init(offset: Int, byteCount: Int, dataSN: UInt32, isFinal: Bool, isLast: Bool, carriesStatus: Bool) {
        self.offset = offset
        self.byteCount = byteCount
        self.dataSN = dataSN
        self.isFinal = isFinal
        self.isLast = isLast
        self.carriesStatus = carriesStatus
    }
}

/// Splits the data of one command to the initiator into Data-In PDUs (RFC 7143 11.7).
public struct ReadTransfer: Equatable, Sendable {
    @usableFromInline let byteCount: Int
    @usableFromInline var maxDataSegmentLength: Int
    @usableFromInline let maxBurstLength: Int
    @usableFromInline let carriesStatus: Bool
    @usableFromInline var offset = 0
    @usableFromInline var burstEnd: Int
    @usableFromInline var nextDataSN: UInt32 = 0
    /// Where PDUs of the present length begin: those before were cut otherwise.
    private var base = Base()

    private struct Base: Equatable, Sendable {
        var dataSN: UInt32 = 0
        var offset = 0
    }

    /// - Parameters:
    ///   - byteCount: bytes to send: never more than the initiator expects.
    ///   - maxDataSegmentLength: the initiator's MaxRecvDataSegmentLength.
    ///   - maxBurstLength: bytes from one F bit to the next.
    ///   - carriesStatus: the last PDU carries the status: only when that is GOOD, or another status without sense.
    @inlinable
    public init(byteCount: Int, maxDataSegmentLength: Int, maxBurstLength: Int, carriesStatus: Bool) {
        self.byteCount = max(0, byteCount)
        // No PDU in the middle of a burst needs padding. Progress is certain whatever the limits are.
        self.maxDataSegmentLength = max(4, maxDataSegmentLength & ~3)
        self.maxBurstLength = max(4, maxBurstLength)
        self.carriesStatus = carriesStatus
        burstEnd = min(self.byteCount, self.maxBurstLength)
    }

    /// The first DataSN that can be sought: those before it were cut with another length.
    public var firstDataSN: UInt32 { base.dataSN }

    /// Goes on with the PDU of this DataSN, which is one of those made before or the next one, and not before
    /// `firstDataSN`. PDUs are cut alike each time.
    public mutating func seek(to dataSN: UInt32) {
        offset = base.offset
        nextDataSN = base.dataSN
        burstEnd = min(byteCount, (offset / maxBurstLength + 1) * maxBurstLength)
        while SerialNumber.precedes(nextDataSN, dataSN), next() != nil {}
    }

    /// What is still to be cut is cut anew: the initiator has declared another MaxRecvDataSegmentLength.
    public mutating func recut(maxDataSegmentLength: Int) {
        self.maxDataSegmentLength = max(4, maxDataSegmentLength & ~3)
        base = Base(dataSN: nextDataSN, offset: offset)
    }

    /// A command without data.
    public static let nothing = ReadTransfer(
        byteCount: 0, maxDataSegmentLength: PDUFramer.defaultMaxDataSegmentLength,
        maxBurstLength: PDUFramer.defaultMaxDataSegmentLength, carriesStatus: false)

    /// Bytes of the PDUs that are cut, but for the last of a burst: what the initiator takes, whole words.
    public var segmentByteCount: Int { maxDataSegmentLength }

    /// PDUs made so far: ExpDataSN of the SCSI Response.
    @inlinable
    public var dataInCount: UInt32 { nextDataSN }

    /// The next PDU; nil when all data are in PDUs.
    @inlinable
    public mutating func next() -> DataInSlice? {
        guard offset < byteCount else { return nil }
        let count = min(maxDataSegmentLength, burstEnd - offset)
        let end = offset + count
        let slice = DataInSlice(
            offset: offset, byteCount: count, dataSN: nextDataSN, isFinal: end == burstEnd,
            isLast: end == byteCount, carriesStatus: carriesStatus && end == byteCount)
        offset = end
        nextDataSN &+= 1
        if end == burstEnd { burstEnd = min(byteCount, end + maxBurstLength) }
        return slice
    }
}
