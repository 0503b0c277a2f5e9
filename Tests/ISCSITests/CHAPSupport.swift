// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

/// What Python's hashlib makes of the identifiers, secrets and challenges of these tests: the expected bytes come from
/// elsewhere.
struct CHAPVector: CustomTestStringConvertible {
    let algorithm: CHAPAlgorithm
    /// Of 40h, "correct horse battery" and the challenge that `CHAPTalk.randomBytes` gives.
    let response: String
    /// Of 07h, "the target's own secret" and A0h to AFh.
    let targetResponse: String
    /// The target's own answer to its own challenge: of 40h, "the target's own secret" and its challenge.
    let reflection: String

    var testDescription: String { algorithm.name }

    static let all = [
        CHAPVector(
            algorithm: .md5, response: "3a1f3ad82eeceaed221c724cf1f7ddf6",
            targetResponse: "614103293ff23c9cfb46a6c0e97f418c", reflection: "95ff1c2296ed756475794f9117c7b233"),
        CHAPVector(
            algorithm: .sha1, response: "ca1d33106b1767c4fe6df776ec274a1d457de9c6",
            targetResponse: "ccb22986d8cfbda0b26e12ba8f48678f6fba2537",
            reflection: "40a413db19217c1605faa57bda4cdd42b64bb6eb"),
        CHAPVector(
            algorithm: .sha256, response: "527fb291512569c045fddab4bbd5868b313308840c3be76dbc49efe1f8f9153a",
            targetResponse: "fd850398f62f6d198341d385788fddade23acab392b8a58a101b334b8feea30e",
            reflection: "d77a186ccb7b0638c168eb72efda40b3b238f2d651c14082a09fc2c3dd98ed01"),
        CHAPVector(
            algorithm: .sha3With256Bits, response: "80a4849de4831ec038fb6646ad0c1cb3e4021abe2aba912cfcaa4df40ef0dd92",
            targetResponse: "4252ec3e4926e4f14ce4c129a80f9563f79222e5816104ae4d9275dbe5721799",
            reflection: "e7ad9489d7cf7d053373924927efcc24f35c84d03d79bfe4696d2c9b77fc0d98"),
    ]

    static func of(_ algorithm: CHAPAlgorithm) -> CHAPVector { all.first { $0.algorithm == algorithm }! }
}

/// A login by CHAP, seen from the initiator.
struct CHAPTalk {
    static let user = "alice"
    static let secret = "correct horse battery"
    static let targetUser = "disk"
    static let targetSecret = "the target's own secret"
    /// What `randomBytes` makes the target send.
    static let identifier: UInt8 = 0x40
    /// The initiator's own challenge to the target.
    static let ownChallenge = [UInt8](0xA0..<0xB0)
    static let asksForProof = "|CHAP_I=7|CHAP_C=0x" + hex(ownChallenge)

    var talk: LoginTalk

    init(
        mutual: Bool = false, algorithms: [CHAPAlgorithm] = CHAPAlgorithm.allCases, users: [String: String]? = nil,
        cryptography: CHAPCryptography = known, tsih: UInt16 = 0
    ) throws {
        let users = users ?? [Self.user: Self.secret]
        let policy = try CHAPPolicy(
            users: users.map { try Self.credential($0, $1) },
            target: mutual ? Self.credential(Self.targetUser, Self.targetSecret) : nil,
            algorithms: Set(algorithms), cryptography: cryptography)
        talk = LoginTalk(FakeDirectory(policy: policy), tsih: tsih)
    }

    static func credential(_ name: String, _ secret: String) throws -> CHAPCredential {
        let secret = try #require(CHAPSecret(Array(secret.utf8)))
        return try #require(CHAPCredential(name: name, secret: secret))
    }

    /// Names, AuthMethod, and CHAP_A. The answer to the last.
    mutating func offer(_ list: String) -> LoginStep {
        _ = talk.send(LoginTalk.names + "|AuthMethod=CHAP", from: LoginTalk.security, to: LoginTalk.operational)
        return say("CHAP_A=\(list)")
    }

    /// Goes on in the security stage, and asks to leave it.
    mutating func say(_ text: String) -> LoginStep {
        talk.send(text, from: LoginTalk.security, to: LoginTalk.operational)
    }

    var fault: AuthenticationFault? { talk.machine.authenticationFault }

    // MARK: A crypto library that can be foretold

    /// Knows the vectors; anything else has a digest that is none, but depends on every byte.
    static let known = CHAPCryptography(digest: { digest($0, $1) }, randomBytes: { randomBytes($0) })

    static func randomBytes(_ count: Int) -> [UInt8] { (0..<count).map { identifier + UInt8($0) } }

    /// The challenge that follows from `randomBytes`.
    static func challenge(_ algorithm: CHAPAlgorithm) -> [UInt8] {
        Array(randomBytes(1 + algorithm.digestByteCount)[1...])
    }

    static func digest(_ algorithm: CHAPAlgorithm, _ bytes: [UInt8]) -> [UInt8] {
        let vector = CHAPVector.of(algorithm)
        switch bytes {
        case [identifier] + Array(secret.utf8) + challenge(algorithm): return unhex(vector.response)
        case [identifier] + Array(targetSecret.utf8) + challenge(algorithm): return unhex(vector.reflection)
        case [7] + Array(targetSecret.utf8) + ownChallenge: return unhex(vector.targetResponse)
        default:
            let seed = bytes.reduce(UInt64(algorithm.rawValue)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            var generator = SeededGenerator(seed: seed)
            return generator.bytes(algorithm.digestByteCount)
        }
    }

    static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    static func unhex(_ text: String) -> [UInt8] {
        let digits = text.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    /// RFC 4648, padded.
    static func base64(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = Array(bytes[start...].prefix(3))
            let bits = (0..<3).reduce(0) { $0 << 8 | ($1 < group.count ? Int(group[$1]) : 0) }
            for place in 0..<4 {
                text += place <= group.count ? String(letters[bits >> (18 - 6 * place) & 63]) : "="
            }
        }
        return text
    }
}
