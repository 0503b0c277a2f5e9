// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// How well a device is, and why it is not.
public struct DeviceHealth: Sendable, Equatable {
    public enum State: String, Sendable, Comparable {
        case good
        /// It serves every command, with less than its whole self.
        case degraded
        /// Commands fail, or what was acknowledged may be lost.
        case failed

        private var rank: Int {
            switch self {
            case .good: 0
            case .degraded: 1
            case .failed: 2
            }
        }

        public static func < (left: State, right: State) -> Bool { left.rank < right.rank }
    }

    public var state: State
    /// One sentence without a full stop; empty when it is good.
    public var reason: String

    public init(_ state: State, _ reason: String = "") {
        self.state = state
        self.reason = reason
    }

    public static let good = DeviceHealth(.good)
}

extension HandlerDevice {
    /// The worst of what the host sees and what the handler says. Never waits for a disk; from any thread.
    public var health: DeviceHealth {
        switch stage.load(ordering: .relaxed) {
        case Stage.opening, Stage.closed: return DeviceHealth(.failed, "it is not open")
        case Stage.recovering: return DeviceHealth(.failed, "its connection is lost: it is being opened again")
        default: break
        }
        let seen =
            hasOverdue.load(ordering: .relaxed)
            ? DeviceHealth(.degraded, "commands are under way for more than \(configuration.commandTimeoutSeconds) s")
            : .good
        guard handler.handlerExtension.canTellHealth, gate.enter() else { return seen }
        defer { gate.leave() }
        guard let told = unsafe handler.handlerExtension.health(device), told.state >= seen.state else { return seen }
        return told
    }
}
