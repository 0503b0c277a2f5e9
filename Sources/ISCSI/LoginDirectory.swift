// SPDX-License-Identifier: Apache-2.0

/// What a login asks about targets and access. The transport answers from its configuration.
public protocol LoginDirectory {
    func lookUp(_ targetName: String) -> TargetLookup

    /// TargetAlias: a name of the target for people to read.
    func alias(of targetName: String) -> String?

    /// Whether this initiator may use the target; `targetName` is nil for discovery.
    func authorizes(initiatorName: String, targetName: String?) -> Bool

    /// Who authenticates this initiator; nil when no authentication is asked for. `targetName` is nil for discovery.
    func authenticator(initiatorName: String, targetName: String?) -> (any Authenticator)?
}

extension LoginDirectory {
    public func alias(of targetName: String) -> String? { nil }

    public func authorizes(initiatorName: String, targetName: String?) -> Bool { true }

    public func authenticator(initiatorName: String, targetName: String?) -> (any Authenticator)? { nil }
}

public enum TargetLookup: Equatable, Sendable {
    case found
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

    /// As whom the initiator was authenticated; nil until then.
    var authenticatedName: String? { get }

    /// `text` holds the method's keys of one request.
    mutating func receive(_ text: TextParameters) -> AuthenticationStep
}

extension Authenticator {
    public var authenticatedName: String? { nil }
}

public enum AuthenticationStep: Equatable, Sendable {
    /// Goes on: these keys are the answer.
    case respond(TextParameters)
    /// The initiator is who it says; these keys are the answer.
    case succeed(TextParameters)
    case fail(AuthenticationFault)
}
