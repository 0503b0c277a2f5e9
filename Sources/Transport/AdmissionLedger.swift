// SPDX-License-Identifier: Apache-2.0

/// Whom a limit on addresses counts together: an IPv4 address, or an IPv6 network of 64 bits, which one machine may
/// have to itself.
package struct AdmissionAddress: Hashable, Sendable {
    private let network: UInt64
    private let isIPv6: Bool

    /// Peers whose address is not known are one address.
    package init(_ peer: PortalAddress?) {
        let bytes = peer.flatMap { SocketAddress($0) }?.networkBytes ?? []
        isIPv6 = bytes.count == 8
        network = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// How many connections there may be.
package struct AdmissionLimits: Equatable, Sendable {
    /// Of the server, logged in or not.
    package var connections: Int
    package var connectionsPerAddress: Int
    /// Of the server, not logged in yet.
    package var halfOpen: Int
    package var halfOpenPerAddress: Int

    package init(connections: Int, connectionsPerAddress: Int, halfOpen: Int, halfOpenPerAddress: Int) {
        self.connections = connections
        self.connectionsPerAddress = connectionsPerAddress
        self.halfOpen = halfOpen
        self.halfOpenPerAddress = halfOpenPerAddress
    }
}

/// What admission has turned away since the start.
public struct AdmissionCounters: Equatable, Sendable {
    /// Connections not logged in now.
    public internal(set) var halfOpenCount = 0
    /// Refused because the server had all that it takes.
    public internal(set) var refusedByServerCount: UInt64 = 0
    /// Refused because their address had all that it may have.
    public internal(set) var refusedByAddressCount: UInt64 = 0
    /// Closed before they logged in, to make room for newer ones.
    public internal(set) var evictedCount: UInt64 = 0
    /// Sessions refused because their target had all that it takes.
    public internal(set) var refusedSessionCount: UInt64 = 0

    public init() {}
}

/// The book of connections: who has how many, and who goes when there are too many.
///
/// A value. Half-open connections never keep anybody out: when their places are taken, the oldest one of the address
/// that has most of them makes room. An admission costs as much as the addresses with half-open connections are many,
/// and only when all their places are taken.
package struct AdmissionLedger: Sendable {
    package enum Verdict: Equatable, Sendable {
        /// `evicting` is to be closed: it counts no more.
        case admitted(UInt64, evicting: UInt64?)
        case refused
    }

    private struct Record {
        var connectionCount = 0
        var halfOpenCount = 0
        /// Tickets in the order of their admission, with some that are half-open no more.
        var queue: [UInt64] = []
        var first = 0
    }

    private let limits: AdmissionLimits
    private var records: [AdmissionAddress: Record] = [:]
    private var addresses: [UInt64: AdmissionAddress] = [:]
    private var halfOpen: Set<UInt64> = []
    private var lastTicket: UInt64 = 0
    package private(set) var counters = AdmissionCounters()

    package init(_ limits: AdmissionLimits) { self.limits = limits }

    package var connectionCount: Int { addresses.count }

    /// Addresses that are remembered: those that have connections.
    package var addressCount: Int { records.count }

    package mutating func admit(_ address: AdmissionAddress) -> Verdict {
        let record = records[address] ?? Record()
        var evicted: UInt64?
        if record.connectionCount >= limits.connectionsPerAddress
            || record.halfOpenCount >= limits.halfOpenPerAddress
        {
            evicted = evictOldest(of: address)
            guard evicted != nil || record.connectionCount < limits.connectionsPerAddress else {
                counters.refusedByAddressCount += 1
                return .refused
            }
        } else if connectionCount >= limits.connections || halfOpen.count >= limits.halfOpen {
            evicted = evictFromBusiest()
            guard evicted != nil || connectionCount < limits.connections else {
                counters.refusedByServerCount += 1
                return .refused
            }
        }
        lastTicket += 1
        addresses[lastTicket] = address
        halfOpen.insert(lastTicket)
        records[address, default: Record()].connectionCount += 1
        records[address, default: Record()].halfOpenCount += 1
        records[address, default: Record()].queue.append(lastTicket)
        counters.halfOpenCount = halfOpen.count
        return .admitted(lastTicket, evicting: evicted)
    }

    /// False when the ticket has been evicted: its connection is to be closed.
    @discardableResult
    package mutating func loggedIn(_ ticket: UInt64) -> Bool {
        guard let address = addresses[ticket] else { return false }
        guard halfOpen.remove(ticket) != nil else { return true }
        counters.halfOpenCount = halfOpen.count
        records[address]?.halfOpenCount -= 1
        compact(address)
        return true
    }

    /// Of a ticket that was evicted nothing is left to be done.
    package mutating func closed(_ ticket: UInt64) {
        loggedIn(ticket)
        guard let address = addresses.removeValue(forKey: ticket) else { return }
        records[address]?.connectionCount -= 1
        if records[address]?.connectionCount == 0 { records[address] = nil }
    }

    package mutating func countRefusedSession() { counters.refusedSessionCount += 1 }

    private mutating func evictFromBusiest() -> UInt64? {
        var busiest: AdmissionAddress?
        var most = 0
        for (address, record) in records where record.halfOpenCount > most {
            most = record.halfOpenCount
            busiest = address
        }
        return busiest.flatMap { evictOldest(of: $0) }
    }

    private mutating func evictOldest(of address: AdmissionAddress) -> UInt64? {
        guard var record = records[address], record.halfOpenCount > 0 else { return nil }
        while record.first < record.queue.count, !halfOpen.contains(record.queue[record.first]) { record.first += 1 }
        guard record.first < record.queue.count else { return nil }
        let ticket = record.queue[record.first]
        record.first += 1
        records[address] = record
        counters.evictedCount += 1
        compact(address)
        closed(ticket)
        return ticket
    }

    /// Keeps the queue as short as what is in it, within a factor.
    private mutating func compact(_ address: AdmissionAddress) {
        guard let record = records[address], record.queue.count > 2 * record.halfOpenCount + 16 else { return }
        records[address]?.queue = record.queue[record.first...].filter { halfOpen.contains($0) }
        records[address]?.first = 0
    }
}
