// SPDX-License-Identifier: Apache-2.0

public import ISCSI

/// How initiators must prove who they are.
public struct AuthenticationDemand: Sendable, Equatable {
    /// For people, without any secret: "CHAP as alice".
    public var summary: String
    /// Differs where what is demanded differs, also where a secret does. Means nothing outside this process.
    public var fingerprint: Int
    /// For one login of `visitor`; nil: nothing is asked for.
    public var makeAuthenticator: @Sendable (_ visitor: Visitor) -> (any Authenticator)?

    public init(
        summary: String, fingerprint: Int = 0,
        makeAuthenticator: @escaping @Sendable (_ visitor: Visitor) -> (any Authenticator)?
    ) {
        self.summary = summary
        self.fingerprint = fingerprint
        self.makeAuthenticator = makeAuthenticator
    }

    public static func == (left: AuthenticationDemand, right: AuthenticationDemand) -> Bool {
        left.summary == right.summary && left.fingerprint == right.fingerprint
    }

    public static let none = AuthenticationDemand(summary: "none") { _ in nil }
}
