// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// What the connections of a session share of CmdSN order (RFC 7143 4.2.2.1): the command window, requests ahead of
/// their turn, and what waits for the numbers before it. A discovery session has one of its own.
///
/// Belongs to the session's loop. Its connections reach the contents by an address: nothing is counted per command.
@safe final class CommandOrder {
    struct Contents {
        var window: CommandWindow
        var held = HeldRequests()
        var waits: [Wait] = []
    }

    /// Task management that concerns commands which may still be on their way on other connections.
    struct Wait {
        /// Who waits, so that the wait can be withdrawn.
        let owner: ManagementWait
        /// All requests before this number must have come.
        let cmdSN: UInt32
        let action: () -> Void
    }

    /// Lives as long as this object.
    let contents: UnsafeMutablePointer<Contents>

    init(initialCmdSN: UInt32, depth: UInt32) {
        unsafe contents = .allocate(capacity: 1)
        unsafe contents.initialize(to: Contents(window: CommandWindow(initialCmdSN: initialCmdSN, depth: depth)))
    }

    deinit {
        unsafe contents.deinitialize(count: 1)
        unsafe contents.deallocate()
    }

    /// Requests of task management that may wait for others at a time.
    static let waitLimit = 16

    /// Runs `action` when all requests before `cmdSN` have come, at once if that is so, or if no request of the window can
    /// be meant. False when too many wait already.
    func whenReceived(upTo cmdSN: UInt32, _ owner: ManagementWait, _ action: @escaping () -> Void) -> Bool {
        let window = unsafe contents.pointee.window
        guard SerialNumber.precedes(window.expCmdSN, cmdSN),
            SerialNumber.contains(first: window.expCmdSN, last: window.maxCmdSN &+ 1, cmdSN)
        else {
            action()
            return true
        }
        guard unsafe contents.pointee.waits.count < Self.waitLimit else { return false }
        unsafe contents.pointee.waits.append(Wait(owner: owner, cmdSN: cmdSN, action: action))
        return true
    }

    func withdraw(_ owner: ManagementWait) {
        unsafe contents.pointee.waits.removeAll { $0.owner === owner }
    }

    /// ExpCmdSN has advanced.
    func endWaits() {
        let expCmdSN = unsafe contents.pointee.window.expCmdSN
        while let index = unsafe contents.pointee.waits.firstIndex(where: {
            !SerialNumber.precedes(expCmdSN, $0.cmdSN)
        }) {
            unsafe contents.pointee.waits.remove(at: index).action()
        }
    }

    /// The session ends: nobody waits any more.
    func forgetWaits() { unsafe contents.pointee.waits = [] }
}

extension ISCSIConnection {
    var window: CommandWindow {
        get { unsafe orderContents.pointee.window }
        _modify { yield unsafe &orderContents.pointee.window }
    }

    /// Requests ahead of their turn, of all connections of the session.
    var held: HeldRequests {
        get { unsafe orderContents.pointee.held }
        _modify { yield unsafe &orderContents.pointee.held }
    }

    var hasOrderWaits: Bool { unsafe !orderContents.pointee.waits.isEmpty }
}
