// SPDX-License-Identifier: Apache-2.0

/// What the target does about a PDU that breaks the rules.
public enum PDUError: Error, Equatable, Sendable {
    /// Answers with a Reject PDU and goes on.
    case reject(RejectReason)
    /// Ends the connection: what follows in the byte stream cannot be trusted (RFC 7143 7.7 and 7.13).
    case dropConnection(DropReason)
}

/// Reasons of a Reject PDU (RFC 7143 11.17.1).
public enum RejectReason: UInt8, Sendable, CaseIterable {
    case dataDigestError = 0x02
    case snackReject = 0x03
    case protocolError = 0x04
    case commandNotSupported = 0x05
    /// Too many immediate commands.
    case immediateCommandReject = 0x06
    case taskInProgress = 0x07
    case invalidDataACK = 0x08
    case invalidPDUField = 0x09
    /// No Target Transfer Tag can be made: out of resources.
    case longOperationReject = 0x0A
    case waitingForLogout = 0x0C
}

/// Why a connection is dropped.
public enum DropReason: Sendable, Hashable, CaseIterable {
    /// A header of fewer than 48 bytes was given.
    case truncatedHeader
    case headerDigestError
    /// Longer than the MaxRecvDataSegmentLength that we declared.
    case dataSegmentTooLong
    /// A PDU other than a Login Request before the login was complete (RFC 7143 6.3).
    case notALoginRequest
    /// Data-Out at an offset, or from an initiator task, where it cannot belong (RFC 7143 11.7).
    case dataOutOfOrder
    /// More requests than the command window ever allowed.
    case tooManyTasks
    /// More requests ahead of a missing CmdSN than are kept.
    case tooMuchHeld
}
