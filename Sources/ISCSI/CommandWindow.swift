// SPDX-License-Identifier: Apache-2.0

/// The command window of a session (RFC 7143 4.2.2.1): which CmdSN is next, and how far ahead the initiator may go.
public struct CommandWindow: Equatable, Sendable {
    /// The widest window that serial number arithmetic allows.
    public static let maximumDepth: UInt32 = 0x7FFF_FFFF

    public enum Verdict: Sendable {
        /// It is its turn. ExpCmdSN has been advanced, unless it is immediate.
        case deliver
        /// Inside the window, ahead of ExpCmdSN: waits for those before it.
        case hold
        /// Outside the window, or seen before: forgotten without an answer.
        case ignore
    }

    public private(set) var expCmdSN: UInt32
    /// Commands started and not ended: each keeps its place in the window.
    public private(set) var commandsUnderWay: UInt32 = 0

    private let depth: UInt32
    /// The largest MaxCmdSN that the initiator may have seen.
    private var widest: UInt32

    /// `depth` commands may be under way; 0 counts as 1, and more than `maximumDepth` as that.
    public init(initialCmdSN: UInt32, depth: UInt32) {
        self.depth = min(max(depth, 1), Self.maximumDepth)
        expCmdSN = initialCmdSN
        widest = initialCmdSN &+ (self.depth - 1)
    }

    /// Never decreases, since the initiator may act on the largest value that it has seen.
    public var maxCmdSN: UInt32 {
        // Immediate commands may be under way beyond the depth.
        let free = depth - min(depth, commandsUnderWay)
        let candidate = expCmdSN &+ free &- 1
        return SerialNumber.precedes(widest, candidate) ? candidate : widest
    }

    /// A request with this CmdSN has come.
    public mutating func receive(cmdSN: UInt32, isImmediate: Bool) -> Verdict {
        // What may have been told before this request becomes a command and takes a place.
        widest = maxCmdSN
        // An immediate request takes no number, and may carry one from outside the window.
        if isImmediate { return .deliver }
        guard SerialNumber.contains(first: expCmdSN, last: widest, cmdSN) else { return .ignore }
        guard cmdSN == expCmdSN else { return .hold }
        expCmdSN &+= 1
        return .deliver
    }

    /// The request just delivered is a command that stays under way. To be called before MaxCmdSN is told to the
    /// initiator again.
    public mutating func commandStarted() {
        commandsUnderWay += 1
    }

    /// A command that was started has ended: its place is free. To be called once for each start.
    public mutating func commandEnded() {
        precondition(commandsUnderWay > 0, "a command ended that had not started")
        commandsUnderWay -= 1
    }
}
