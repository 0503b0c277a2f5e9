// SPDX-License-Identifier: Apache-2.0

/// Status-Class in the high byte, Status-Detail in the low one (RFC 7143 11.13.5).
public enum LoginStatus: UInt16, Error, Sendable, CaseIterable {
    case success = 0x0000

    // Redirection: the text holds TargetAddress.
    case targetMovedTemporarily = 0x0101
    case targetMovedPermanently = 0x0102

    // The initiator's fault.
    case initiatorError = 0x0200
    case authenticationFailure = 0x0201
    case authorizationFailure = 0x0202
    case notFound = 0x0203
    case targetRemoved = 0x0204
    case unsupportedVersion = 0x0205
    case tooManyConnections = 0x0206
    case missingParameter = 0x0207
    case cannotIncludeInSession = 0x0208
    case sessionTypeNotSupported = 0x0209
    case sessionDoesNotExist = 0x020A
    case invalidDuringLogin = 0x020B

    // The target's.
    case targetError = 0x0300
    case serviceUnavailable = 0x0301
    case outOfResources = 0x0302
}
