// SPDX-License-Identifier: Apache-2.0

internal import CCrypto
public import ISCSI

/// OpenSSL's libcrypto, as CHAP needs it.
public enum CryptoLibrary {
    public static let chap = CHAPCryptography(digest: { digest($0, $1) }, randomBytes: { randomBytes($0) })

    /// Nil when the library can compute this; otherwise what it says. A machine that is configured for FIPS has no MD5.
    public static func objection(to algorithm: CHAPAlgorithm) -> String? {
        if digest(algorithm, []) != nil { return nil }
        let words = lastError()
        return words.isEmpty ? "it gives no reason" : words
    }

    private static func digest(_ algorithm: CHAPAlgorithm, _ bytes: [UInt8]) -> [UInt8]? {
        var digest = [UInt8](repeating: 0, count: Int(MARTLET_CRYPTO_DIGEST_LIMIT))
        // Both arrays live through the call; the second has the room that is asked for.
        let count = unsafe martlet_crypto_digest(name(of: algorithm), bytes, bytes.count, &digest)
        return count == algorithm.digestByteCount ? Array(digest.prefix(count)) : nil
    }

    private static func randomBytes(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        // Writes as many bytes as there are.
        return unsafe martlet_crypto_random(&bytes, bytes.count) ? bytes : nil
    }

    private static func lastError() -> String {
        var text = [CChar](repeating: 0, count: 256)
        // Ends within the room that it is told of.
        unsafe martlet_crypto_error(&text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Names of EVP_MD_fetch(3).
    private static func name(of algorithm: CHAPAlgorithm) -> String {
        switch algorithm {
        case .md5: "MD5"
        case .sha1: "SHA1"
        case .sha256: "SHA2-256"
        case .sha3With256Bits: "SHA3-256"
        }
    }
}
