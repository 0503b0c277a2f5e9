// SPDX-License-Identifier: Apache-2.0

/// RECEIVE COPY OPERATING PARAMETERS (SPC-4 6.19): what a copy manager can do.
public struct CopyOperatingParameters: Equatable, Sendable {
    /// SNLID: LIST ID USAGE 11b is taken.
    public var supportsNoListIdentifier = true
    public var limits: ExtendedCopyParameterList.Limits
    /// Bytes of the longest segment.
    public var maximumSegmentByteCount: UInt32 = 0
    /// TOTAL CONCURRENT COPIES and MAXIMUM CONCURRENT COPIES, those with a list identifier.
    public var concurrentCopyCount: UInt8 = 0
    /// DATA SEGMENT GRANULARITY: the power of two of the fewest bytes that a segment moves.
    public var dataSegmentGranularity: UInt8 = 0
    /// Ascending.
    public var descriptorTypeCodes: [UInt8] = []

    public init(limits: ExtendedCopyParameterList.Limits) {
        self.limits = limits
    }

    /// There is no inline data, no held data and no stream device.
    public func write(to writer: inout ParameterDataWriter) {
        let available = writer.reserveLength(.fourBytes)
        writer.append(.bit(supportsNoListIdentifier, 0))
        writer.appendZeroes(3)
        writer.append(UInt16(clamping: limits.targetCount))
        writer.append(UInt16(clamping: limits.segmentCount))
        writer.append(UInt32(clamping: limits.descriptorListByteCount))
        writer.append(maximumSegmentByteCount)
        writer.append(UInt32(0))  // MAXIMUM INLINE DATA LENGTH
        writer.append(UInt32(0))  // HELD DATA LIMIT
        writer.append(UInt32(0))  // MAXIMUM STREAM DEVICE TRANSFER SIZE
        writer.appendZeroes(2)
        writer.append(UInt16(concurrentCopyCount))
        writer.append(concurrentCopyCount)
        writer.append(dataSegmentGranularity)
        writer.append(UInt8(0))  // INLINE DATA GRANULARITY
        writer.append(UInt8(0))  // HELD DATA GRANULARITY
        writer.appendZeroes(3)
        let listLength = writer.reserveLength(.oneByte)
        writer.append(descriptorTypeCodes)
        writer.fill(listLength)
        writer.fill(available)
    }
}

/// RECEIVE COPY STATUS(LID1) (SPC-4 6.24): how far a copy is.
public struct CopyStatusData: Equatable, Sendable {
    public var state: State
    public var segmentsProcessed: UInt16
    public var byteCount: UInt64

    /// COPY MANAGER STATUS.
    public enum State: UInt8, Sendable {
        case inProgress = 0x00
        case completedWithoutErrors = 0x01
        case completedWithErrors = 0x02
    }

    public init(state: State, segmentsProcessed: UInt16, byteCount: UInt64) {
        self.state = state
        self.segmentsProcessed = segmentsProcessed
        self.byteCount = byteCount
    }

    /// TRANSFER COUNT is in the smallest of TRANSFER COUNT UNITS (powers of 1,024 bytes) that holds it.
    public func write(to writer: inout ParameterDataWriter) {
        var unit: UInt8 = 0
        while byteCount >> (10 * UInt64(unit)) > UInt64(UInt32.max) { unit += 1 }
        let available = writer.reserveLength(.fourBytes)
        writer.append(state.rawValue)  // HDD zero: no data is held
        writer.append(segmentsProcessed)
        writer.append(unit)
        writer.append(UInt32(truncatingIfNeeded: byteCount >> (10 * UInt64(unit))))
        writer.fill(available)
    }
}

/// RECEIVE COPY FAILURE DETAILS(LID1) (SPC-4 6.18): why a copy failed.
public struct CopyFailureDetails: Equatable, Sendable {
    /// EXTENDED COPY COMMAND STATUS, and its sense data; nil: it did not fail, and there is nothing to tell.
    public var failure: (status: Status, sense: [UInt8])?

    public init(failure: (status: Status, sense: [UInt8])?) {
        self.failure = failure
    }

    public static func == (left: Self, right: Self) -> Bool {
        left.failure?.status == right.failure?.status && left.failure?.sense == right.failure?.sense
    }

    private static let reservedByteCount = 52

    public func write(to writer: inout ParameterDataWriter) {
        let available = writer.reserveLength(.fourBytes)
        if let failure {
            writer.appendZeroes(Self.reservedByteCount)
            writer.append(failure.status.rawValue)
            writer.append(UInt8(0))
            let length = writer.reserveLength(.twoBytes)
            writer.append(failure.sense)
            writer.fill(length)
        }
        writer.fill(available)
    }
}

/// RECEIVE ROD TOKEN INFORMATION (SPC-4 6.29, SBC-3 5.16): how far POPULATE TOKEN or WRITE USING TOKEN is, and the
/// token.
public struct RODTokenInformation: Equatable, Sendable {
    /// RESPONSE TO SERVICE ACTION
    public var serviceAction: ServiceAction.ThirdPartyCopyOut
    public var state: State
    /// OPERATION COUNTER: wraps around.
    public var operationCount: UInt16 = 0
    /// EXTENDED COPY COMPLETION STATUS
    public var status = Status.good
    public var sense: [UInt8] = []
    /// TRANSFER COUNT, logical blocks.
    public var blockCount: UInt64 = 0
    public var segmentsProcessed: UInt16 = 0
    /// Of POPULATE TOKEN: 512 bytes.
    public var token: [UInt8]?

    /// COPY OPERATION STATUS.
    public enum State: UInt8, Sendable {
        case completedWithoutErrors = 0x01
        case completedWithErrors = 0x02
        /// Without errors, but the token did not reach for all that was asked.
        case completedPartly = 0x03
        case inForeground = 0x11
        /// By something else than the end of its work.
        case terminated = 0x60
    }

    public init(serviceAction: ServiceAction.ThirdPartyCopyOut, state: State) {
        self.serviceAction = serviceAction
        self.state = state
    }

    /// Milliseconds after which to ask again, while the operation goes on; else FFFF_FFFEh.
    private static let statusUpdateDelayMilliseconds: UInt32 = 100
    private static let noStatusUpdate: UInt32 = 0xFFFF_FFFE
    private static let unitLogicalBlocks: UInt8 = 0xF1

    public func write(to writer: inout ParameterDataWriter) {
        let available = writer.reserveLength(.fourBytes)
        writer.append(serviceAction.rawValue)
        writer.append(state.rawValue)
        writer.append(operationCount)
        writer.append(state == .inForeground ? Self.statusUpdateDelayMilliseconds : Self.noStatusUpdate)
        writer.append(status.rawValue)
        let padding = (4 - sense.count % 4) % 4
        writer.append(UInt8(clamping: sense.count + padding))  // LENGTH OF THE SENSE DATA FIELD
        writer.append(UInt8(clamping: sense.count))  // SENSE DATA LENGTH
        writer.append(Self.unitLogicalBlocks)
        writer.append(blockCount)
        writer.append(segmentsProcessed)
        writer.appendZeroes(6)
        writer.append(sense)
        writer.appendZeroes(padding)
        let descriptors = writer.reserveLength(.fourBytes)
        if let token {
            writer.appendZeroes(2)
            writer.append(token)
        }
        writer.fill(descriptors)
        writer.fill(available)
    }
}
