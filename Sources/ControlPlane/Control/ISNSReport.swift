// SPDX-License-Identifier: Apache-2.0

internal import ISNS

/// How the registration with an iSNS server stands.
public struct ISNSReport: Codable, Equatable, Sendable {
    public var server = ""
    public var entity = ""
    /// "registered", "connecting", "registering", "waiting" (for another attempt), "idle" (no target) or "ended".
    public var state = "idle"
    /// Why it is not registered; empty while it is.
    public var reason = ""
    /// Registered with the server.
    public var targets = 0
    public var portals = 0
    /// Granted by the server.
    public var periodSeconds: UInt32 = 0
    /// State Change Notifications and Entity Status Inquiries that came.
    public var notifications: UInt64 = 0
    public var inquiries: UInt64 = 0

    public init() {}

    var words: String {
        let place = "\(state) with \(server)"
        return state == "registered"
            ? "\(place) as \(entity): \(targets) target(s), \(portals) portal(s), for \(periodSeconds) s"
            : "\(state), server \(server)" + (reason.isEmpty ? "" : ": \(reason)")
    }

    static func word(_ state: ISNSClientMachine.State) -> String {
        switch state {
        case .idle: "idle"
        case .connecting: "connecting"
        case .waiting: "waiting"
        case .registering: "registering"
        // The registration holds while these are under way.
        case .subscribing, .registered, .refreshing: "registered"
        case .withdrawing: "withdrawing"
        case .ended: "ended"
        }
    }
}
