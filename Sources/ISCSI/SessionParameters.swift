// SPDX-License-Identifier: Apache-2.0

/// What a session runs by (RFC 7143 13): the standard's defaults until a login has changed them.
public struct SessionParameters: Equatable, Sendable {
    public var maxConnections = 1
    public var initialR2T = true
    public var immediateData = true
    /// Bytes of unsolicited data of one command, immediate data included.
    public var firstBurstLength = 65536
    /// Bytes of one sequence of Data-In or solicited Data-Out.
    public var maxBurstLength = 262_144
    public var defaultTime2WaitSeconds = 2
    public var defaultTime2RetainSeconds = 20
    public var maxOutstandingR2T = 1
    public var dataPDUInOrder = true
    public var dataSequenceInOrder = true
    public var errorRecoveryLevel = 0
    /// RFC 7143 13.24.
    public var protocolLevel = 1
    public var taskReporting = TaskReporting.rfc3720

    /// How task management deals with tasks of other sessions (RFC 7143 13.23).
    public enum TaskReporting: String, Sendable, CaseIterable {
        case rfc3720 = "RFC3720"
        case responseFence = "ResponseFence"
        case fastAbort = "FastAbort"
    }

    public init() {}
}

/// What a connection runs by: the values of its session, and its own.
public struct NegotiatedParameters: Equatable, Sendable {
    public var session = SessionParameters()
    /// Bytes of the longest data segment that we take: what we declared.
    public var maxReceiveDataSegmentLength = PDUFramer.defaultMaxDataSegmentLength
    /// Bytes of the longest data segment that the initiator takes: what it declared.
    public var maxSendDataSegmentLength = PDUFramer.defaultMaxDataSegmentLength
    /// CRC32C over headers, from the full feature phase on.
    public var hasHeaderDigest = false
    /// CRC32C over data segments, from the full feature phase on.
    public var hasDataDigest = false

    public init() {}
}
