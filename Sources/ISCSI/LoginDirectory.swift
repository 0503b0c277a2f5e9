// SPDX-License-Identifier: Apache-2.0

/// What a login asks about targets and access. The transport answers from its configuration.
public protocol LoginDirectory {
    func lookUp(targetName: String) -> TargetLookup

    /// Whether this initiator may use the target; `targetName` is nil for discovery.
    func authorizes(initiatorName: String, targetName: String?) -> Bool

    /// Who authenticates this initiator; nil when no authentication is asked for. `targetName` is nil for discovery.
    func authenticator(initiatorName: String, targetName: String?) -> (any Authenticator)?
}

extension LoginDirectory {
    public func authorizes(initiatorName: String, targetName: String?) -> Bool { true }

    public func authenticator(initiatorName: String, targetName: String?) -> (any Authenticator)? { nil }
}

public enum TargetLookup: Equatable, Sendable {
    /// `alias` is for people to read.
    case found(alias: String?)
    case notFound
    case removed
    /// `addresses` as TargetAddress writes them: "host[:port][,portal-group-tag]".
    case movedTemporarily(addresses: [String])
    case movedPermanently(addresses: [String])
}

/// One authentication method, from the choice of AuthMethod until the initiator is known (RFC 7143 12.1).
public protocol Authenticator {
    /// As AuthMethod names it: "CHAP".
    var method: String { get }

    /// `text` holds the method's keys of one request.
    mutating func receive(_ text: TextParameters) -> AuthenticationStep
}

public enum AuthenticationStep: Equatable, Sendable {
    /// Goes on: these keys are the answer.
    case respond(TextParameters)
    /// The initiator is who it says; these keys are the answer.
    case succeed(TextParameters)
    case fail
}

/// What a login has led to.
public struct LoginOutcome: Equatable, Sendable {
    public enum SessionType: String, Sendable {
        case normal = "Normal"
        case discovery = "Discovery"
    }

    public var initiatorName: String
    public var initiatorAlias: String?
    public var isid: InitiatorSessionIdentifier
    /// 0 asks for a new session; otherwise the session of this identifier is meant.
    public var tsih: UInt16
    public var cid: UInt16
    public var sessionType: SessionType
    /// Nil for discovery.
    public var targetName: String?
    /// What was negotiated. In a login that names a TSIH only the connection's own values were: those of the session
    /// stand as the session had them.
    public var parameters: NegotiatedParameters
    /// The first CmdSN of the full feature phase: login requests are immediate and take none.
    public var cmdSN: UInt32
    /// The StatSN after that of the last Login Response.
    public var nextStatSN: UInt32
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
