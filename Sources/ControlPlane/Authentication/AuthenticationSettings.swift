// SPDX-License-Identifier: Apache-2.0

public import ISCSI

/// An `auth` section: of a target, of an initiator, or of discovery (`discovery-auth`).
///
///     auth:
///       method: chap                   # or none
///       user: alice                    # or users: a list of {user, secret-file}
///       secret-file: /etc/martlet/alice.secret    # or secret-env: NAME
///       mutual: {user: disk, secret-file: /etc/martlet/disk.secret}
///       min-algorithm: sha256          # md5, sha1, sha256 or sha3-256
public struct AuthenticationSettings: Sendable {
    public struct Credential: Equatable, Sendable {
        public var user: String
        public var secret: SecretSource

        public init(user: String, secret: SecretSource) {
            self.user = user
            self.secret = secret
        }
    }

    /// Who may log in; none with `method: none`, which asks for no authentication.
    public var users: [Credential]
    /// By which the target proves itself to initiators that ask for it.
    public var mutual: Credential?
    /// `min-algorithm`; nil: not said, which allows all.
    public var minimumAlgorithm: CHAPAlgorithm?
    /// Where the section begins: "/etc/martlet.yaml:9".
    public let place: String

    public init(
        users: [Credential], mutual: Credential? = nil, minimumAlgorithm: CHAPAlgorithm? = nil, place: String
    ) {
        self.users = users
        self.mutual = mutual
        self.minimumAlgorithm = minimumAlgorithm
        self.place = place
    }

    /// False with `method: none`.
    public var asksForAuthentication: Bool { !users.isEmpty }

    /// Users of one section: more would be a database, which a file is not.
    public static let userLimit = 1024
}

/// Two sections are the same when they say the same, wherever they stand in the file.
extension AuthenticationSettings: Equatable {
    public static func == (left: AuthenticationSettings, right: AuthenticationSettings) -> Bool {
        left.users == right.users && left.mutual == right.mutual && left.minimumAlgorithm == right.minimumAlgorithm
    }
}

// MARK: Reading

extension AuthenticationSettings {
    private static let secretKeys = ["secret-file", "secret-env"]
    private static let userKeys = ["user"] + secretKeys
    private static let keys = ["method"] + userKeys + ["users", "mutual", "min-algorithm"]

    static func read(_ value: YAMLValue) throws(Failure) -> AuthenticationSettings {
        let keys = try value.entries(known: keys)
        guard let method = keys["method"] else {
            throw value.failure("\(value.path) needs a method: write method: chap, or method: none")
        }
        switch try method.text() {
        case "none":
            if let other = Self.keys.dropFirst().first(where: { keys[$0] != nil }) {
                throw value.failure(
                    "\(value.path) has method: none and \(other): leave out the one or the other")
            }
            return AuthenticationSettings(users: [], place: value.place)
        case "chap":
            return AuthenticationSettings(
                users: try readUsers(keys, value), mutual: try keys["mutual"].map(readCredential),
                minimumAlgorithm: try keys["min-algorithm"].map(readAlgorithm), place: value.place)
        case let other:
            throw method.failure("method cannot be \"\(other)\": write chap, or none")
        }
    }

    private static func readUsers(
        _ keys: [String: YAMLValue], _ value: YAMLValue
    ) throws(Failure) -> [Credential] {
        guard let list = keys["users"] else { return [try readCredential(keys, value)] }
        if let single = userKeys.first(where: { keys[$0] != nil }) {
            throw value.failure("\(value.path) has \(single) and users: put it into the list, or leave the list out")
        }
        let entries = try list.list()
        guard !entries.isEmpty else {
            throw list.failure("users is empty, so nobody could log in: name one, or write method: none")
        }
        guard entries.count <= userLimit else { throw list.failure("users has more than \(userLimit) entries") }
        var users: [Credential] = []
        var names: Set<String> = []
        for entry in entries {
            let user = try readCredential(entry)
            guard names.insert(user.user).inserted else {
                throw entry.failure("the user \"\(user.user)\" stands here twice: leave one of them out")
            }
            users.append(user)
        }
        return users
    }

    private static func readCredential(_ value: YAMLValue) throws(Failure) -> Credential {
        try readCredential(try value.entries(known: userKeys), value)
    }

    private static func readCredential(
        _ keys: [String: YAMLValue], _ value: YAMLValue
    ) throws(Failure) -> Credential {
        guard let user = keys["user"] else { throw value.failure("\(value.path) needs a user") }
        let name = try user.text()
        guard name.utf8.count <= CHAPCredential.nameByteLimit else {
            throw user.failure("user has more than \(CHAPCredential.nameByteLimit) bytes: shorten it")
        }
        guard !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw user.failure("user holds a control character: take it out")
        }
        switch (keys["secret-file"], keys["secret-env"]) {
        case (let file?, nil):
            return Credential(user: name, secret: SecretSource(.file(try file.text()), place: file.place))
        case (nil, let variable?):
            return Credential(
                user: name, secret: SecretSource(.environment(try variable.text()), place: variable.place))
        case (_?, let variable?):
            throw variable.failure("secret-file and secret-env name two secrets: leave one of them out")
        case (nil, nil):
            throw value.failure(
                "\(value.path) needs the user's secret: write secret-file: PATH, or secret-env: VARIABLE")
        }
    }

    private static func readAlgorithm(_ value: YAMLValue) throws(Failure) -> CHAPAlgorithm {
        let text = try value.text()
        guard let algorithm = CHAPAlgorithm.allCases.first(where: { $0.name == text }) else {
            throw value.failure("min-algorithm cannot be \"\(text)\": write md5, sha1, sha256 or sha3-256")
        }
        return algorithm
    }
}
