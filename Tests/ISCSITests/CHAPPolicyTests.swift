// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("CHAP: policies, secrets and what a library may fail at")
struct CHAPPolicyTests {
    typealias Talk = CHAPTalk

    @Test("A policy that lets nobody in, or everybody pass for the target, is none")
    func defects() throws {
        let alice = try Talk.credential("alice", Talk.secret)
        let target = try Talk.credential("disk", Talk.targetSecret)
        func make(
            _ users: [CHAPCredential], _ target: CHAPCredential? = nil, _ algorithms: Set<CHAPAlgorithm> = [.md5]
        ) throws(CHAPPolicy.Defect) -> CHAPPolicy {
            try CHAPPolicy(users: users, target: target, algorithms: algorithms, cryptography: Talk.known)
        }
        #expect(throws: CHAPPolicy.Defect.noUsers) { try make([]) }
        #expect(throws: CHAPPolicy.Defect.noAlgorithms) { try make([alice], nil, []) }
        #expect(throws: CHAPPolicy.Defect.duplicateUser("alice")) { try make([alice, alice]) }
        let same = try Talk.credential("bob", Talk.targetSecret)
        #expect(throws: CHAPPolicy.Defect.sharedWithTarget(user: "bob")) { try make([alice, same], target) }
        let good = try make([alice], target)
        #expect(good.isMutual)
        #expect(try make([alice]).isMutual == false)
        #expect(try good == make([alice], target))
        #expect(try good != make([alice]))
        #expect(try good != make([try Talk.credential("alice", "another long secret")], target))
        #expect(try good != make([alice], target, [.sha1]))
    }

    @Test("A secret has 12 to 255 bytes", arguments: [(0, false), (11, false), (12, true), (255, true), (256, false)])
    func secretLengths(count: Int, isGood: Bool) {
        #expect((CHAPSecret([UInt8](repeating: 0x41, count: count)) != nil) == isGood)
    }

    @Test("A name has 1 to 255 bytes", arguments: [(0, false), (1, true), (255, true), (256, false)])
    func nameLengths(count: Int, isGood: Bool) throws {
        let secret = try #require(CHAPSecret(Array(Talk.secret.utf8)))
        let name = String(repeating: "n", count: count)
        #expect((CHAPCredential(name: name, secret: secret) != nil) == isGood)
        var talk = try Talk(users: [isGood ? name : "alice": Talk.secret])
        _ = talk.offer("5")
        let step = talk.say("CHAP_N=\(name)|CHAP_R=0x\(CHAPVector.of(.md5).response)")
        #expect((step.refusal == nil) == isGood)
    }

    @Test("A secret is not printed, however it is asked for")
    func redaction() throws {
        let credential = try Talk.credential("alice", Talk.secret)
        let policy = try CHAPPolicy(users: [credential], algorithms: [.md5], cryptography: Talk.known)
        var dumped = ""
        dump(policy, to: &dumped)
        dump(credential, to: &dumped)
        let texts = [
            "\(credential)", "\(credential.secret)", String(reflecting: credential), String(describing: policy),
            String(reflecting: policy), dumped,
        ]
        for text in texts {
            #expect(!text.contains("horse"))
            // The first bytes, as lists of numbers or in hexadecimal.
            #expect(!text.contains("99, 111") && !text.contains("636f72"))
        }
        #expect("\(credential)".contains("(secret)"))
    }

    @Test("A library that fails is the target's error, not the initiator's")
    func failingLibrary() throws {
        let noRandom = CHAPCryptography(digest: { Talk.digest($0, $1) }, randomBytes: { _ in nil })
        let shortRandom = CHAPCryptography(
            digest: { Talk.digest($0, $1) }, randomBytes: { Talk.randomBytes($0 - 1) })
        for library in [noRandom, shortRandom] {
            var talk = try Talk(cryptography: library)
            #expect(talk.offer("5").refusal == .targetError)
            #expect(talk.fault == .noRandomBytes)
        }
        let noDigest = CHAPCryptography(digest: { _, _ in nil }, randomBytes: { Talk.randomBytes($0) })
        let shortDigest = CHAPCryptography(digest: { _, _ in [1, 2] }, randomBytes: { Talk.randomBytes($0) })
        for library in [noDigest, shortDigest] {
            var talk = try Talk(cryptography: library)
            _ = talk.offer("5")
            #expect(
                talk.say("CHAP_N=alice|CHAP_R=0x\(CHAPVector.of(.md5).response)").refusal == .targetError)
            #expect(talk.fault == .noDigest(.md5))
        }
    }

    @Test("What is no attempt at a secret is told from what may be one")
    func attempts() {
        let attempts: [AuthenticationFault] = [
            .unexpected("CHAP_A"), .missing("CHAP_R"), .malformed("CHAP_R"), .outOfTurn, .unknownName("a"),
            .wrongResponse(name: "a"), .reflectedChallenge, .reflectedResponse,
        ]
        for fault in attempts { #expect(fault.isAttempt && fault.status == .authenticationFailure) }
        let others: [(AuthenticationFault, LoginStatus)] = [
            (.noCommonAlgorithm, .authenticationFailure), (.noTargetSecret, .authenticationFailure),
            (.tooManyFailures, .serviceUnavailable), (.noDigest(.md5), .targetError), (.noRandomBytes, .targetError),
        ]
        for (fault, status) in others { #expect(!fault.isAttempt && fault.status == status) }
        for fault in attempts + others.map(\.0) { #expect(!"\(fault)".isEmpty) }
    }

    @Test("Anything at all is answered, and lets nobody in", arguments: Seeds.some)
    func fuzz(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let keys = ["CHAP_A", "CHAP_I", "CHAP_C", "CHAP_N", "CHAP_R", "AuthMethod", "SRP_U", "InitiatorAlias"]
        let values = [
            "5", "CHAP", "0x", "0xAB", "0bQUJD", "alice", "", "7,5", "0x" + String(repeating: "5", count: 32), "64",
        ]
        for _ in 0..<300 {
            var talk = try Talk(mutual: generator.flag())
            if generator.flag() { _ = talk.offer("5,6,7,8") }
            for _ in 0..<4 {
                let count = Int.random(in: 0..<5, using: &generator)
                let text = (0..<count).map { _ in
                    keys.randomElement(using: &generator)! + "=" + values.randomElement(using: &generator)!
                }.joined(separator: "|")
                let step = talk.talk.send(
                    text, from: LoginTalk.security, to: generator.flag() ? LoginTalk.fullFeature : nil)
                #expect(step.outcome == nil)
            }
        }
    }
}
