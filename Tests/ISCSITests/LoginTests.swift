// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("Login")
struct LoginTests {
    // MARK: Stages

    @Test("A login of one request")
    func oneRequest() throws {
        var talk = LoginTalk()
        let step = talk.send(
            LoginTalk.names + "|InitiatorAlias=the host|MaxRecvDataSegmentLength=65536|HeaderDigest=CRC32C,None",
            from: LoginTalk.operational, to: LoginTalk.fullFeature)
        let outcome = try #require(step.outcome)
        #expect(outcome.initiatorName == FakeDirectory.initiator)
        #expect(outcome.initiatorAlias == "the host")
        #expect(outcome.kind == .normal(targetName: FakeDirectory.target))
        #expect(outcome.isid == talk.template.isid)
        #expect(outcome.tsih == 0)
        #expect(outcome.cid == 3)
        #expect(outcome.cmdSN == 1000)
        #expect(outcome.parameters.maxSendDataSegmentLength == 65536)
        #expect(outcome.parameters.maxReceiveDataSegmentLength == 262_144)
        #expect(outcome.parameters.hasHeaderDigest)
        #expect(!outcome.parameters.hasDataDigest)

        let (response, text) = talk.machine.established(tsih: 9)
        let keys = try TextParameters(parsing: text)
        #expect(response.transits && !response.continues)
        #expect(response.rawCurrentStage == 1 && response.rawNextStage == 3)
        #expect(response.tsih == 9)
        #expect(response.status == .success)
        #expect(response.initiatorTaskTag == 77)
        #expect(response.numbers == SequenceNumbers(statSN: 5, expCmdSN: 1000, maxCmdSN: 1031))
        #expect(response.dataSegmentLength == UInt32(text.count))
        #expect(talk.machine.nextStatSN == 6)
        #expect(
            keys.pairs == [
                .init("HeaderDigest", "CRC32C"), .init("TargetPortalGroupTag", "1"), .init("TargetAlias", "the disk"),
                .init("MaxRecvDataSegmentLength", "262144"),
            ])
    }

    /// Stages, each with whether the initiator asks to leave it, up to the full feature phase.
    static let ways: [[(LoginStage, LoginStage?)]] = [
        [(LoginTalk.operational, LoginTalk.fullFeature)],
        [(LoginTalk.operational, nil), (LoginTalk.operational, LoginTalk.fullFeature)],
        [(LoginTalk.security, LoginTalk.fullFeature)],
        [(LoginTalk.security, nil), (LoginTalk.security, LoginTalk.fullFeature)],
        [(LoginTalk.security, LoginTalk.operational), (LoginTalk.operational, LoginTalk.fullFeature)],
        [
            (LoginTalk.security, nil), (LoginTalk.security, LoginTalk.operational), (LoginTalk.operational, nil),
            (LoginTalk.operational, nil), (LoginTalk.operational, LoginTalk.fullFeature),
        ],
    ]

    @Test("Every way through the stages", arguments: ways.indices)
    func everyWay(index: Int) {
        var talk = LoginTalk()
        for (position, (current, next)) in Self.ways[index].enumerated() {
            let step = talk.send(position == 0 ? LoginTalk.names : "", from: current, to: next)
            guard position < Self.ways[index].count - 1 else {
                #expect(step.outcome != nil)
                continue
            }
            let response = step.response
            #expect(step.refusal == nil)
            #expect(response?.transits == (next != nil))
            #expect(response?.rawCurrentStage == current.rawValue)
            #expect(response?.rawNextStage == next?.rawValue ?? 0)
            #expect(response?.numbers.statSN == 5 + UInt32(position))
            #expect(step.keys["TargetPortalGroupTag"] == (position == 0 ? "1" : nil))
        }
        let (response, _) = talk.machine.established(tsih: 1)
        #expect(response.transits && response.rawNextStage == 3)
    }

    @Test("Our MaxRecvDataSegmentLength is told once, and only in the operational stage")
    func declaredOnce() throws {
        var talk = LoginTalk()
        #expect(
            talk.send(LoginTalk.names, from: LoginTalk.security, to: LoginTalk.operational)
                .keys["MaxRecvDataSegmentLength"] == nil)
        #expect(talk.send("", from: LoginTalk.operational).keys["MaxRecvDataSegmentLength"] == "262144")
        #expect(talk.send("", from: LoginTalk.operational).keys["MaxRecvDataSegmentLength"] == nil)

        var skipping = LoginTalk()
        let outcome = try #require(
            skipping.send(LoginTalk.names, from: LoginTalk.security, to: LoginTalk.fullFeature).outcome)
        #expect(outcome.parameters.maxReceiveDataSegmentLength == 8192)
    }

    /// Current stage on the wire, next stage on the wire or nil for T=0, whether C is set.
    static let illegalStages: [(UInt8, UInt8?, Bool)] = [
        (2, nil, false), (3, nil, false), (0, 0, false), (0, 2, false), (1, 0, false), (1, 1, false), (1, 2, false),
        (0, 1, true), (1, 3, true),
    ]

    @Test("Stages and flags that cannot be are refused", arguments: illegalStages.indices)
    func illegalStage(index: Int) {
        let (current, next, continues) = Self.illegalStages[index]
        var talk = LoginTalk()
        let step = talk.send(LoginTalk.names, from: LoginTalk.operational) { request in
            request.rawCurrentStage = current
            request.wantsTransit = next != nil
            request.rawNextStage = next ?? 0
            request.continues = continues
        }
        #expect(step.refusal == .initiatorError)
    }

    @Test("A stage can neither be skipped without leave nor gone back to")
    func stageChanges() {
        var ahead = LoginTalk()
        _ = ahead.send(LoginTalk.names, from: LoginTalk.security)
        #expect(ahead.send("", from: LoginTalk.operational).refusal == .initiatorError)
        var back = LoginTalk()
        _ = back.send(LoginTalk.names, from: LoginTalk.operational)
        #expect(back.send("", from: LoginTalk.security).refusal == .initiatorError)
    }

    @Test("After the end nothing more is taken")
    func afterTheEnd() {
        var talk = LoginTalk()
        _ = talk.send(LoginTalk.names, from: LoginTalk.operational, to: LoginTalk.fullFeature)
        #expect(talk.send("", from: LoginTalk.operational).refusal == .invalidDuringLogin)
        var refused = LoginTalk()
        _ = refused.send("", from: LoginTalk.operational)
        #expect(refused.send(LoginTalk.names, from: LoginTalk.operational).refusal == .invalidDuringLogin)
    }

    @Test("What names the login stays the same in all its requests")
    func constants() {
        let changes: [(inout LoginRequestPDU) -> Void] = [
            { $0.isid = InitiatorSessionIdentifier(rawValue: 5) }, { $0.tsih = 1 }, { $0.cid = 4 },
            { $0.cmdSN = 1001 },
        ]
        for change in changes {
            var talk = LoginTalk()
            _ = talk.send(LoginTalk.names, from: LoginTalk.operational)
            #expect(talk.send("", from: LoginTalk.operational, change: change).refusal == .initiatorError)
        }
    }

    @Test("Only version 0 is spoken")
    func version() {
        var talk = LoginTalk()
        let step = talk.send(LoginTalk.names, from: LoginTalk.operational) {
            $0.versionMin = 1
            $0.versionMax = 2
        }
        #expect(step.refusal == .unsupportedVersion)
        #expect(step.response?.versionMax == 0 && step.response?.versionActive == 0)
        var newer = LoginTalk()
        #expect(newer.send(LoginTalk.names, from: LoginTalk.operational) { $0.versionMax = 7 }.refusal == nil)
    }

    // MARK: Who and what

    static let identities: [(String, LoginStatus?)] = [
        ("", .missingParameter),
        ("TargetName=\(FakeDirectory.target)", .missingParameter),
        ("InitiatorName=a", .missingParameter),
        ("InitiatorName=a|SessionType=Normal", .missingParameter),
        ("InitiatorName=|TargetName=\(FakeDirectory.target)", .initiatorError),
        ("InitiatorName=a|TargetName=", .initiatorError),
        ("InitiatorName=\(String(repeating: "a", count: 223))|SessionType=Discovery", nil),
        ("InitiatorName=\(String(repeating: "a", count: 224))|SessionType=Discovery", .initiatorError),
        ("InitiatorName=a|TargetName=iqn.2026-11.org.example:none", .notFound),
        ("InitiatorName=a|TargetName=iqn.2026-11.org.example:removed", .targetRemoved),
        ("InitiatorName=a|TargetName=iqn.2026-11.org.example:away", .targetMovedTemporarily),
        ("InitiatorName=a|TargetName=iqn.2026-11.org.example:moved", .targetMovedPermanently),
        ("InitiatorName=iqn.2026-11.org.example:stranger|TargetName=\(FakeDirectory.target)", .authorizationFailure),
        ("InitiatorName=iqn.2026-11.org.example:stranger|SessionType=Discovery", .authorizationFailure),
        ("InitiatorName=a|SessionType=Other", .sessionTypeNotSupported),
        ("InitiatorName=a|SessionType=discovery", .sessionTypeNotSupported),
        ("InitiatorName=a|SessionType=Discovery", nil),
        ("InitiatorName=a|SessionType=Discovery|TargetName=any", nil),
        ("InitiatorName=a|SessionType=Normal|TargetName=\(FakeDirectory.target)", nil),
    ]

    @Test("The first text says who logs in to what, or the login is refused", arguments: identities.indices)
    func identity(index: Int) {
        for stage in [LoginTalk.security, LoginTalk.operational] {
            var talk = LoginTalk()
            #expect(talk.send(Self.identities[index].0, from: stage).refusal == Self.identities[index].1)
        }
    }

    @Test("A target that has moved tells where to")
    func redirection() {
        var talk = LoginTalk()
        let step = talk.send("InitiatorName=a|TargetName=iqn.2026-11.org.example:away", from: LoginTalk.security)
        guard case .refuse(let response, let text) = step else {
            Issue.record("the login was not refused")
            return
        }
        #expect(response.status == .targetMovedTemporarily)
        #expect(text == Array("TargetAddress=192.0.2.1:3260,1\0TargetAddress=[2001:db8::1],1\0".utf8))
        #expect(response.dataSegmentLength == UInt32(text.count))
    }

    @Test("A discovery session has no target and hears nothing of one")
    func discovery() throws {
        var talk = LoginTalk()
        let step = talk.send("InitiatorName=a|SessionType=Discovery", from: LoginTalk.operational)
        #expect(step.keys["TargetPortalGroupTag"] == nil)
        let outcome = try #require(talk.send("", from: LoginTalk.operational, to: LoginTalk.fullFeature).outcome)
        #expect(outcome.kind == .discovery)
    }

    @Test("Names may be said again but not changed")
    func namesAgain() {
        for key in ["InitiatorName=other", "TargetName=other", "SessionType=Discovery"] {
            var talk = LoginTalk()
            _ = talk.send(LoginTalk.names, from: LoginTalk.security, to: LoginTalk.operational)
            #expect(talk.send(key, from: LoginTalk.operational).refusal == .initiatorError)
        }
    }

    @Test("The transport's refusal ends the login with its status")
    func transportRefuses() {
        var talk = LoginTalk(tsih: 44)
        let step = talk.send(
            "InitiatorName=a|TargetName=\(FakeDirectory.target)", from: LoginTalk.operational,
            to: LoginTalk.fullFeature)
        #expect(step.outcome?.tsih == 44)
        let response = talk.machine.refused(.sessionDoesNotExist)
        #expect(response.status == .sessionDoesNotExist)
        #expect(!response.transits)
        #expect(response.dataSegmentLength == 0)
    }
}
