// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// What the limits on connections and sessions have turned away since the start.
public struct AdmissionReport: Codable, Equatable, Sendable {
    /// Connections not logged in now.
    public var halfOpen = 0
    /// Refused because the server had all that it takes.
    public var refusedByServer: UInt64 = 0
    /// Refused because their address had all that it may have.
    public var refusedByAddress: UInt64 = 0
    /// Closed before they logged in, to make room.
    public var evicted: UInt64 = 0
    /// Sessions refused because their target had all that it takes.
    public var refusedSessions: UInt64 = 0

    public init() {}

    init(_ counters: AdmissionCounters) {
        halfOpen = counters.halfOpenCount
        refusedByServer = counters.refusedByServerCount
        refusedByAddress = counters.refusedByAddressCount
        evicted = counters.evictedCount
        refusedSessions = counters.refusedSessionCount
    }

    var words: String {
        "\(halfOpen) not logged in; refused \(refusedByServer) by the server's limit, \(refusedByAddress) by that of an "
            + "address, \(refusedSessions) session(s) by that of a target; \(evicted) closed to make room"
    }

    /// Whether there is anything to tell.
    var isQuiet: Bool { refusedByServer + refusedByAddress + evicted + refusedSessions == 0 }
}

extension OpenMetrics {
    static func add(_ admission: AdmissionReport, to text: inout MetricText) {
        text.add(
            "martlet_half_open_connections", .gauge, "Connections that are not logged in.", Double(admission.halfOpen))
        text.add(
            "martlet_refused_connections", .counter, "Connections that a limit has turned away.",
            [
                ([("limit", "server")], Double(admission.refusedByServer)),
                ([("limit", "address")], Double(admission.refusedByAddress)),
                ([("limit", "half-open")], Double(admission.evicted)),
            ])
        text.add(
            "martlet_refused_sessions", .counter, "Sessions that the limit of their target has turned away.",
            Double(admission.refusedSessions))
    }
}
