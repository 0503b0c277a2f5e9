// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("Login: security")
struct LoginSecurityTests {
    static let methods: [(offer: String, needs: String?, answer: String?)] = [
        ("None", nil, "None"), ("CHAP,None", nil, "None"), ("None,CHAP", nil, "None"), ("CHAP", nil, nil),
        ("KRB5,SRP", nil, nil), ("", nil, nil), ("None,,CHAP", nil, nil), ("none", nil, nil),
        ("CHAP,None", "CHAP", "CHAP"), ("None,CHAP", "CHAP", "CHAP"), ("None", "CHAP", nil), ("SRP,None", "CHAP", nil),
    ]

    @Test("AuthMethod is answered with what the target asks for, or the login fails", arguments: methods.indices)
    func authMethod(index: Int) {
        let (offer, needs, answer) = Self.methods[index]
        var talk = LoginTalk(FakeDirectory(method: needs))
        let step = talk.send(LoginTalk.names + "|AuthMethod=\(offer)", from: LoginTalk.security)
        #expect(step.refusal == (answer == nil ? .authenticationFailure : nil))
        #expect(step.keys["AuthMethod"] == answer)
    }

    @Test("An authentication holds the stage until it is done")
    func authentication() {
        var talk = LoginTalk(FakeDirectory(method: "CHAP"))
        let first = talk.send(
            LoginTalk.names + "|AuthMethod=CHAP", from: LoginTalk.security, to: LoginTalk.operational)
        #expect(first.response?.transits == false)
        let challenge = talk.send("CHAP_A=5", from: LoginTalk.security, to: LoginTalk.operational)
        #expect(challenge.keys["CHAP_I"] == "1")
        #expect(challenge.response?.transits == false)
        let done = talk.send(
            "CHAP_N=host|CHAP_R=right", from: LoginTalk.security, to: LoginTalk.operational)
        #expect(done.keys["CHAP_N"] == "target")
        #expect(done.response?.transits == true)
        #expect(talk.send("", from: LoginTalk.operational, to: LoginTalk.fullFeature).outcome != nil)
    }

    @Test("Nobody gets past an authentication")
    func pastAuthentication() {
        let directory = FakeDirectory(method: "CHAP")
        var wrong = LoginTalk(directory)
        _ = wrong.send(LoginTalk.names + "|AuthMethod=CHAP", from: LoginTalk.security)
        _ = wrong.send("CHAP_A=5", from: LoginTalk.security)
        #expect(
            wrong.send("CHAP_R=wrong", from: LoginTalk.security, to: LoginTalk.fullFeature).refusal
                == .authenticationFailure)

        var silent = LoginTalk(directory)
        #expect(
            silent.send(LoginTalk.names, from: LoginTalk.security, to: LoginTalk.fullFeature).refusal
                == .authenticationFailure)
        var operational = LoginTalk(directory)
        #expect(operational.send(LoginTalk.names, from: LoginTalk.operational).refusal == .authenticationFailure)
        var discovery = LoginTalk(directory)
        #expect(
            discovery.send("InitiatorName=a|SessionType=Discovery", from: LoginTalk.operational).refusal
                == .authenticationFailure)
    }

    @Test("Keys of an authentication that was not chosen are refused")
    func strayAuthentication() {
        for text in ["CHAP_A=5", "CHAP_R=0x00", "SRP_U=a", "KRB_AP_REQ=0x00", "AuthMethod=None|CHAP_A=5"] {
            var talk = LoginTalk()
            #expect(
                talk.send(LoginTalk.names + "|" + text, from: LoginTalk.security).refusal == .initiatorError, "\(text)")
        }
        var twice = LoginTalk()
        _ = twice.send(LoginTalk.names + "|AuthMethod=None", from: LoginTalk.security)
        #expect(twice.send("AuthMethod=None", from: LoginTalk.security).refusal == .initiatorError)
    }
}
