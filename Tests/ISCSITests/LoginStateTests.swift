// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

/// Every state of a login against every kind of Login Request (RFC 7143 6.3.1 to 6.3.3, 11.12).
@Suite("Login states")
struct LoginStateTests {
    enum State: String, CaseIterable, CustomTestStringConvertible {
        case initial
        /// In the security stage: no method chosen, None chosen, CHAP under way.
        case securityOpen, securitySettled, authenticating
        /// In the security stage, in the middle of a text (C bit).
        case securityText
        case operational
        /// In the operational stage, in the middle of a text.
        case operationalText
        /// The transport has been asked for the session.
        case establishing
        case refused

        var testDescription: String { rawValue }
    }

    enum Event: String, CaseIterable {
        case security, securityToOperational, securityToFull, securityContinues
        case operational, operationalToFull, operationalContinues
        case reservedStage, fullFeatureStage, securityToSecurity, operationalToSecurity, transitAndContinues
        case newerVersion, otherISID, otherCmdSN
        case methodNone, strayAnswer
    }

    enum Answer: Equatable {
        /// The stage goes on.
        case stays
        case moves(LoginStage)
        case establishes
        case refused(LoginStatus)
    }

    private static let wrong = Answer.refused(.initiatorError)
    private static let late = Answer.refused(.invalidDuringLogin)
    private static let denied = Answer.refused(.authenticationFailure)
    private static let onward = Answer.moves(.loginOperationalNegotiation)

    /// In the order of the states.
    private static let table: [Event: [Answer]] = [
        .security: [.stays, .stays, .stays, .stays, .stays, wrong, wrong, late, late],
        .securityToOperational: [onward, onward, onward, .stays, onward, wrong, wrong, late, late],
        .securityToFull: [
            .establishes, .establishes, .establishes, .stays, .establishes, wrong, wrong, late, late,
        ],
        .securityContinues: [.stays, .stays, .stays, .stays, .stays, wrong, wrong, late, late],
        .operational: [.stays, wrong, wrong, wrong, wrong, .stays, .stays, late, late],
        .operationalToFull: [.establishes, wrong, wrong, wrong, wrong, .establishes, .establishes, late, late],
        .operationalContinues: [.stays, wrong, wrong, wrong, wrong, .stays, .stays, late, late],
        .reservedStage: [Answer](repeating: wrong, count: 9),
        .fullFeatureStage: [Answer](repeating: wrong, count: 9),
        .securityToSecurity: [wrong, wrong, wrong, wrong, wrong, wrong, wrong, late, late],
        .operationalToSecurity: [wrong, wrong, wrong, wrong, wrong, wrong, wrong, late, late],
        .transitAndContinues: [wrong, wrong, wrong, wrong, wrong, wrong, wrong, late, late],
        .newerVersion: [Answer](repeating: .refused(.unsupportedVersion), count: 9),
        .otherISID: [.stays, wrong, wrong, wrong, wrong, wrong, wrong, late, late],
        .otherCmdSN: [.stays, wrong, wrong, wrong, wrong, wrong, wrong, late, late],
        .methodNone: [.stays, .stays, wrong, wrong, .stays, wrong, wrong, late, late],
        .strayAnswer: [wrong, wrong, wrong, denied, wrong, wrong, wrong, late, late],
    ]

    @Test("Each state of a login answers each request", arguments: State.allCases)
    func states(state: State) throws {
        for event in Event.allCases {
            let expected = try #require(Self.table[event])[State.allCases.firstIndex(of: state)!]
            var talk = Self.talk(in: state)
            let step = Self.play(event, &talk, state)
            #expect(Self.answer(step) == expected, "\(state) \(event)")
            // What was refused stays refused; what asked for a session has to be told of it.
            guard case .refused = expected else { continue }
            #expect(Self.answer(Self.play(.security, &talk, .refused)) == Self.late, "\(state) \(event), then again")
        }
    }

    // MARK: Ways to the states

    private static func talk(in state: State) -> LoginTalk {
        var talk = LoginTalk(FakeDirectory(method: state == .authenticating ? "CHAP" : nil))
        switch state {
        case .initial: break
        case .securityOpen: _ = talk.send(LoginTalk.names, from: LoginTalk.security)
        case .securitySettled: _ = talk.send(LoginTalk.names + "|AuthMethod=None", from: LoginTalk.security)
        case .authenticating: _ = talk.send(LoginTalk.names + "|AuthMethod=CHAP", from: LoginTalk.security)
        case .securityText:
            _ = talk.send(LoginTalk.names + "|InitiatorAlias=ho", from: LoginTalk.security, continues: true)
        case .operational: _ = talk.send(LoginTalk.names, from: LoginTalk.operational)
        case .operationalText:
            _ = talk.send(LoginTalk.names + "|InitiatorAlias=ho", from: LoginTalk.operational, continues: true)
        case .establishing: _ = talk.send(LoginTalk.names, from: LoginTalk.operational, to: LoginTalk.fullFeature)
        case .refused: _ = talk.send("", from: LoginTalk.operational)
        }
        return talk
    }

    private static func play(_ event: Event, _ talk: inout LoginTalk, _ state: State) -> LoginStep {
        let begun =
            switch state {
            case .initial: LoginTalk.names
            case .securityText, .operationalText: "st"
            case .securityOpen, .securitySettled, .authenticating, .operational, .establishing, .refused: ""
            }
        func text(_ more: String) -> String { begun.isEmpty ? more : begun + "|" + more }
        let security = LoginTalk.security
        let operational = LoginTalk.operational
        let full = LoginTalk.fullFeature
        /// The stage that the login is in.
        let current =
            switch state {
            case .initial, .securityOpen, .securitySettled, .authenticating, .securityText: security
            case .operational, .operationalText, .establishing, .refused: operational
            }
        switch event {
        case .security: return talk.send(begun, from: security)
        case .securityToOperational: return talk.send(begun, from: security, to: operational)
        case .securityToFull: return talk.send(begun, from: security, to: full)
        case .securityContinues: return talk.send(begun, from: security, continues: true)
        case .operational: return talk.send(begun, from: operational)
        case .operationalToFull: return talk.send(begun, from: operational, to: full)
        case .operationalContinues: return talk.send(begun, from: operational, continues: true)
        case .reservedStage: return talk.send(begun, from: security) { $0.rawCurrentStage = 2 }
        case .fullFeatureStage: return talk.send(begun, from: full)
        case .securityToSecurity: return talk.send(begun, from: security, to: security)
        case .operationalToSecurity: return talk.send(begun, from: operational, to: security)
        case .transitAndContinues: return talk.send(begun, from: current, to: full) { $0.continues = true }
        case .newerVersion:
            return talk.send(begun, from: current) {
                $0.versionMin = 1
                $0.versionMax = 1
            }
        case .otherISID: return talk.send(begun, from: current) { $0.isid = InitiatorSessionIdentifier(rawValue: 9) }
        case .otherCmdSN: return talk.send(begun, from: current) { $0.cmdSN = 5 }
        case .methodNone: return talk.send(text("AuthMethod=None"), from: current)
        case .strayAnswer: return talk.send(text("CHAP_R=right"), from: current)
        }
    }

    private static func answer(_ step: LoginStep) -> Answer {
        switch step {
        case .respond(let response, _):
            guard response.transits else { return .stays }
            return LoginStage(rawValue: response.rawNextStage).map { .moves($0) } ?? wrong
        case .refuse(let response, _): return .refused(response.status)
        case .establish: return .establishes
        }
    }
}
