// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import ISCSI

/// A connection whose login is good and whose session lives on another loop: it is taken apart there where it was
/// accepted, and put together again there. An initiator sends nothing between its last Login Request and the answer.
final class LoginHandover: @unchecked Sendable {
    // Used by one loop after the other: the mailbox between them orders that.
    private var descriptor: CInt
    let machine: LoginStateMachine
    let connectionMachine: ConnectionStateMachine
    let outcome: LoginOutcome
    /// What had been received behind the last Login Request.
    let input: [UInt8]
    /// In the ledger of connections.
    let ticket: UInt64
    let portal: PortalIndex
    /// The rules that the login asked.
    let targetDirectory: TargetDirectory?

    init(
        descriptor: CInt, machine: LoginStateMachine, connectionMachine: ConnectionStateMachine,
        outcome: LoginOutcome, input: [UInt8], ticket: UInt64, portal: PortalIndex,
        targetDirectory: TargetDirectory?
    ) {
        self.descriptor = descriptor
        self.machine = machine
        self.connectionMachine = connectionMachine
        self.outcome = outcome
        self.input = input
        self.ticket = ticket
        self.portal = portal
        self.targetDirectory = targetDirectory
    }

    /// Once: the socket belongs to the caller.
    func takeSocket() -> Socket {
        defer { descriptor = -1 }
        return Socket(adopting: descriptor)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
