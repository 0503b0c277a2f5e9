// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import ISCSI
import Testing

@Suite("auth sections of the configuration")
struct AuthenticationSettingsTests {
    private static let devices = "devices: {d: {backstore: ram/1M}}\n"

    /// `auth` of the one target: it begins in line 5.
    private static func parse(_ auth: String, _ more: String = "") throws -> Configuration {
        try ConfigurationFile.parse(
            devices + "targets:\n  iqn.2026-11.org.example:a:\n    luns: {0: d}\n    auth: \(auth)\n" + more,
            file: "m.yaml")
    }

    private static func file(_ user: String, _ path: String) -> AuthenticationSettings.Credential {
        .init(user: user, secret: SecretSource(.file(path), place: ""))
    }

    private static func variable(_ user: String, _ name: String) -> AuthenticationSettings.Credential {
        .init(user: user, secret: SecretSource(.environment(name), place: ""))
    }

    static let sections: [(String, AuthenticationSettings)] = [
        ("{method: none}", .init(users: [], place: "")),
        (
            "{method: chap, user: alice, secret-file: /etc/martlet/alice.secret}",
            .init(users: [file("alice", "/etc/martlet/alice.secret")], place: "")
        ),
        ("{method: chap, user: alice, secret-env: ALICE}", .init(users: [variable("alice", "ALICE")], place: "")),
        (
            "{method: chap, user: alice, secret-file: /a, mutual: {user: disk, secret-file: /d}}",
            .init(users: [file("alice", "/a")], mutual: file("disk", "/d"), place: "")
        ),
        (
            "{method: chap, user: alice, secret-file: /a, mutual: {user: disk, secret-env: D}, min-algorithm: sha256}",
            .init(users: [file("alice", "/a")], mutual: variable("disk", "D"), minimumAlgorithm: .sha256, place: "")
        ),
        (
            "{method: chap, users: [{user: alice, secret-file: /a}, {user: bob, secret-env: B}], min-algorithm: sha3-256}",
            .init(
                users: [file("alice", "/a"), variable("bob", "B")], minimumAlgorithm: .sha3With256Bits, place: "")
        ),
        (
            "{method: chap, user: alice, secret-file: /a, min-algorithm: md5}",
            .init(users: [file("alice", "/a")], minimumAlgorithm: .md5, place: "")
        ),
        (
            "{method: chap, user: \"iqn.1993-08.org.debian:01:é\", secret-file: /a, min-algorithm: sha1}",
            .init(users: [file("iqn.1993-08.org.debian:01:é", "/a")], minimumAlgorithm: .sha1, place: "")
        ),
    ]

    @Test("Every key is understood, in a target and for discovery", arguments: sections.indices)
    func everyKey(index: Int) throws {
        let (text, expected) = Self.sections[index]
        let configuration = try Self.parse(text, "discovery-auth: \(text)\n")
        #expect(configuration.targets.first?.auth == expected)
        #expect(configuration.targets.first?.auth?.place == "m.yaml:5")
        #expect(configuration.targets.first?.auth?.users.first.map(\.secret.place) ?? "m.yaml:5" == "m.yaml:5")
        #expect(configuration.discoveryAuth == expected)
        #expect(configuration.discoveryAuth?.place == "m.yaml:6")
        #expect(expected.asksForAuthentication != expected.users.isEmpty)
    }

    @Test("Nothing is asked where nothing is said")
    func absent() throws {
        let configuration = try ConfigurationFile.parse(
            Self.devices + "targets:\n  iqn.2026-11.org.example:a:\n    luns: {0: d}\n", file: "m.yaml")
        #expect(configuration.targets.first?.auth == nil)
        #expect(configuration.discoveryAuth == nil)
    }

    private static let path = "targets.iqn.2026-11.org.example:a.auth"

    static let illegal: [(String, String)] = [
        ("{}", "\(path) needs a method: write method: chap, or method: none"),
        ("{user: alice, secret-file: /a}", "\(path) needs a method: write method: chap, or method: none"),
        ("chap", "\(path) must be a mapping: keys, each with a colon and a value"),
        ("{method: kerberos}", "method cannot be \"kerberos\": write chap, or none"),
        ("{method: CHAP, user: a, secret-file: /a}", "method cannot be \"CHAP\": write chap, or none"),
        ("{metod: chap}", "unknown key \"metod\" in \(path): did you mean method?"),
        (
            "{method: chap, user: a, secret: hunter2hunter2}",
            "unknown key \"secret\" in \(path): "
                + "known here: method, user, secret-file, secret-env, users, mutual, min-algorithm"
        ),
        ("{method: none, user: a}", "\(path) has method: none and user: leave out the one or the other"),
        (
            "{method: none, mutual: {user: a, secret-file: /a}}",
            "\(path) has method: none and mutual: leave out the one or the other"
        ),
        ("{method: chap}", "\(path) needs a user"), ("{method: chap, secret-file: /a}", "\(path) needs a user"),
        ("{method: chap, user: \"\", secret-file: /a}", "\(path).user has no value"),
        (
            "{method: chap, user: a}",
            "\(path) needs the user's secret: write secret-file: PATH, or secret-env: VARIABLE"
        ),
        (
            "{method: chap, user: a, secret-file: /a, secret-env: A}",
            "secret-file and secret-env name two secrets: leave one of them out"
        ),
        (
            "{method: chap, user: a, secret-file: /a, mutual: {user: b}}",
            "\(path).mutual needs the user's secret: write secret-file: PATH, or secret-env: VARIABLE"
        ),
        ("{method: chap, user: a, secret-file: /a, mutual: {secret-file: /b}}", "\(path).mutual needs a user"),
        (
            "{method: chap, user: a, secret-file: /a, mutual: {user: b, secret-fil: /b}}",
            "unknown key \"secret-fil\" in \(path).mutual: did you mean secret-file?"
        ),
        ("{method: chap, user: a, secret-file: [/a]}", "\(path).secret-file must be a single value"),
        (
            "{method: chap, user: a, secret-file: /a, min-algorithm: sha512}",
            "min-algorithm cannot be \"sha512\": write md5, sha1, sha256 or sha3-256"
        ),
        (
            "{method: chap, user: a, secret-file: /a, min-algorithm: 7}",
            "min-algorithm cannot be \"7\": write md5, sha1, sha256 or sha3-256"
        ),
        ("{method: chap, users: []}", "users is empty, so nobody could log in: name one, or write method: none"),
        (
            "{method: chap, users: {a: b}}", "\(path).users must be a list, each entry with a dash before it"
        ),
        (
            "{method: chap, user: a, users: [{user: b, secret-file: /b}]}",
            "\(path) has user and users: put it into the list, or leave the list out"
        ),
        (
            "{method: chap, users: [{user: b, secret-file: /b}, {user: b, secret-file: /c}]}",
            "the user \"b\" stands here twice: leave one of them out"
        ),
        (
            "{method: chap, users: [{user: b}]}",
            "\(path).users[0] needs the user's secret: write secret-file: PATH, "
                + "or secret-env: VARIABLE"
        ),
        ("{method: chap, user: \"a\\nb\", secret-file: /a}", "user holds a control character: take it out"),
        (
            "{method: chap, user: \(String(repeating: "u", count: 256)), secret-file: /a}",
            "user has more than 255 bytes: shorten it"
        ),
    ]

    @Test("What is wrong is said with its line, and what to do", arguments: illegal)
    func illegalSection(text: String, sentence: String) {
        #expect(throws: Failure.usage("m.yaml:5: \(sentence)")) { try Self.parse(text) }
    }
}
