// SPDX-License-Identifier: Apache-2.0

public import ISCSI

/// Makes policies of `auth` sections: reads their secrets, now, and holds all sections of a configuration against one
/// another.
public struct PolicyLoader {
    /// What the operator should know and may leave as it is: whole sentences.
    public private(set) var warnings: [String] = []

    /// A secret and who has it.
    private struct Holder {
        let credential: CHAPCredential
        let place: String
    }

    private let cryptography: CHAPCryptography
    private let objection: (CHAPAlgorithm) -> String?
    private var users: [Holder] = []
    private var targets: [Holder] = []
    private var objections: [CHAPAlgorithm: String] = [:]

    /// - Parameter objection: why the library cannot compute an algorithm's digests; nil: it can.
    public init(
        cryptography: CHAPCryptography = CryptoLibrary.chap,
        objection: @escaping (CHAPAlgorithm) -> String? = { CryptoLibrary.objection(to: $0) }
    ) {
        self.cryptography = cryptography
        self.objection = objection
    }

    /// The policy of one section; nil where it asks for no authentication.
    public mutating func policy(_ settings: AuthenticationSettings) throws(Failure) -> CHAPPolicy? {
        guard settings.asksForAuthentication else { return nil }
        let algorithms = try algorithms(settings)
        var credentials: [CHAPCredential] = []
        for user in settings.users {
            let holder = try Self.read(user)
            try checkUser(holder)
            credentials.append(holder.credential)
        }
        var target: CHAPCredential?
        if let mutual = settings.mutual {
            let holder = try Self.read(mutual)
            try checkTarget(holder)
            target = holder.credential
        }
        do throws(CHAPPolicy.Defect) {
            return try CHAPPolicy(
                users: credentials, target: target, algorithms: algorithms, cryptography: cryptography)
        } catch {
            throw .usage("\(settings.place): \(Self.words(error))")
        }
    }

    private static func read(_ credential: AuthenticationSettings.Credential) throws(Failure) -> Holder {
        let secret = try credential.secret.read()
        guard let loaded = CHAPCredential(name: credential.user, secret: secret) else {
            throw .usage("\(credential.secret.place): user must have 1 to \(CHAPCredential.nameByteLimit) bytes")
        }
        return Holder(credential: loaded, place: credential.secret.place)
    }

    // MARK: Secrets against one another

    /// RFC 7143 9.2.1: what one side proves itself by must prove nothing for the other.
    private mutating func checkUser(_ user: Holder) throws(Failure) {
        if let target = targets.first(where: { $0.credential.secret == user.credential.secret }) {
            throw Self.shared(at: user.place, target: target, user: user)
        }
        // RFC 7143 9.2.1: each of two with one secret can pass for the other.
        let same = users.first {
            $0.credential.secret == user.credential.secret && $0.credential.name != user.credential.name
        }
        if let same {
            warnings.append(
                "\(user.place): the users \"\(user.credential.name)\" and \"\(same.credential.name)\" (\(same.place)) "
                    + "have the same secret, so each can pass for the other: give each its own")
        }
        users.append(user)
    }

    private mutating func checkTarget(_ target: Holder) throws(Failure) {
        if let user = users.first(where: { $0.credential.secret == target.credential.secret }) {
            throw Self.shared(at: target.place, target: target, user: user)
        }
        targets.append(target)
    }

    private static func shared(at place: String, target: Holder, user: Holder) -> Failure {
        .usage(
            "\(place): the mutual secret of \"\(target.credential.name)\" (\(target.place)) is also that of the user "
                + "\"\(user.credential.name)\" (\(user.place)), so each could pass for the other (RFC 7143 9.2.1): "
                + "give the target a secret of its own")
    }

    private static func words(_ defect: CHAPPolicy.Defect) -> String {
        switch defect {
        case .noUsers: "auth names no user, so nobody could log in"
        case .noAlgorithms: "auth allows no hash algorithm, so nobody could log in"
        case .duplicateUser(let name): "the user \"\(name)\" stands here twice: leave one of them out"
        case .sharedWithTarget(let user): "the mutual secret is also that of the user \"\(user)\""
        }
    }

    // MARK: Algorithms

    private mutating func algorithms(_ settings: AuthenticationSettings) throws(Failure) -> Set<CHAPAlgorithm> {
        let wanted = CHAPAlgorithm.allCases.filter { $0 >= settings.minimumAlgorithm ?? .md5 }
        var usable: Set<CHAPAlgorithm> = []
        for algorithm in wanted {
            guard let reason = reason(against: algorithm) else {
                usable.insert(algorithm)
                continue
            }
            guard algorithm != settings.minimumAlgorithm else {
                throw .usage(
                    "\(settings.place): min-algorithm \(algorithm.name) cannot be had, as this machine's OpenSSL cannot "
                        + "compute it (\(reason)): choose another, or change OpenSSL's configuration")
            }
        }
        guard !usable.isEmpty else {
            throw .usage("\(settings.place): this machine's OpenSSL can compute none of CHAP's hash algorithms")
        }
        guard cryptography.randomBytes(1) != nil else {
            throw .usage(
                "\(settings.place): this machine's OpenSSL has no random bytes, without which there is no CHAP")
        }
        return usable
    }

    /// Asks the library once, and warns once.
    private mutating func reason(against algorithm: CHAPAlgorithm) -> String? {
        if let known = objections[algorithm] { return known.isEmpty ? nil : known }
        let reason = objection(algorithm)
        objections[algorithm] = reason ?? ""
        if let reason {
            warnings.append(
                "CHAP with \(algorithm.name) is not offered, as this machine's OpenSSL cannot compute it (\(reason))")
        }
        return reason
    }
}
