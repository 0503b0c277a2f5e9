// SPDX-License-Identifier: Apache-2.0

package import ISCSI

/// The initiator's side of a login (RFC 7143 6.3): the security stage without authentication, then the operational
/// stage. A value: requests come out, responses go in.
package struct LoginRequester: Sendable {
    /// What is asked for.
    package struct Proposal: Sendable {
        package var initiatorName: String
        package var targetName: String
        package var isid: InitiatorSessionIdentifier
        package var digests: DigestChoice
        /// Bytes of the longest data segment that we take.
        package var maxReceiveDataSegmentLength = 262_144
        package var maxBurstLength = 0xFF_FE00
        package var firstBurstLength = 262_144
        package var initialR2T = false
        package var immediateData = true

        package init(
            initiatorName: String, targetName: String, isid: InitiatorSessionIdentifier,
            digests: DigestChoice = .none
        ) {
            self.initiatorName = initiatorName
            self.targetName = targetName
            self.isid = isid
            self.digests = digests
        }
    }

    package struct Request: Equatable, Sendable {
        package var pdu: LoginRequestPDU
        package var text: [UInt8]
    }

    /// A login that takes more is going round in circles.
    private static let exchangeLimit = 16
    private static let taskTag: UInt32 = 0
    /// Of the first command.
    private static let firstCmdSN: UInt32 = 1

    private let proposal: Proposal
    private var stage = LoginStage.securityNegotiation
    private var proposedStages: Set<LoginStage> = []
    private var exchangeCount = 0
    private var tsih: UInt16 = 0
    /// Pieces of the target's text, while it says that more follows.
    private var incoming: [UInt8] = []
    /// Keys of the target that want an answer.
    private var answers = TextParameters()
    private var outcome: LoginAgreement
    package private(set) var numbers = InitiatorNumbers(cmdSN: firstCmdSN)

    package init(_ proposal: Proposal) {
        self.proposal = proposal
        outcome = LoginAgreement(proposal)
    }

    package var isDone: Bool { stage == .fullFeaturePhase }
    /// What holds once the login is done.
    package var parameters: NegotiatedParameters { outcome.parameters }

    package mutating func nextRequest() -> Request {
        let isContinued = !incoming.isEmpty
        var text = answers
        answers = TextParameters()
        if !isContinued, proposedStages.insert(stage).inserted {
            for pair in stage == .securityNegotiation ? securityKeys : outcome.offer {
                text.append(pair.key, pair.value)
            }
        }
        let next: LoginStage = stage == .securityNegotiation ? .loginOperationalNegotiation : .fullFeaturePhase
        let bytes = text.encoded
        let pdu = LoginRequestPDU(
            // While the target is still speaking, an empty request asks for the rest (RFC 7143 6.2).
            wantsTransit: !isContinued, current: stage, next: isContinued ? .securityNegotiation : next,
            isid: proposal.isid, tsih: tsih, initiatorTaskTag: Self.taskTag, cmdSN: numbers.cmdSN,
            expStatSN: numbers.expStatSN, dataSegmentLength: UInt32(bytes.count))
        return Request(pdu: pdu, text: bytes)
    }

    private var securityKeys: [TextParameters.Pair] {
        typealias Name = NegotiationKeys.Name
        return [
            .init(Name.initiatorName, proposal.initiatorName), .init(Name.targetName, proposal.targetName),
            .init(Name.sessionType, "Normal"), .init(Name.authMethod, NegotiationKey.Answer.none),
        ]
    }

    /// A response and its text.
    package mutating func take(_ response: LoginResponsePDU, text: [UInt8]) throws(LoadFailure) {
        exchangeCount += 1
        guard exchangeCount <= Self.exchangeLimit else {
            throw .runTime("the login does not come to an end: \(Self.exchangeLimit) requests were answered")
        }
        guard response.status == .success else { throw refusal(response.status, text) }
        guard response.initiatorTaskTag == Self.taskTag, response.isid == proposal.isid else {
            throw .runTime("the target answers a login that is not ours")
        }
        numbers.beginStatus(after: response.numbers)
        tsih = response.tsih
        try take(text, isWhole: !response.continues)
        guard !response.continues else {
            guard !response.transits else { throw .runTime("the target ends a login stage in the middle of a text") }
            return
        }
        try advance(response)
    }

    private mutating func take(_ text: [UInt8], isWhole: Bool) throws(LoadFailure) {
        guard incoming.count + text.count <= TextParameters.byteLimit else {
            throw .runTime("the target's login text is longer than \(TextParameters.byteLimit) bytes")
        }
        incoming += text
        // An empty piece with more to follow still makes the next request an empty one.
        guard isWhole else {
            if incoming.isEmpty { incoming = [0] }
            return
        }
        let parsed: TextParameters
        do throws(TextError) {
            parsed = try TextParameters(parsing: incoming)
        } catch {
            throw .runTime("the target's login text is no list of key=value pairs (\(error))")
        }
        incoming = []
        for pair in parsed.pairs {
            if let answer = try outcome.take(pair) { answers.append(pair.key, answer) }
        }
    }

    private mutating func advance(_ response: LoginResponsePDU) throws(LoadFailure) {
        guard response.rawCurrentStage == stage.rawValue else {
            throw .runTime(
                "the target is in login stage \(response.rawCurrentStage) where stage \(stage.rawValue) was asked for")
        }
        guard response.transits else { return }
        switch (stage, LoginStage(rawValue: response.rawNextStage)) {
        case (.securityNegotiation, .loginOperationalNegotiation):
            stage = .loginOperationalNegotiation
        case (.loginOperationalNegotiation, .fullFeaturePhase):
            guard tsih != 0 else { throw .runTime("the target begins a session without a number (TSIH 0)") }
            stage = .fullFeaturePhase
            try outcome.check()
        default:
            throw .runTime("the target goes from login stage \(stage.rawValue) to stage \(response.rawNextStage)")
        }
    }

    private func refusal(_ status: LoginStatus, _ text: [UInt8]) -> LoadFailure {
        let digits = String(status.rawValue, radix: 16)
        let code = "login status " + String(repeating: "0", count: 4 - digits.count) + digits + "h"
        switch status {
        case .authenticationFailure:
            return .runTime(
                "the target wants authentication such as CHAP, and a bench has none to give (\(code)): "
                    + "let the initiator \(proposal.initiatorName) in without it")
        case .authorizationFailure:
            return .runTime(
                "the target does not let the initiator \(proposal.initiatorName) in (\(code)): "
                    + "name one that it knows with --initiator-name")
        case .notFound, .targetRemoved:
            return .runTime("there is no target \(proposal.targetName) at this portal (\(code))")
        case .targetMovedTemporarily, .targetMovedPermanently:
            let keys = (try? TextParameters(parsing: text)) ?? TextParameters()
            let place = keys[NegotiationKeys.Name.targetAddress] ?? "another portal"
            return .runTime("the target \(proposal.targetName) is to be found at \(place) (\(code)): use that URL")
        case .serviceUnavailable, .outOfResources, .tooManyConnections, .targetError:
            return .runTime("the target takes no further session now: \(status) (\(code))")
        case .success, .initiatorError, .unsupportedVersion, .missingParameter, .cannotIncludeInSession,
            .sessionTypeNotSupported, .sessionDoesNotExist, .invalidDuringLogin:
            return .runTime("the target refuses the login: \(status) (\(code))")
        }
    }
}
