// SPDX-License-Identifier: Apache-2.0

public import EventLoop

/// How an iSCSI server listens, and its limits. Each limit bounds what peers can make the server hold.
public struct ISCSIServerConfiguration: Sendable {
    public var portals: [PortalSettings]
    /// Event loops, each a thread.
    public var loopCount: Int
    /// How loops wait.
    public var polling = PollingSettings()
    /// Where loops run and have their memory.
    public var placement = PlacementSettings()
    /// Free buffers of one size that each loop keeps.
    public var keptBufferCount = 1024

    /// Commands of one session that may be under way: the command window.
    public var commandWindowDepth: UInt32 = 128
    /// What `sessionConnectionLimit` may be: tasks of a session are sought on each of its connections.
    public static let sessionConnectionLimits = 1...8
    public static let errorRecoveryLevels = 0...2

    /// Connections of one session (RFC 7143 13.2, MaxConnections).
    public var sessionConnectionLimit = 8
    /// The highest error recovery level that is offered (RFC 7143 13.20).
    public var errorRecoveryLevel = 2
    /// Bytes of data buffers of one session; a command that would need more waits for others to end.
    public var sessionBufferByteCount = 64 << 20
    /// Connections of the whole server, logged in or not; more are closed at once.
    public var connectionLimit = 4096
    /// Connections of one peer address (an IPv6 network of 64 bits is one); more are closed at once.
    public var addressConnectionLimit = 2048
    /// Connections of the whole server that have not logged in; more have the oldest of the address with most of them
    /// closed.
    public var halfOpenLimit = 1024
    /// The same of one peer address; more have its oldest closed.
    public var addressHalfOpenLimit = 512
    /// Sessions of one target; more are refused with login status 0302h.
    public var targetSessionLimit = 2048
    /// Bytes of finished responses that a connection may owe its peer before it stops taking requests.
    public var highWaterByteCount = 16 << 20
    /// Bytes of owed responses below which it takes requests again.
    public var lowWaterByteCount = 4 << 20
    /// When responses leave.
    public var coalescing = CoalescingPolicy.turn
    public var loginTimeoutMilliseconds: UInt64 = 15_000
    /// Silence of a logged-in peer after which the server sends a NOP-In. 0 never asks.
    public var keepaliveMilliseconds: UInt64 = 30_000
    /// Silence after that NOP-In after which the connection is dropped.
    public var keepaliveAnswerMilliseconds: UInt64 = 30_000
    /// How long initiators have to log out once the server is to stop; 0 does not ask them.
    public var logoutWaitMilliseconds: UInt64 = 1_000
    /// How long `stop` waits for commands under way.
    public var stopTimeoutMilliseconds: UInt64 = 5_000
    /// How long task management waits for the commands that it concerns, before it is answered with Function rejected:
    /// until they have ended in their handler no other answer would be true. 0: as long as it takes.
    public var taskManagementTimeoutMilliseconds: UInt64 = 30_000
    /// Of so many commands one is timed, on average: a power of two; 0: none.
    public var sampleInterval = 64
    /// Called in a loop's thread when many samples wait for `ISCSIServer.drainSamples`. Must not wait.
    public var whenSamplesWait: @Sendable () -> Void = {}

    /// How the loops ask the kernel.
    public var poller = PollerChoice.auto

    public init(portals: [PortalSettings], loopCount: Int) {
        self.portals = portals
        self.loopCount = loopCount
    }

    public init(portals: [PortalAddress], loopCount: Int) {
        self.init(portals: portals.map { PortalSettings(listen: $0) }, loopCount: loopCount)
    }
}

/// Why a server could not start.
public struct ServerError: Error, CustomStringConvertible, Sendable {
    public let description: String

    public init(_ description: String) { self.description = description }
}
