// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

/// Targets and rules of a server that login tests talk to.
struct FakeDirectory: LoginDirectory {
    static let target = "iqn.2026-11.org.example:disk"
    static let initiator = "iqn.2026-11.org.example:host"

    var method: String?
    /// Asks for CHAP in earnest.
    var policy: CHAPPolicy?

    func lookUp(_ targetName: String) -> TargetLookup {
        switch targetName {
        case Self.target: .found
        case "iqn.2026-11.org.example:removed": .removed
        case "iqn.2026-11.org.example:away": .movedTemporarily(addresses: ["192.0.2.1:3260,1", "[2001:db8::1],1"])
        case "iqn.2026-11.org.example:moved": .movedPermanently(addresses: ["192.0.2.2"])
        default: .notFound
        }
    }

    func alias(of targetName: String) -> String? { "the disk" }

    func authorizes(initiatorName: String, targetName: String?) -> Bool {
        initiatorName != "iqn.2026-11.org.example:stranger"
    }

    func authenticator(initiatorName: String, targetName: String?) -> (any Authenticator)? {
        policy?.makeAuthenticator() ?? method.map(FakeAuthenticator.init)
    }
}

/// Two steps: a challenge, then an answer that must be "right".
struct FakeAuthenticator: Authenticator {
    let method: String
    private var hasChallenged = false

    init(method: String) { self.method = method }

    mutating func receive(_ text: TextParameters) -> AuthenticationStep {
        if !hasChallenged {
            hasChallenged = true
            guard text["CHAP_A"] == "5" else { return .fail(.noCommonAlgorithm) }
            return .respond(TextParameters([.init("CHAP_A", "5"), .init("CHAP_I", "1"), .init("CHAP_C", "0x00")]))
        }
        return text["CHAP_R"] == "right"
            ? .succeed(TextParameters([.init("CHAP_N", "target")])) : .fail(.wrongResponse(name: "host"))
    }
}

/// An initiator in its login, and what it gets.
struct LoginTalk {
    static let names = "InitiatorName=\(FakeDirectory.initiator)|TargetName=\(FakeDirectory.target)"
    static let security = LoginStage.securityNegotiation
    static let operational = LoginStage.loginOperationalNegotiation
    static let fullFeature = LoginStage.fullFeaturePhase

    var machine: LoginStateMachine
    var template = LoginRequestPDU(
        current: LoginTalk.operational, isid: InitiatorSessionIdentifier(rawValue: 0x8000_0000_0001),
        initiatorTaskTag: 77, cid: 3, cmdSN: 1000, expStatSN: 5)

    init(_ directory: FakeDirectory = FakeDirectory(), local: LocalParameters = LocalParameters(), tsih: UInt16 = 0) {
        machine = LoginStateMachine(
            portalGroupTag: 1, offered: local, commandWindowDepth: 32, directory: directory)
        template.tsih = tsih
    }

    /// `text` has "|" for the zero bytes.
    mutating func send(
        _ text: String, from current: LoginStage, to next: LoginStage? = nil, continues: Bool = false,
        change: (inout LoginRequestPDU) -> Void = { _ in }
    ) -> LoginStep {
        var bytes = Array(text.utf8.map { $0 == UInt8(ascii: "|") ? 0 : $0 })
        if !bytes.isEmpty && !continues { bytes.append(0) }
        var request = template
        request.rawCurrentStage = current.rawValue
        request.wantsTransit = next != nil
        request.rawNextStage = next?.rawValue ?? 0
        request.continues = continues
        request.dataSegmentLength = UInt32(bytes.count)
        change(&request)
        return machine.receive(request, text: bytes)
    }
}

extension LoginStep {
    var response: LoginResponsePDU? {
        switch self {
        case .respond(let response, _), .refuse(let response, _): response
        case .establish: nil
        }
    }

    var keys: TextParameters {
        switch self {
        case .respond(_, let text), .refuse(_, let text): (try? TextParameters(parsing: text)) ?? TextParameters()
        case .establish: TextParameters()
        }
    }

    var refusal: LoginStatus? {
        guard case .refuse(let response, _) = self else { return nil }
        return response.status
    }

    var outcome: LoginOutcome? {
        guard case .establish(let outcome) = self else { return nil }
        return outcome
    }
}
