// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

/// Which keys may come when, and what the target picks.
@Suite("CHAP: keys and their order")
struct CHAPKeyTests {
    typealias Talk = CHAPTalk

    private static let md5 = CHAPVector.of(.md5)
    private static let right = "CHAP_N=alice|CHAP_R=0x\(md5.response)"

    /// CHAP_A, the algorithms that the policy allows, and the one chosen or why none is.
    static let offers: [(String, [CHAPAlgorithm], Result<String, AuthenticationFault>)] = [
        ("5", CHAPAlgorithm.allCases, .success("5")), ("8,7,6,5", CHAPAlgorithm.allCases, .success("8")),
        ("5,6,7,8", CHAPAlgorithm.allCases, .success("5")), ("5,6,7,8", [.sha256, .sha3With256Bits], .success("7")),
        ("6,5", [.md5], .success("5")), ("0x8,5", CHAPAlgorithm.allCases, .success("8")),
        ("99,7", CHAPAlgorithm.allCases, .success("7")), ("5,5,5", [.md5], .success("5")),
        ("0,255,6", CHAPAlgorithm.allCases, .success("6")),
        ("5", [.sha1], .failure(.noCommonAlgorithm)), ("4", CHAPAlgorithm.allCases, .failure(.noCommonAlgorithm)),
        ("9,10", CHAPAlgorithm.allCases, .failure(.noCommonAlgorithm)),
        ("7,6,5", [.sha3With256Bits], .failure(.noCommonAlgorithm)),
        ("", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        (",", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        ("5,", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        (",5", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        ("5,,6", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        ("5 ,6", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        ("MD5", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        ("05", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        ("-5", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        ("256", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        ("5,256", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        ("5,Reject", CHAPAlgorithm.allCases, .failure(.malformed("CHAP_A"))),
        (
            Array(repeating: "9", count: 64).joined(separator: ",") + ",5", CHAPAlgorithm.allCases,
            .failure(.malformed("CHAP_A"))
        ),
    ]

    @Test("The first algorithm of the initiator that the policy allows is chosen", arguments: offers.indices)
    func algorithms(index: Int) throws {
        let (list, allowed, result) = Self.offers[index]
        var talk = try Talk(algorithms: allowed)
        let step = talk.offer(list)
        switch result {
        case .success(let choice):
            #expect(step.keys["CHAP_A"] == choice)
            #expect(step.refusal == nil)
        case .failure(let fault):
            #expect(step.refusal == .authenticationFailure)
            #expect(talk.fault == fault)
            #expect(step.keys.pairs.isEmpty)
        }
    }

    /// In place of CHAP_A, and why it is refused.
    static let beginnings: [(String, AuthenticationFault)] = [
        ("CHAP_N=alice|CHAP_R=0x00", .unexpected("CHAP_N")), ("CHAP_A=5|CHAP_N=alice", .unexpected("CHAP_N")),
        ("CHAP_A=5|CHAP_I=1|CHAP_C=0x00", .unexpected("CHAP_I")), ("CHAP_C=0x00", .unexpected("CHAP_C")),
        ("CHAP_A=5|SRP_U=alice", .unexpected("SRP_U")), ("KRB_AP_REQ=0x00", .unexpected("KRB_AP_REQ")),
        ("TargetAuth=Yes", .unexpected("TargetAuth")),
    ]

    @Test("Nothing but CHAP_A begins", arguments: beginnings.indices)
    func beginning(index: Int) throws {
        var talk = try Talk()
        _ = talk.talk.send(LoginTalk.names + "|AuthMethod=CHAP", from: LoginTalk.security)
        let step = talk.say(Self.beginnings[index].0)
        #expect(step.refusal == .authenticationFailure)
        #expect(talk.fault == Self.beginnings[index].1)
    }

    /// After the challenge, and why it is refused.
    static let answers: [(String, AuthenticationFault)] = [
        ("CHAP_A=5", .unexpected("CHAP_A")), (right + "|CHAP_A=5", .unexpected("CHAP_A")),
        (right + "|SRP_U=alice", .unexpected("SRP_U")), ("CHAP_N=alice", .missing("CHAP_R")),
        ("CHAP_R=0x\(md5.response)", .missing("CHAP_N")), (right + "|CHAP_I=1", .missing("CHAP_C")),
        (right + "|CHAP_C=0xa0a1", .missing("CHAP_I")), ("CHAP_I=1|CHAP_C=0xa0a1", .missing("CHAP_N")),
    ]

    @Test("Nothing but name and response, with or without a challenge, goes on", arguments: answers.indices)
    func answer(index: Int) throws {
        var talk = try Talk(mutual: true)
        _ = talk.offer("5")
        let step = talk.say(Self.answers[index].0)
        #expect(step.refusal == .authenticationFailure)
        #expect(talk.fault == Self.answers[index].1)
        #expect(talk.say(Self.right).refusal == .invalidDuringLogin)
    }

    @Test(
        "A key that stands twice is no text",
        arguments: ["CHAP_N=alice|CHAP_N=alice", "CHAP_R=0x00|CHAP_R=0x00", "CHAP_I=1|CHAP_I=2"])
    func duplicates(text: String) throws {
        var talk = try Talk(mutual: true)
        _ = talk.offer("5")
        #expect(talk.say(text).refusal == .initiatorError)
        var early = try Talk()
        _ = early.talk.send(LoginTalk.names + "|AuthMethod=CHAP", from: LoginTalk.security)
        #expect(early.say("CHAP_A=5|CHAP_A=7").refusal == .initiatorError)
    }

    @Test("Keys of CHAP outside of its exchange are refused")
    func elsewhere() throws {
        var before = try Talk()
        #expect(
            before.talk.send(LoginTalk.names + "|CHAP_A=5", from: LoginTalk.security).refusal == .initiatorError)
        var together = try Talk()
        #expect(
            together.talk.send(LoginTalk.names + "|AuthMethod=CHAP|CHAP_A=5", from: LoginTalk.security).refusal
                == .initiatorError)
        var operational = try Talk()
        _ = operational.offer("5")
        _ = operational.say(Self.right)
        #expect(
            operational.talk.send("CHAP_A=5", from: LoginTalk.operational).refusal == .initiatorError)
        var after = try Talk()
        _ = after.offer("5")
        _ = after.talk.send(Self.right, from: LoginTalk.security)
        #expect(after.talk.send(Self.right, from: LoginTalk.security).refusal == .initiatorError)
    }

    @Test("The stage is held until the response is right, however often the initiator asks to leave it")
    func impatience() throws {
        var talk = try Talk()
        _ = talk.offer("5")
        for _ in 0..<3 {
            let step = talk.say("")
            #expect(step.response?.transits == false)
            #expect(step.refusal == nil)
        }
        #expect(talk.talk.send("", from: LoginTalk.operational).refusal == .initiatorError)
        var patient = try Talk()
        _ = patient.offer("5")
        #expect(patient.talk.send(Self.right, from: LoginTalk.security).response?.transits == false)
        #expect(
            patient.talk.send("", from: LoginTalk.security, to: LoginTalk.fullFeature).outcome?.authenticatedName
                == "alice")
    }

    @Test("A response that comes in pieces counts when it is whole")
    func pieces() throws {
        var talk = try Talk()
        _ = talk.offer("5")
        let half = Self.right.count / 2
        #expect(
            talk.talk.send(String(Self.right.prefix(half)), from: LoginTalk.security, continues: true).refusal == nil)
        #expect(talk.say(String(Self.right.dropFirst(half))).response?.transits == true)
    }

    @Test("AuthMethod without CHAP is an authentication failure where CHAP is asked for", arguments: ["None", "KRB5"])
    func noMethod(methods: String) throws {
        var talk = try Talk()
        let step = talk.talk.send(LoginTalk.names + "|AuthMethod=\(methods)", from: LoginTalk.security)
        #expect(step.refusal == .authenticationFailure)
        // No attempt at a secret.
        #expect(talk.fault == nil)
    }

    @Test("Further connections of a session and discovery sessions are asked, too")
    func everyLogin() throws {
        var further = try Talk(tsih: 7)
        #expect(
            further.talk.send(LoginTalk.names, from: LoginTalk.operational, to: LoginTalk.fullFeature).refusal
                == .authenticationFailure)
        var good = try Talk(tsih: 7)
        _ = good.offer("5")
        _ = good.say(Self.right)
        let outcome = good.talk.send("", from: LoginTalk.operational, to: LoginTalk.fullFeature).outcome
        #expect(outcome?.tsih == 7)
        #expect(outcome?.authenticatedName == "alice")

        var discovery = try Talk()
        #expect(
            discovery.talk.send(
                "InitiatorName=a|SessionType=Discovery", from: LoginTalk.security, to: LoginTalk.fullFeature
            ).refusal == .authenticationFailure)
    }

    @Test("Each user has a secret of their own")
    func users() throws {
        let users = ["alice": Talk.secret, "bob": "another long secret"]
        for (name, isRight) in [("alice", true), ("bob", false)] {
            var talk = try Talk(users: users)
            _ = talk.offer("5")
            #expect(
                (talk.say("CHAP_N=\(name)|CHAP_R=0x\(Self.md5.response)").refusal == nil) == isRight)
        }
    }
}
