// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import ISCSI
import Testing

@Suite("Policies of auth sections")
struct PolicyLoaderTests {
    typealias Folder = SecretSourceTests.Folder

    private func credential(
        _ user: String, _ secret: String, in folder: Folder, line: Int = 1
    ) throws -> AuthenticationSettings.Credential {
        let path = try folder.write(secret.utf8, name: "\(user)-\(line)")
        return .init(user: user, secret: SecretSource(.file(path), place: "m.yaml:\(line)"))
    }

    @Test("A section gives a policy, and method: none none")
    func policy() throws {
        let folder = try Folder()
        var loader = PolicyLoader()
        let alice = try credential("alice", "correct horse battery", in: folder)
        let disk = try credential("disk", "the target's own secret", in: folder)
        let policy = try #require(try loader.policy(.init(users: [alice], mutual: disk, place: "m.yaml:1")))
        #expect(policy.isMutual)
        #expect(policy.algorithms == Set(CHAPAlgorithm.allCases))
        let strict = try #require(
            try loader.policy(.init(users: [alice], minimumAlgorithm: .sha256, place: "m.yaml:1")))
        #expect(!strict.isMutual)
        #expect(strict.algorithms == [.sha256, .sha3With256Bits])
        #expect(try loader.policy(.init(users: [], place: "m.yaml:1")) == nil)
        #expect(loader.warnings.isEmpty)
    }

    @Test("A policy of real files and the real library lets in who knows the secret, with every algorithm")
    func everyAlgorithm() throws {
        let folder = try Folder()
        var loader = PolicyLoader()
        let secret = "correct horse battery"
        let alice = try credential("alice", secret + "\n", in: folder)
        let policy = try #require(try loader.policy(.init(users: [alice], place: "m.yaml:1")))
        for algorithm in CHAPAlgorithm.allCases {
            for isRight in [true, false] {
                var authenticator = policy.makeAuthenticator()
                guard
                    case .respond(let keys) = authenticator.receive(
                        TextParameters([.init("CHAP_A", "\(algorithm.rawValue)")]))
                else {
                    Issue.record("no challenge")
                    return
                }
                let identifier = try #require(keys["CHAP_I"].flatMap { UInt8($0) })
                let digits = try #require(keys["CHAP_C"]).dropFirst(2).compactMap(\.hexDigitValue)
                let challenge = stride(from: 0, to: digits.count, by: 2).map {
                    UInt8(digits[$0] << 4 | digits[$0 + 1])
                }
                #expect(challenge.count == algorithm.digestByteCount)
                let known = isRight ? secret : secret + "!"
                let response = try #require(
                    CryptoLibrary.chap.digest(algorithm, [identifier] + known.utf8 + challenge))
                let hexadecimal = response.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
                let step = authenticator.receive(
                    TextParameters([.init("CHAP_N", "alice"), .init("CHAP_R", "0x" + hexadecimal)]))
                #expect(
                    step == (isRight ? .succeed(TextParameters()) : .fail(.wrongResponse(name: "alice"))))
            }
        }
    }

    @Test("A target's own secret is nobody else's, in the whole configuration", arguments: [true, false])
    func sharedSecret(isTargetFirst: Bool) throws {
        let folder = try Folder()
        let alice = try credential("alice", "correct horse battery", in: folder, line: 1)
        let disk = try credential("disk", "the target's own secret", in: folder, line: 2)
        let thief = try credential("thief", "the target's own secret", in: folder, line: 3)
        let one = AuthenticationSettings(users: [alice], mutual: disk, place: "m.yaml:1")
        let other = AuthenticationSettings(users: [thief], place: "m.yaml:3")
        var loader = PolicyLoader()
        _ = try loader.policy(isTargetFirst ? one : other)
        let failure = #expect(throws: Failure.self) { try loader.policy(isTargetFirst ? other : one) }
        #expect(
            failure?.description
                == "m.yaml:\(isTargetFirst ? 3 : 2): the mutual secret of \"disk\" (m.yaml:2) is also that of the user "
                + "\"thief\" (m.yaml:3), so each could pass for the other (RFC 7143 9.2.1): give the target a secret of "
                + "its own")
        // In one section, too.
        var single = PolicyLoader()
        #expect(throws: Failure.self) {
            try single.policy(.init(users: [thief], mutual: disk, place: "m.yaml:1"))
        }
    }

    @Test("Two users with one secret are warned of; one user in two places is not")
    func sameSecrets() throws {
        let folder = try Folder()
        var loader = PolicyLoader()
        let alice = try credential("alice", "correct horse battery", in: folder, line: 1)
        let bob = try credential("bob", "correct horse battery", in: folder, line: 2)
        _ = try loader.policy(.init(users: [alice], place: "m.yaml:1"))
        _ = try loader.policy(.init(users: [alice], place: "m.yaml:1"))
        #expect(loader.warnings.isEmpty)
        _ = try loader.policy(.init(users: [bob], place: "m.yaml:2"))
        #expect(
            loader.warnings == [
                "m.yaml:2: the users \"bob\" and \"alice\" (m.yaml:1) have the same secret, so each can pass for the "
                    + "other: give each its own"
            ])
    }

    @Test("A library without MD5 is warned of, and refused where MD5 was asked for")
    func missingAlgorithm() throws {
        let folder = try Folder()
        let alice = try credential("alice", "correct horse battery", in: folder)
        var loader = PolicyLoader { $0 == .md5 ? "unsupported" : nil }
        let policy = try #require(try loader.policy(.init(users: [alice], place: "m.yaml:1")))
        _ = try loader.policy(.init(users: [alice], place: "m.yaml:1"))
        #expect(policy.algorithms == [.sha1, .sha256, .sha3With256Bits])
        #expect(
            loader.warnings == [
                "CHAP with md5 is not offered, as this machine's OpenSSL cannot compute it (unsupported)"
            ])
        #expect(
            throws: Failure.usage(
                "m.yaml:1: min-algorithm md5 cannot be had, as this machine's OpenSSL cannot compute it (unsupported): "
                    + "choose another, or change OpenSSL's configuration")
        ) { try loader.policy(.init(users: [alice], minimumAlgorithm: .md5, place: "m.yaml:1")) }
        var without = PolicyLoader { _ in "unsupported" }
        #expect(
            throws: Failure.usage("m.yaml:1: this machine's OpenSSL can compute none of CHAP's hash algorithms")
        ) { try without.policy(.init(users: [alice], place: "m.yaml:1")) }
        var deaf = PolicyLoader(
            cryptography: CHAPCryptography(digest: { _, _ in nil }, randomBytes: { _ in nil }))
        #expect(throws: Failure.self) { try deaf.policy(.init(users: [alice], place: "m.yaml:1")) }
    }

    @Test("A whole configuration gives its targets' policies and that of discovery")
    func configuration() throws {
        let folder = try Folder()
        let path = try folder.write("correct horse battery".utf8)
        let text = """
            devices: {d: {backstore: ram/1M}}
            targets:
              iqn.2026-11.org.example:a: {luns: {0: d}, auth: {method: chap, user: alice, secret-file: "\(path)"}}
              iqn.2026-11.org.example:b: {luns: {0: d}, auth: {method: none}}
              iqn.2026-11.org.example:c: {luns: {0: d}}
            discovery-auth: {method: chap, user: finder, secret-file: "\(path)"}

            """
        let configuration = try ConfigurationFile.parse(text, file: "m.yaml")
        var warnings: [String] = []
        let policies = try AuthenticationPolicies.load(configuration) { warnings.append($0) }
        #expect(policies.targets.keys.sorted() == ["iqn.2026-11.org.example:a"])
        #expect(policies.discovery != nil)
        #expect(warnings.count == 1)
    }

    // MARK: The library

    /// Of "abc", as FIPS 180-4, FIPS 202 and RFC 1321 have them.
    static let digests: [(CHAPAlgorithm, String)] = [
        (.md5, "900150983cd24fb0d6963f7d28e17f72"), (.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (.sha3With256Bits, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
    ]

    @Test("The library's digests are those of the standards", arguments: digests.indices)
    func digest(index: Int) {
        let (algorithm, expected) = Self.digests[index]
        #expect(CryptoLibrary.objection(to: algorithm) == nil)
        let digest = CryptoLibrary.chap.digest(algorithm, Array("abc".utf8)) ?? []
        #expect(digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() == expected)
        #expect(CryptoLibrary.chap.digest(algorithm, [])?.count == algorithm.digestByteCount)
    }

    @Test("No two challenges are the same")
    func randomness() throws {
        var seen: Set<[UInt8]> = []
        for _ in 0..<10_000 { seen.insert(try #require(CryptoLibrary.chap.randomBytes(16))) }
        #expect(seen.count == 10_000)
        #expect(CryptoLibrary.chap.randomBytes(0) == [])
    }
}
