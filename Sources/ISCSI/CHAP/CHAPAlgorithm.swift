// SPDX-License-Identifier: Apache-2.0

/// Hash functions of CHAP, by their numbers in CHAP_A (RFC 7143 12.1.3; IANA, "PPP Authentication Algorithms").
/// The order of the numbers is that of their strength.
public enum CHAPAlgorithm: UInt8, CaseIterable, Comparable, Sendable {
    /// The one that every initiator must offer.
    case md5 = 5
    case sha1 = 6
    case sha256 = 7
    case sha3With256Bits = 8

    /// Bytes of a response.
    public var digestByteCount: Int {
        switch self {
        case .md5: 16
        case .sha1: 20
        case .sha256, .sha3With256Bits: 32
        }
    }

    /// As configurations write it.
    public var name: String {
        switch self {
        case .md5: "md5"
        case .sha1: "sha1"
        case .sha256: "sha256"
        case .sha3With256Bits: "sha3-256"
        }
    }

    public static func < (left: CHAPAlgorithm, right: CHAPAlgorithm) -> Bool { left.rawValue < right.rawValue }

    /// Entries of one CHAP_A: several times what there is.
    static let offerLimit = 64

    /// The algorithms of a CHAP_A in the initiator's order, those unknown to us left out. Nil when it is no list of
    /// numbers of one byte.
    static func offers(_ list: String) -> [CHAPAlgorithm]? {
        let items = list.split(separator: ",", maxSplits: offerLimit, omittingEmptySubsequences: false)
        guard items.count <= offerLimit else { return nil }
        var offers: [CHAPAlgorithm] = []
        for item in items {
            guard let number = Negotiation.number(String(item)), let byte = UInt8(exactly: number) else { return nil }
            if let algorithm = CHAPAlgorithm(rawValue: byte) { offers.append(algorithm) }
        }
        return offers
    }
}

/// What CHAP needs of a crypto library. Nil: the library has failed, or has no such function.
public struct CHAPCryptography: Sendable {
    /// The digest of some bytes.
    public let digest: @Sendable (CHAPAlgorithm, [UInt8]) -> [UInt8]?
    /// So many bytes that nobody can foretell.
    public let randomBytes: @Sendable (Int) -> [UInt8]?

    public init(
        digest: @escaping @Sendable (CHAPAlgorithm, [UInt8]) -> [UInt8]?,
        randomBytes: @escaping @Sendable (Int) -> [UInt8]?
    ) {
        self.digest = digest
        self.randomBytes = randomBytes
    }

    /// The response to a challenge (RFC 1994 4.1): the digest of the identifier, the secret and the challenge.
    func response(
        _ algorithm: CHAPAlgorithm, identifier: UInt8, secret: CHAPSecret, challenge: [UInt8]
    ) throws(AuthenticationFault) -> [UInt8] {
        guard let response = digest(algorithm, [identifier] + secret.bytes + challenge),
            response.count == algorithm.digestByteCount
        else { throw .noDigest(algorithm) }
        return response
    }
}
