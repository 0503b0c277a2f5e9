// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// A session as statistics name it, also when it has gone.
public struct StatisticsSession: Sendable, Equatable {
    public var initiatorName: String
    /// The six bytes of the ISID as one number.
    public var isid: UInt64
    public var tsih: UInt16
    public var targetName: String
    public var peer: PortalAddress?

    public init(initiatorName: String, isid: UInt64, tsih: UInt16, targetName: String, peer: PortalAddress?) {
        self.initiatorName = initiatorName
        self.isid = isid
        self.tsih = tsih
        self.targetName = targetName
        self.peer = peer
    }
}

/// Numbers the normal sessions of a server and remembers the latest: samples outlive their sessions.
package final class StatisticsSessions: Sendable {
    /// As many as there can be connections, and so many small records.
    package static let limit = 4096

    private struct State {
        var next: UInt64 = 1
        var sessions: [UInt64: StatisticsSession] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    /// At each login.
    package func add(_ session: StatisticsSession) -> UInt64 {
        state.withLock { state in
            let number = state.next
            state.next += 1
            state.sessions[number] = session
            if number > Self.limit { state.sessions[number - UInt64(Self.limit)] = nil }
            return number
        }
    }

    package func session(_ number: UInt64) -> StatisticsSession? { state.withLock { $0.sessions[number] } }
}
