// SPDX-License-Identifier: Apache-2.0

/// Why an authentication failed: for the operator's log. The initiator learns the status alone, which is the same for
/// a wrong name and a wrong secret.
public enum AuthenticationFault: Error, Equatable, Sendable {
    /// A key that has no place in this step.
    case unexpected(String)
    case missing(String)
    /// The key's value is not written as RFC 7143 6.1 and 12.1.3 ask, or too long.
    case malformed(String)
    /// Something came after the end.
    case outOfTurn
    /// The initiator offers no hash function that the policy allows.
    case noCommonAlgorithm
    case unknownName(String)
    case wrongResponse(name: String)
    case reflectedChallenge
    case reflectedResponse
    /// The initiator asks who the target is, and the target has no secret to prove it by.
    case noTargetSecret
    /// Too many failed before, from the same address.
    case tooManyFailures
    /// The crypto library has failed, or has no such function.
    case noDigest(CHAPAlgorithm)
    case noRandomBytes

    /// What the initiator is told (RFC 7143 11.13.5). RFC 7143 12.1.3 knows one answer to whatever is wrong in an
    /// exchange; what is not the initiator's fault is told apart, because then it may try again.
    public var status: LoginStatus {
        switch self {
        case .unexpected, .missing, .malformed, .outOfTurn, .noCommonAlgorithm, .unknownName, .wrongResponse,
            .reflectedChallenge, .reflectedResponse, .noTargetSecret:
            .authenticationFailure
        case .tooManyFailures: .serviceUnavailable
        case .noDigest, .noRandomBytes: .targetError
        }
    }

    /// Whether it may have been an attempt to get in without the secret. Two sides whose settings do not fit together
    /// are no attack.
    public var isAttempt: Bool {
        switch self {
        case .unexpected, .missing, .malformed, .outOfTurn, .unknownName, .wrongResponse, .reflectedChallenge,
            .reflectedResponse:
            true
        case .noCommonAlgorithm, .noTargetSecret, .tooManyFailures, .noDigest, .noRandomBytes: false
        }
    }
}

extension AuthenticationFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unexpected(let key): "\(key) has no place in this step of CHAP"
        case .missing(let key): "\(key) is missing"
        case .malformed(let key): "the value of \(key) is malformed"
        case .outOfTurn: "the authentication had ended"
        case .noCommonAlgorithm: "the initiator offers no hash algorithm that min-algorithm allows"
        case .unknownName(let name): "no user \"\(name)\" is known here"
        case .wrongResponse(let name): "the response of the user \"\(name)\" is wrong"
        case .reflectedChallenge: "the initiator sent our own challenge back"
        case .reflectedResponse: "the initiator's response is the target's own"
        case .noTargetSecret: "the initiator asks the target to authenticate itself, which has no mutual secret"
        case .tooManyFailures: "too many authentications from its address have failed"
        case .noDigest(let algorithm): "the crypto library cannot compute \(algorithm.name)"
        case .noRandomBytes: "the crypto library has no random bytes"
        }
    }
}
