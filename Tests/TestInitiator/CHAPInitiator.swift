// SPDX-License-Identifier: Apache-2.0

/// The initiator's side of CHAP (RFC 7143 12.1.3), for `SessionOptions.authenticate`. The digests come from the test:
/// this library knows none.
package final class CHAPInitiator {
    package enum Encoding: Sendable, CaseIterable {
        case hexadecimal
        case base64
    }

    package var name: String
    package var secret: [UInt8]
    /// CHAP_A values, in order of preference.
    package var algorithms: [Int]
    /// The digest of an algorithm over bytes.
    package var digest: (Int, [UInt8]) throws -> [UInt8]
    package var encoding = Encoding.hexadecimal
    /// Asks the target to authenticate itself with this secret.
    package var targetSecret: [UInt8]?
    /// What the target is asked: an identifier and a challenge of our own.
    package var identifier: UInt8 = 0x42
    package var challenge = [UInt8]((0..<16).map { $0 &* 37 &+ 11 })
    /// Changes the keys of a step before they are said.
    package var change: ((inout TextKeys) -> Void)?
    /// The algorithm that the target chose.
    package private(set) var algorithm: Int?
    private var hasAnswered = false

    package init(name: String, secret: [UInt8], algorithms: [Int], digest: @escaping (Int, [UInt8]) throws -> [UInt8]) {
        self.name = name
        self.secret = secret
        self.algorithms = algorithms
        self.digest = digest
    }

    /// Makes these options log in by CHAP.
    package func use(in options: inout SessionOptions) {
        options.beginsWithSecurity = true
        options.authMethod = "CHAP"
        options.authenticate = { [self] in try next($0) }
    }

    /// The target's keys of one response in, ours of the next request out.
    private func next(_ keys: TextKeys) throws -> TextKeys? {
        func value(_ key: String) -> String? { keys.first { $0.key == key }?.value }
        var said: TextKeys
        if let chosen = value("CHAP_A") {
            guard let number = Int(chosen), algorithms.contains(number), let identifier = value("CHAP_I"),
                let byte = UInt8(identifier), let challenge = value("CHAP_C").flatMap(Self.decode)
            else { throw InitiatorFailure.violation("a challenge that cannot be: \(keys)") }
            algorithm = number
            said = [("CHAP_N", name), ("CHAP_R", encode(try digest(number, [byte] + secret + challenge)))]
            if targetSecret != nil {
                said += [("CHAP_I", String(self.identifier)), ("CHAP_C", encode(self.challenge))]
            }
            hasAnswered = true
        } else if let method = value("AuthMethod") {
            guard method == "CHAP" else {
                throw InitiatorFailure.violation("AuthMethod=CHAP was answered with \(keys)")
            }
            // The beginning of a login: of the session, or of another connection of it.
            hasAnswered = false
            said = [("CHAP_A", algorithms.map(String.init).joined(separator: ","))]
        } else {
            guard hasAnswered else { throw InitiatorFailure.violation("AuthMethod=CHAP was answered with \(keys)") }
            guard let targetSecret, let algorithm else { return nil }
            let right = try digest(algorithm, [identifier] + targetSecret + challenge)
            guard value("CHAP_N") != nil, value("CHAP_R").flatMap(Self.decode) == right else {
                throw InitiatorFailure.violation("the target does not authenticate itself: \(keys)")
            }
            return nil
        }
        change?(&said)
        return said
    }

    // MARK: Binary values (RFC 7143 6.1)

    private static let alphabet = [UInt8]("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private func encode(_ bytes: [UInt8]) -> String {
        switch encoding {
        case .hexadecimal:
            let digits = Array("0123456789abcdef")
            return "0x" + bytes.map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }.joined()
        case .base64:
            var text = "0b"
            for start in stride(from: 0, to: bytes.count, by: 3) {
                let group = bytes[start..<min(start + 3, bytes.count)]
                let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
                for index in 0...3 {
                    let isData = index <= group.count
                    text += isData ? String(UnicodeScalar(Self.alphabet[bits >> (18 - 6 * index) & 63])) : "="
                }
            }
            return text
        }
    }

    private static func decode(_ text: String) -> [UInt8]? {
        let body = [UInt8](text.utf8.dropFirst(2))
        switch text.prefix(2).lowercased() {
        case "0x":
            let digits = body.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
            guard digits.count == body.count, digits.count % 2 == 0 else { return nil }
            return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        case "0b":
            var bytes: [UInt8] = []
            var bits = 0
            var count = 0
            for character in body where character != UInt8(ascii: "=") {
                guard let value = alphabet.firstIndex(of: character) else { return nil }
                bits = bits << 6 | value
                count += 6
                if count >= 8 {
                    count -= 8
                    bytes.append(UInt8(truncatingIfNeeded: bits >> count))
                    bits &= 1 << count - 1
                }
            }
            return bytes
        default: return nil
        }
    }
}
