// SPDX-License-Identifier: Apache-2.0

/// The target's side of CHAP (RFC 7143 12.1.3):
///
///     initiator  CHAP_A=5,7                              the hash functions that it has
///     target     CHAP_A=7 CHAP_I=n CHAP_C=0x...          our choice and challenge
///     initiator  CHAP_N=name CHAP_R=0x...                its answer
///                CHAP_I=m CHAP_C=0x...                   and, when it wants to know the target, its challenge
///     target     CHAP_N=name CHAP_R=0x...                our answer to that
///
/// Any other key, or one of these out of turn, ends the login. One authenticator makes one challenge.
struct CHAPAuthenticator: Authenticator {
    private enum State {
        /// Nothing was said.
        case awaitingAlgorithms
        case challenged(Challenge)
        case ended
    }

    private struct Challenge {
        let algorithm: CHAPAlgorithm
        let identifier: UInt8
        let bytes: [UInt8]
    }

    /// What an initiator answers with.
    private struct Answer {
        let name: String
        let response: [UInt8]
        /// The initiator's own challenge.
        let challenge: (identifier: UInt8, bytes: [UInt8])?
    }

    private enum Key {
        static let algorithm = "CHAP_A"
        static let identifier = "CHAP_I"
        static let challenge = "CHAP_C"
        static let name = "CHAP_N"
        static let response = "CHAP_R"
    }

    let method = "CHAP"
    private(set) var authenticatedName: String?
    private let policy: CHAPPolicy
    private var state = State.awaitingAlgorithms

    init(_ policy: CHAPPolicy) { self.policy = policy }

    mutating func receive(_ text: TextParameters) -> AuthenticationStep {
        do throws(AuthenticationFault) {
            switch state {
            case .awaitingAlgorithms:
                let (challenge, reply) = try makeChallenge(text)
                state = .challenged(challenge)
                return .respond(reply)
            case .challenged(let challenge):
                state = .ended
                let (name, reply) = try judge(text, challenge)
                authenticatedName = name
                return .succeed(reply)
            case .ended:
                throw .outOfTurn
            }
        } catch {
            state = .ended
            return .fail(error)
        }
    }

    // MARK: Our challenge

    /// The first of the initiator's algorithms that the policy allows: the order is the initiator's.
    private func makeChallenge(_ text: TextParameters) throws(AuthenticationFault) -> (Challenge, TextParameters) {
        try Self.checkKeys(text, needed: [Key.algorithm])
        guard let offers = CHAPAlgorithm.offers(text[Key.algorithm] ?? "") else { throw .malformed(Key.algorithm) }
        guard let algorithm = offers.first(where: policy.algorithms.contains) else { throw .noCommonAlgorithm }
        // As long as the digest: a shorter one would be the weaker part, a longer one is no stronger.
        let byteCount = algorithm.digestByteCount
        guard let random = policy.cryptography.randomBytes(1 + byteCount), random.count == 1 + byteCount else {
            throw .noRandomBytes
        }
        let challenge = Challenge(algorithm: algorithm, identifier: random[0], bytes: Array(random[1...]))
        return (
            challenge,
            TextParameters([
                .init(Key.algorithm, String(algorithm.rawValue)), .init(Key.identifier, String(challenge.identifier)),
                .init(Key.challenge, BinaryValue.encode(challenge.bytes)),
            ])
        )
    }

    // MARK: The initiator's answer

    private func judge(
        _ text: TextParameters, _ challenge: Challenge
    ) throws(AuthenticationFault) -> (name: String, reply: TextParameters) {
        let answer = try Self.answer(text, challenge.algorithm)
        // RFC 7143 9.2.1: whoever sends our challenge back wants us to answer it in his place.
        if let theirs = answer.challenge, ConstantTime.areEqual(theirs.bytes, challenge.bytes) {
            throw .reflectedChallenge
        }
        // RFC 7143 9.2.1: an answer that we would have given ourselves proves nothing.
        if let target = policy.target {
            let own = try response(to: challenge, with: target.secret)
            if ConstantTime.areEqual(own, answer.response) { throw .reflectedResponse }
        }
        let secret = policy.users[answer.name]
        let expected = try response(to: challenge, with: secret ?? .ofNobody)
        let isRight = ConstantTime.areEqual(expected, answer.response)
        guard secret != nil else { throw .unknownName(answer.name) }
        guard isRight else { throw .wrongResponse(name: answer.name) }
        guard let theirs = answer.challenge else { return (answer.name, TextParameters()) }
        guard let target = policy.target else { throw .noTargetSecret }
        let proof = try policy.cryptography.response(
            challenge.algorithm, identifier: theirs.identifier, secret: target.secret, challenge: theirs.bytes)
        return (
            answer.name,
            TextParameters([.init(Key.name, target.name), .init(Key.response, BinaryValue.encode(proof))])
        )
    }

    private func response(
        to challenge: Challenge, with secret: CHAPSecret
    ) throws(AuthenticationFault) -> [UInt8] {
        try policy.cryptography.response(
            challenge.algorithm, identifier: challenge.identifier, secret: secret, challenge: challenge.bytes)
    }

    private static func answer(
        _ text: TextParameters, _ algorithm: CHAPAlgorithm
    ) throws(AuthenticationFault) -> Answer {
        let mutual = [Key.identifier, Key.challenge]
        let asks = mutual.contains { text[$0] != nil }
        try checkKeys(text, needed: [Key.name, Key.response] + (asks ? mutual : []))
        guard let name = text[Key.name], CHAPCredential.isName(name) else { throw .malformed(Key.name) }
        guard let response = text[Key.response].flatMap(BinaryValue.decode),
            response.count == algorithm.digestByteCount
        else { throw .malformed(Key.response) }
        guard asks else { return Answer(name: name, response: response, challenge: nil) }
        guard let number = text[Key.identifier].flatMap(Negotiation.number),
            let identifier = UInt8(exactly: number)
        else { throw .malformed(Key.identifier) }
        guard let challenge = text[Key.challenge].flatMap(BinaryValue.decode) else {
            throw .malformed(Key.challenge)
        }
        return Answer(name: name, response: response, challenge: (identifier, challenge))
    }

    /// These keys and no other: text parsing has seen to it that none is there twice.
    private static func checkKeys(_ text: TextParameters, needed: [String]) throws(AuthenticationFault) {
        for pair in text.pairs where !needed.contains(pair.key) { throw .unexpected(pair.key) }
        for key in needed where text[key] == nil { throw .missing(key) }
    }
}
