// SPDX-License-Identifier: Apache-2.0

public import ISCSI

/// By what initiators must prove who they are.
public struct AuthenticationDemand: Sendable, Equatable {
    /// Nil: nothing is asked for.
    public var policy: CHAPPolicy?
    /// For people, without any secret: "CHAP as alice".
    public var summary: String

    public init(policy: CHAPPolicy?, summary: String) {
        self.policy = policy
        self.summary = summary
    }

    public static let none = AuthenticationDemand(policy: nil, summary: "none")
}
