// SPDX-License-Identifier: Apache-2.0

/// Commands and bytes of one logical unit.
public struct UnitCounters: Sendable, Equatable {
    public var commandCount: UInt64 = 0
    /// Commands that ended with a status other than GOOD and CONDITION MET.
    public var failedCommandCount: UInt64 = 0
    /// Bytes that went to initiators.
    public var readByteCount: UInt64 = 0
    /// Bytes that came from initiators.
    public var writtenByteCount: UInt64 = 0

    public init() {}

    /// A command has ended.
    @inline(__always) mutating func count(isGood: Bool, readByteCount: UInt64, writtenByteCount: UInt64) {
        commandCount &+= 1
        if !isGood { failedCommandCount &+= 1 }
        self.readByteCount &+= readByteCount
        self.writtenByteCount &+= writtenByteCount
    }

    mutating func add(_ other: UnitCounters) {
        commandCount += other.commandCount
        failedCommandCount += other.failedCommandCount
        readByteCount += other.readByteCount
        writtenByteCount += other.writtenByteCount
    }
}

/// A logical unit behind a number of a target. One number may lead some initiators to another device than others: the
/// three together tell it apart.
public struct UnitName: Sendable, Hashable {
    public let targetName: String
    public let lun: Int
    /// As the configuration calls it.
    public let device: String

    public init(targetName: String, lun: Int, device: String) {
        self.targetName = targetName
        self.lun = lun
        self.device = device
    }
}

/// Where one loop counts the commands of a logical unit.
struct CountedUnit {
    var counters = UnitCounters()
    /// Names it in samples (`ServerState.unitNames`).
    let number: UInt32
}

/// What the sockets have seen.
public struct ConnectionCounters: Sendable, Equatable {
    public var receiveCallCount: UInt64 = 0
    public var receivedByteCount: UInt64 = 0
    public var receivedPDUCount: UInt64 = 0
    public var sendCallCount: UInt64 = 0
    public var sentByteCount: UInt64 = 0
    public var sentPDUCount: UInt64 = 0
    public var coalescing = CoalescingCounters()

    public init() {}

    mutating func add(_ other: ConnectionCounters) {
        receiveCallCount += other.receiveCallCount
        receivedByteCount += other.receivedByteCount
        receivedPDUCount += other.receivedPDUCount
        sendCallCount += other.sendCallCount
        sentByteCount += other.sentByteCount
        sentPDUCount += other.sentPDUCount
        coalescing.add(other.coalescing)
    }
}

/// One connection of a session.
public struct ConnectionSnapshot: Sendable {
    /// CID, as the initiator chose it.
    public let identifier: UInt16
    public let peer: PortalAddress?
    public let local: PortalAddress?

    init(_ connection: ISCSIConnection) {
        identifier = connection.connectionIdentifier
        peer = connection.peer
        local = connection.local
    }
}

public struct SessionSnapshot: Sendable {
    public let initiatorName: String
    /// The six bytes of the ISID as one number.
    public let isid: UInt64
    public let tsih: UInt16
    /// Nil for a discovery session.
    public let targetName: String?
    public let peer: PortalAddress?
    public let local: PortalAddress?
    public let hasHeaderDigest: Bool
    public let hasDataDigest: Bool
    /// Commands under way.
    public let commandCount: Int
    /// Bytes of data buffers on loan.
    public let bufferByteCount: Int
    public let counters: ConnectionCounters
    /// Names the session in samples.
    public let number: UInt64
    /// Its commands that have ended.
    public let unitCounters: UnitCounters
    public let errorRecoveryLevel: Int
    public let connections: [ConnectionSnapshot]
    /// As rules see it.
    public internal(set) var visitor: Visitor?
}

/// The server at one moment, loop by loop.
public struct ServerSnapshot: Sendable {
    public internal(set) var sessions: [SessionSnapshot] = []
    public internal(set) var units: [UnitName: UnitCounters] = [:]
    /// All connections since the start, also those that have gone.
    public internal(set) var counters = ConnectionCounters()
    /// Open now, logged in or not.
    public internal(set) var connectionCount = 0
    public internal(set) var loginCount: UInt64 = 0
    public internal(set) var failedLoginCount: UInt64 = 0
    /// Connections dropped because of what the peer sent.
    public internal(set) var protocolErrorCount: UInt64 = 0
    /// Of the whole server.
    public internal(set) var admission = AdmissionCounters()
    public internal(set) var loops: [LoopCounters] = []
    public internal(set) var placedLoops: [PlacedLoop] = []
    /// For people: what was placed, and why nothing was.
    public internal(set) var placementSummary = ""
    /// How the loops ask the kernel: "epoll" or "io_uring".
    public internal(set) var pollerName = ""

    mutating func add(_ other: ServerSnapshot) {
        sessions += other.sessions
        units.merge(other.units) { left, right in
            var sum = left
            sum.add(right)
            return sum
        }
        counters.add(other.counters)
        connectionCount += other.connectionCount
        loginCount += other.loginCount
        failedLoginCount += other.failedLoginCount
        protocolErrorCount += other.protocolErrorCount
        loops += other.loops
        placedLoops += other.placedLoops
    }
}
