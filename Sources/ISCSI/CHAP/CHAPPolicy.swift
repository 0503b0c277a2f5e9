// SPDX-License-Identifier: Apache-2.0

/// Who may log in by CHAP and how: what stands in a configuration, checked. An authenticator is made of it for each
/// login.
public struct CHAPPolicy: Sendable {
    /// Why there can be no such policy.
    public enum Defect: Error, Equatable, Sendable {
        case noUsers
        case noAlgorithms
        case duplicateUser(String)
        /// The secret by which the target proves itself is also this user's: each could pass for the other
        /// (RFC 7143 9.2.1).
        case sharedWithTarget(user: String)
    }

    /// Secrets by name. RFC 7143 speaks of one; several initiators may each have their own.
    let users: [String: CHAPSecret]
    /// By which the target proves itself to initiators that ask for it: mutual CHAP.
    let target: CHAPCredential?
    public let algorithms: Set<CHAPAlgorithm>
    let cryptography: CHAPCryptography

    public init(
        users: [CHAPCredential], target: CHAPCredential? = nil, algorithms: Set<CHAPAlgorithm>,
        cryptography: CHAPCryptography
    ) throws(Defect) {
        guard !users.isEmpty else { throw .noUsers }
        guard !algorithms.isEmpty else { throw .noAlgorithms }
        var secrets: [String: CHAPSecret] = [:]
        for user in users {
            guard secrets.updateValue(user.secret, forKey: user.name) == nil else { throw .duplicateUser(user.name) }
            if user.secret == target?.secret { throw .sharedWithTarget(user: user.name) }
        }
        self.users = secrets
        self.target = target
        self.algorithms = algorithms
        self.cryptography = cryptography
    }

    /// For one login.
    public func makeAuthenticator() -> any Authenticator { CHAPAuthenticator(self) }

    /// Whether the target can prove itself.
    public var isMutual: Bool { target != nil }
}

/// Two policies are the same when the same initiators get in by them; the library is the process's own.
extension CHAPPolicy: Equatable {
    public static func == (left: CHAPPolicy, right: CHAPPolicy) -> Bool {
        left.users == right.users && left.target == right.target && left.algorithms == right.algorithms
    }
}
