// SPDX-License-Identifier: Apache-2.0
import CCrypto
import TestInitiator

/// CHAP from the initiator's side, with every algorithm and any mistake (RFC 7143 12.1.3).
struct WireAuthentication {
    /// CHAP_A's number, and the library's name of the function.
    enum Algorithm: Int, CaseIterable {
        case md5 = 5
        case sha1, sha256, sha3

        var name: String {
            switch self {
            case .md5: "MD5"
            case .sha1: "SHA1"
            case .sha256: "SHA2-256"
            case .sha3: "SHA3-256"
            }
        }

        func digest(_ bytes: [UInt8]) throws -> [UInt8] {
            var digest = [UInt8](repeating: 0, count: Int(MARTLET_CRYPTO_DIGEST_LIMIT))
            let count = martlet_crypto_digest(name, bytes, bytes.count, &digest)
            guard count > 0 else { throw HarnessError("no \(name)") }
            return Array(digest.prefix(count))
        }
    }

    var initiator = "iqn.2026-11.org.martlet:wire"
    /// Nil: a discovery session.
    var target: String?
    var user = "alice"
    var secret: String
    var algorithm = Algorithm.md5
    /// The target's secret, when it is asked for a proof.
    var targetSecret: String?
    /// In place of the challenge of our own.
    var reflects = false

    static let ownChallenge: [UInt8] = Array(0x30..<0x50)

    /// Logs in as far as the operational stage. Returns the status of the last response (RFC 7143 11.13.5), and
    /// whether the target has proved itself.
    func login(_ connection: WireConnection) throws -> (status: UInt16, isProven: Bool) {
        let (status, keys) = try begin(connection)
        guard status == 0 else { return (status, false) }
        return try finish(connection, keys)
    }

    /// As far as the target's challenge, which is in the keys.
    func begin(_ connection: WireConnection) throws -> (status: UInt16, keys: [String: String]) {
        var names = [("InitiatorName", initiator), ("SessionType", target == nil ? "Discovery" : "Normal")]
        if let target { names.append(("TargetName", target)) }
        let (status, keys) = try say(connection, names + [("AuthMethod", "CHAP,None")])
        guard status == 0 else { return (status, keys) }
        guard keys["AuthMethod"] == "CHAP" else {
            throw HarnessError("AuthMethod is \(keys["AuthMethod"] ?? "absent")")
        }
        return try say(connection, [("CHAP_A", "\(algorithm.rawValue)")])
    }

    /// The answer to the challenge in `keys`, and the end.
    func finish(
        _ connection: WireConnection, _ keys: [String: String]
    ) throws -> (status: UInt16, isProven: Bool) {
        guard let identifier = keys["CHAP_I"].flatMap({ UInt8($0) }), let challenge = keys["CHAP_C"].map(Self.bytes)
        else { throw HarnessError("the challenge is \(keys)") }
        var answer = [
            ("CHAP_N", user), ("CHAP_R", Self.hexadecimal(try response(identifier, secret, challenge))),
        ]
        let own = reflects ? challenge : Self.ownChallenge
        if targetSecret != nil { answer += [("CHAP_I", "9"), ("CHAP_C", Self.hexadecimal(own))] }
        let (status, reply) = try say(connection, answer, flags: 0x81)
        guard status == 0, let targetSecret else { return (status, false) }
        let proof = try response(9, targetSecret, own)
        return (status, reply["CHAP_R"].map(Self.bytes) == proof && reply["CHAP_N"] != nil)
    }

    /// One Login Request of the security stage. Default flags: T=0, CSG=0.
    private func say(
        _ connection: WireConnection, _ keys: [(String, String)], flags: UInt8 = 0
    ) throws -> (status: UInt16, keys: [String: String]) {
        try connection.send(WireSession.loginRequest(keys, flags: flags))
        let response = try connection.receivePDU()
        guard response.opcode == WirePDU.Opcode.loginResponse else { throw HarnessError("\(response.header)") }
        return (UInt16(response.header[36]) << 8 | UInt16(response.header[37]), response.data.textPairs)
    }

    /// RFC 1994 4.1.
    private func response(_ identifier: UInt8, _ secret: String, _ challenge: [UInt8]) throws -> [UInt8] {
        try algorithm.digest([identifier] + Array(secret.utf8) + challenge)
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        "0x" + bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private static func bytes(_ text: String) -> [UInt8] {
        let digits = text.dropFirst(2).compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
