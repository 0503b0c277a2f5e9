// SPDX-License-Identifier: Apache-2.0

/// Where the time of a command goes, in the order in which it passes through the server. The stages of a command follow
/// each other without gaps: their sum is its whole time.
public enum LatencyStage: Int, CaseIterable, Sendable {
    /// From the beginning of the turn that received it until its PDU was taken: others of the same batch came first.
    case batch
    /// Waits for data from the initiator, or for memory to put them into.
    case data
    /// With the core: checks, waits for other commands, the steps between requests to the device, the response.
    case core
    /// With the device, from the submission of a request to its completion.
    case handler
    /// From a completion in another thread until the loop has taken it up.
    case handBack
    /// The response waits in the coalescer to be sent with others.
    case coalescing
    /// From the first attempt to send the response until the kernel has its last byte.
    case sending

    public static let count = 7
}

/// The time of one sampled command.
public struct LatencySample: Sendable {
    /// Numbers all sessions of a server, in the order of their logins.
    public var session: UInt64 = 0
    /// Numbers the logical units of a server (`ISCSIServer.unitNames`).
    public var unit = Self.noUnit
    /// A number behind which there is no logical unit of ours.
    public static let noUnit = UInt32.max
    /// Nanoseconds, by stage.
    @usableFromInline var nanoseconds = InlineArray<7, UInt64>(repeating: 0)

    public init() {}

    @inlinable public subscript(stage: LatencyStage) -> UInt64 {
        get { nanoseconds[stage.rawValue] }
        set { nanoseconds[stage.rawValue] = newValue }
    }

    /// By the stage's position.
    @inlinable public func nanoseconds(at index: Int) -> UInt64 { nanoseconds[index] }

    /// Nanoseconds from the beginning of the turn that received the command until its response was sent.
    @inlinable public var totalNanoseconds: UInt64 {
        var sum: UInt64 = 0
        for stage in nanoseconds.indices { sum &+= nanoseconds[stage] }
        return sum
    }
}
