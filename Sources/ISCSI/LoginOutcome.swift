// SPDX-License-Identifier: Apache-2.0

/// What a login has led to.
public struct LoginOutcome: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        case normal(targetName: String)
        case discovery
    }

    public var initiatorName: String
    public var initiatorAlias: String?
    /// The name by which the initiator was authenticated; nil when none was asked for.
    public var authenticatedName: String?
    public var isid: InitiatorSessionIdentifier
    /// 0 asks for a new session; otherwise the session of this identifier is meant.
    public var tsih: UInt16
    public var cid: UInt16
    public var kind: Kind
    /// What was negotiated. In a login that names a TSIH only the connection's own values were: those of the session
    /// stand as the session had them.
    public var parameters: NegotiatedParameters
    /// The first CmdSN of the full feature phase: login requests are immediate and take none.
    public var cmdSN: UInt32
}

/// What to do after a Login Request.
public enum LoginStep: Equatable, Sendable {
    /// Send it; the login goes on.
    case respond(LoginResponsePDU, text: [UInt8])
    /// Send it, then close the connection.
    case refuse(LoginResponsePDU, text: [UInt8])
    /// Everything is agreed: make the session, then ask the machine for the last response.
    case establish(LoginOutcome)
}
