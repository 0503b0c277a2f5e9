// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// Whoever can tell how the server is.
public protocol StatusSource: Sendable {
    func report() async -> ServerReport
    func statistics(_ purpose: StatisticsPurpose) async -> StatisticsReport
    var portGroups: [PortGroupReport] { get }
    /// The groups that have the state now, by this or already.
    func change(_ change: PortGroupChange) -> [PortGroupReport]
}

extension StatusSource {
    public var portGroups: [PortGroupReport] { [] }
    public func change(_ change: PortGroupChange) -> [PortGroupReport] { [] }
}

/// The server at one moment: what the control socket answers with, and what the client verbs read.
public struct ServerReport: Codable, Equatable, Sendable {
    public var status = StatusReport()
    public var sessions: [SessionReport] = []
    public var luns: [LUNReport] = []
    public var reservations: [ReservationReport] = []

    public init() {}

    init(_ snapshot: ServerSnapshot) {
        sessions = snapshot.sessions.map { SessionReport($0) }
        status.sessions = sessions.count
        status.connections = snapshot.connectionCount
        status.logins = snapshot.loginCount
        status.failedLogins = snapshot.failedLoginCount
        status.poller = snapshot.pollerName
        status.placement = snapshot.placementSummary
        status.loops = snapshot.placedLoops.map { LoopReport($0) }
        status.admission = AdmissionReport(snapshot.admission)
        status.protocolErrors = snapshot.protocolErrorCount
        status.traffic = TrafficReport(snapshot.counters)
    }
}

public struct StatusReport: Codable, Equatable, Sendable {
    public var version = Version.text
    public var processIdentifier = 0
    /// Seconds since 1970.
    public var startTime = 0.0
    /// User and system time since the start.
    public var processorSeconds = 0.0
    public var portals: [String] = []
    public var targets: [String] = []
    public var sessions = 0
    /// Open now, logged in or not.
    public var connections = 0
    public var logins: UInt64 = 0
    public var failedLogins: UInt64 = 0
    /// How the loops ask the kernel: "epoll" or "io_uring".
    public var poller = ""
    /// Connections dropped because of what the peer sent.
    public var protocolErrors: UInt64 = 0
    /// Of all connections since the start.
    public var traffic = TrafficReport()
    /// For people: what was placed on NUMA nodes and processors, and why nothing was.
    public var placement = ""
    public var loops: [LoopReport] = []
    public var admission = AdmissionReport()
    /// Nil: no name server is configured.
    public var isns: ISNSReport?

    public init() {}
}

public struct TrafficReport: Codable, Equatable, Sendable {
    public var receivedBytes: UInt64 = 0
    public var receivedPDUs: UInt64 = 0
    public var receiveCalls: UInt64 = 0
    public var sentBytes: UInt64 = 0
    public var sentPDUs: UInt64 = 0
    public var sendCalls: UInt64 = 0

    public init() {}

    init(_ counters: ConnectionCounters) {
        receivedBytes = counters.receivedByteCount
        receivedPDUs = counters.receivedPDUCount
        receiveCalls = counters.receiveCallCount
        sentBytes = counters.sentByteCount
        sentPDUs = counters.sentPDUCount
        sendCalls = counters.sendCallCount
    }
}

public struct SessionReport: Codable, Equatable, Sendable {
    public var initiator = ""
    /// Twelve hexadecimal digits.
    public var isid = ""
    public var tsih: UInt16 = 0
    /// Nil for a discovery session.
    public var target: String?
    public var peer: String?
    public var local: String?
    /// Where its connections come from, the first one's included.
    public var connections: [String] = []
    public var errorRecoveryLevel = 0
    public var hasHeaderDigest = false
    public var hasDataDigest = false
    /// Commands under way.
    public var commands = 0
    /// Bytes of data buffers on loan.
    public var bufferBytes = 0
    public var traffic = TrafficReport()

    public init() {}

    private static let isidDigitCount = 12

    init(_ snapshot: SessionSnapshot) {
        let digits = String(snapshot.isid, radix: 16)
        initiator = snapshot.initiatorName
        isid = String(repeating: "0", count: max(0, Self.isidDigitCount - digits.count)) + digits
        tsih = snapshot.tsih
        target = snapshot.targetName
        peer = snapshot.peer?.description
        local = snapshot.local?.description
        connections = snapshot.connections.map { $0.peer?.description ?? "unknown" }
        errorRecoveryLevel = snapshot.errorRecoveryLevel
        hasHeaderDigest = snapshot.hasHeaderDigest
        hasDataDigest = snapshot.hasDataDigest
        commands = snapshot.commandCount
        bufferBytes = snapshot.bufferByteCount
        traffic = TrafficReport(snapshot.counters)
    }
}

public struct LUNReport: Codable, Equatable, Sendable {
    public var target: String
    public var lun: Int
    /// Nil for what most initiators find behind the number; else the device that some find there instead.
    public var device: String?
    public var url: String
    public var backstore: String
    /// What stands between initiators and the store, outermost first, as the operator wrote it.
    public var filters: [String]
    public var serial: String
    public var vendor: String
    public var product: String
    public var blockBytes: Int
    public var blocks: UInt64
    public var isReadOnly: Bool
    /// "good", "degraded" or "failed", and why it is not good.
    public var health = "good"
    public var healthReason = ""
    public var commands: UInt64
    /// Ended with a status other than GOOD and CONDITION MET.
    public var failedCommands: UInt64
    /// Bytes that went to initiators.
    public var readBytes: UInt64
    /// Bytes that came from initiators.
    public var writtenBytes: UInt64

    public init(
        target: String, lun: Int, url: String = "", backstore: String = "", filters: [String] = [],
        serial: String = "", vendor: String = "", product: String = "", blockBytes: Int = 512, blocks: UInt64 = 0,
        isReadOnly: Bool = false,
        commands: UInt64 = 0, failedCommands: UInt64 = 0, readBytes: UInt64 = 0, writtenBytes: UInt64 = 0
    ) {
        self.target = target
        self.lun = lun
        self.url = url
        self.backstore = backstore
        self.filters = filters
        self.serial = serial
        self.vendor = vendor
        self.product = product
        self.blockBytes = blockBytes
        self.blocks = blocks
        self.isReadOnly = isReadOnly
        self.commands = commands
        self.failedCommands = failedCommands
        self.readBytes = readBytes
        self.writtenBytes = writtenBytes
    }

    /// Bytes of the medium.
    public var mediumBytes: UInt64 { blocks.multipliedReportingOverflow(by: UInt64(blockBytes)).partialValue }
}
