// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// The sequence numbers of a session with one connection, as the initiator keeps them (RFC 7143 4.2.2).
package struct InitiatorNumbers: Equatable, Sendable {
    /// Of the next command.
    package var cmdSN: UInt32
    private var maxCmdSN: UInt32
    /// StatSN of the next response.
    package private(set) var expStatSN: UInt32 = 0

    package init(cmdSN: UInt32) {
        self.cmdSN = cmdSN
        maxCmdSN = cmdSN
    }

    /// Whether the target takes another command.
    package var isWindowOpen: Bool { !SerialNumber.precedes(maxCmdSN, cmdSN) }

    /// A login response: there is no StatSN to expect before the first.
    mutating func beginStatus(after numbers: SequenceNumbers) {
        expStatSN = numbers.statSN &+ 1
        maxCmdSN = numbers.maxCmdSN
    }

    /// ExpCmdSN and MaxCmdSN of any PDU. An older PDU may be overtaken by a newer one: the window never shrinks.
    @inline(__always)
    mutating func takeWindow(expCmdSN: UInt32, maxCmdSN: UInt32) {
        // Both are to be ignored (RFC 7143 4.2.2.1).
        guard !SerialNumber.precedes(maxCmdSN, expCmdSN &- 1) else { return }
        if SerialNumber.precedes(self.maxCmdSN, maxCmdSN) { self.maxCmdSN = maxCmdSN }
    }

    /// The StatSN of a PDU that carries one of its own.
    @inline(__always)
    mutating func takeStatus(_ statSN: UInt32) throws(LoadFailure) {
        guard statSN == expStatSN else { throw Self.gap(statSN, expStatSN) }
        expStatSN &+= 1
    }

    @inline(never)
    private static func gap(_ found: UInt32, _ due: UInt32) -> LoadFailure {
        .runTime("the target sent StatSN \(found) where \(due) was due: a response is lost")
    }
}
