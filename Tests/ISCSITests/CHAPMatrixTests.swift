// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

/// Every algorithm, one-way and mutual: right, wrong, reflected, malformed.
@Suite("CHAP: the matrix")
struct CHAPMatrixTests {
    typealias Talk = CHAPTalk

    private func begin(_ vector: CHAPVector, mutual: Bool) throws -> Talk {
        var talk = try Talk(mutual: mutual)
        let step = talk.offer(String(vector.algorithm.rawValue))
        let keys = step.keys
        #expect(keys["CHAP_A"] == String(vector.algorithm.rawValue))
        #expect(keys["CHAP_I"] == "64")
        #expect(keys["CHAP_C"] == "0x" + Talk.hex(Talk.challenge(vector.algorithm)))
        #expect(step.response?.transits == false)
        return talk
    }

    /// Without the algorithms' own names and with proof asked for where the policy is mutual.
    private func expectRefused(
        _ vector: CHAPVector, mutual: Bool, _ text: String, _ fault: AuthenticationFault,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var talk = try begin(vector, mutual: mutual)
        let step = talk.say(text)
        #expect(step.refusal == fault.status, "\(text)", sourceLocation: sourceLocation)
        #expect(talk.fault == fault, "\(text)", sourceLocation: sourceLocation)
        #expect(step.keys.pairs.isEmpty, sourceLocation: sourceLocation)
        #expect(
            talk.say(text).refusal == .invalidDuringLogin, "a second try", sourceLocation: sourceLocation)
    }

    @Test("The right secret is let in, in every way to write the response", arguments: CHAPVector.all, [false, true])
    func right(vector: CHAPVector, mutual: Bool) throws {
        let bytes = Talk.unhex(vector.response)
        let forms = [
            "0x" + vector.response, "0X" + vector.response.uppercased(), "0b" + Talk.base64(bytes),
            "0B" + Talk.base64(bytes),
        ]
        for form in forms {
            var talk = try begin(vector, mutual: mutual)
            let step = talk.say("CHAP_N=alice|CHAP_R=\(form)" + (mutual ? Talk.asksForProof : ""))
            #expect(step.refusal == nil, "\(form)")
            #expect(step.response?.transits == true)
            let expected =
                mutual
                ? [.init("CHAP_N", "disk"), .init("CHAP_R", "0x" + vector.targetResponse)] : [TextParameters.Pair]()
            #expect(step.keys.pairs.filter { $0.key.hasPrefix("CHAP") } == expected)
            let outcome = talk.talk.send("", from: LoginTalk.operational, to: LoginTalk.fullFeature).outcome
            #expect(outcome?.authenticatedName == "alice")
            #expect(talk.fault == nil)
        }
    }

    @Test("An initiator that does not ask for the target's proof gets none", arguments: CHAPVector.all)
    func proofNotAsked(vector: CHAPVector) throws {
        var talk = try begin(vector, mutual: true)
        let step = talk.say("CHAP_N=alice|CHAP_R=0x\(vector.response)")
        #expect(step.response?.transits == true)
        #expect(step.keys.pairs.filter { $0.key.hasPrefix("CHAP") }.isEmpty)
    }

    @Test("A target without a secret of its own cannot prove itself, and says so", arguments: CHAPVector.all)
    func noProof(vector: CHAPVector) throws {
        try expectRefused(
            vector, mutual: false, "CHAP_N=alice|CHAP_R=0x\(vector.response)" + Talk.asksForProof, .noTargetSecret)
    }

    @Test("A wrong secret is refused: one bit of any byte is enough", arguments: CHAPVector.all, [false, true])
    func wrong(vector: CHAPVector, mutual: Bool) throws {
        let proof = mutual ? Talk.asksForProof : ""
        let right = Talk.unhex(vector.response)
        for index in right.indices {
            var bytes = right
            bytes[index] ^= 1 << UInt8(index % 8)
            try expectRefused(
                vector, mutual: mutual, "CHAP_N=alice|CHAP_R=0x\(Talk.hex(bytes))" + proof,
                .wrongResponse(name: "alice"))
        }
        for name in ["bob", "Alice", "alice ", "disk"] {
            try expectRefused(
                vector, mutual: mutual, "CHAP_N=\(name)|CHAP_R=0x\(vector.response)" + proof, .unknownName(name))
        }
    }

    @Test("The secret of no user is known to nobody", arguments: CHAPVector.all)
    func secretOfNobody(vector: CHAPVector) throws {
        // What the target computes for a name that it does not know, too.
        let zeroes = [UInt8](repeating: 0, count: 12)
        let response = Talk.digest(
            vector.algorithm, [Talk.identifier] + zeroes + Talk.challenge(vector.algorithm))
        try expectRefused(
            vector, mutual: false, "CHAP_N=nobody|CHAP_R=0x\(Talk.hex(response))", .unknownName("nobody"))
    }

    @Test("Our own challenge sent back is refused, also with the right response", arguments: CHAPVector.all)
    func reflectedChallenge(vector: CHAPVector) throws {
        let challenge = Talk.challenge(vector.algorithm)
        for written in ["0x" + Talk.hex(challenge), "0X" + Talk.hex(challenge), "0b" + Talk.base64(challenge)] {
            for identifier in ["64", "0x40", "65", "0"] {
                for mutual in [true, false] {
                    try expectRefused(
                        vector, mutual: mutual,
                        "CHAP_N=alice|CHAP_R=0x\(vector.response)|CHAP_I=\(identifier)|CHAP_C=\(written)",
                        .reflectedChallenge)
                }
            }
        }
    }

    @Test("The target's own response is refused, whatever name comes with it", arguments: CHAPVector.all)
    func reflectedResponse(vector: CHAPVector) throws {
        for name in ["alice", "disk", "bob"] {
            for proof in ["", Talk.asksForProof] {
                try expectRefused(
                    vector, mutual: true, "CHAP_N=\(name)|CHAP_R=0x\(vector.reflection)" + proof, .reflectedResponse)
            }
        }
    }

    /// The fault's key, and the value that has it. R: the right response; C: a challenge.
    static let malformed: [(String, String)] = [
        ("CHAP_R", ""), ("CHAP_R", "R"), ("CHAP_R", "0"), ("CHAP_R", "0x"), ("CHAP_R", "0b"), ("CHAP_R", "x0R"),
        ("CHAP_R", "0xR00"), ("CHAP_R", "0x00R"), ("CHAP_R", "0xRg"), ("CHAP_R", "0x R"), ("CHAP_R", "0xR "),
        ("CHAP_R", "0bR=="), ("CHAP_R", "0b===="), ("CHAP_R", "12345"), ("CHAP_R", "Reject"), ("CHAP_R", "0x+R"),
        ("CHAP_R", "0x0"), ("CHAP_R", "0o17"), ("CHAP_R", "0bQQ"), ("CHAP_R", "0bQQ="), ("CHAP_R", "0bQR=="),
        ("CHAP_R", "0bQ=Q="), ("CHAP_R", "0b-_-_"), ("CHAP_R", "0xé"),
        ("CHAP_N", ""), ("CHAP_N", String(repeating: "n", count: 256)), ("CHAP_N", String(repeating: "é", count: 128)),
        ("CHAP_I", ""), ("CHAP_I", "256"), ("CHAP_I", "-1"), ("CHAP_I", "+1"), ("CHAP_I", "07"), ("CHAP_I", "1,2"),
        ("CHAP_I", "0x100"), ("CHAP_I", "0x"), ("CHAP_I", "0bAQ=="), ("CHAP_I", "99999999999999999999"),
        ("CHAP_I", "one"), ("CHAP_I", "1 "),
        ("CHAP_C", ""), ("CHAP_C", "0x"), ("CHAP_C", "0b"), ("CHAP_C", "0x" + String(repeating: "00", count: 1025)),
        ("CHAP_C", "0x" + String(repeating: "0", count: 2049)), ("CHAP_C", "0xxyz"), ("CHAP_C", "a0a1"),
        ("CHAP_C", "0b" + String(repeating: "AAAA", count: 342)), ("CHAP_C", "0b@@@@"), ("CHAP_C", "17"),
        ("CHAP_C", "0b" + String(repeating: "A", count: 4000)), ("CHAP_C", "0x" + String(repeating: "f", count: 8000)),
    ]

    @Test("A malformed value of any key is refused", arguments: CHAPVector.all)
    func malformed(vector: CHAPVector) throws {
        for (key, value) in Self.malformed {
            var keys = ["CHAP_N": "alice", "CHAP_R": "0x" + vector.response, "CHAP_I": "7", "CHAP_C": "0xa0a1"]
            keys[key] = key == "CHAP_R" ? value.replacing("R", with: vector.response, maxReplacements: 1) : value
            if value == "Reject" { keys[key] = value }
            let text = keys.map { "\($0)=\($1)" }.joined(separator: "|")
            try expectRefused(vector, mutual: true, text, .malformed(key))
        }
    }

    @Test("A response of another algorithm's length is malformed", arguments: CHAPVector.all)
    func otherLengths(vector: CHAPVector) throws {
        let right = Talk.unhex(vector.response)
        for count in [1, 15, 16, 17, 19, 20, 21, 31, 32, 33, 64, 1024] where count != right.count {
            let bytes = Array((right + [UInt8](repeating: 0, count: 1024)).prefix(count))
            try expectRefused(
                vector, mutual: false, "CHAP_N=alice|CHAP_R=0x\(Talk.hex(bytes))", .malformed("CHAP_R"))
        }
    }

    @Test("Odd hexadecimal digits have half a byte in front (RFC 7143 6.1)")
    func oddDigits() throws {
        // The first byte of this response is 0Ah or so for none of the vectors: a library that makes it so.
        let zero = CHAPCryptography(
            digest: { algorithm, _ in [0x0C] + [UInt8](repeating: 0x77, count: algorithm.digestByteCount - 1) },
            randomBytes: { CHAPTalk.randomBytes($0) })
        var talk = try Talk(cryptography: zero)
        _ = talk.offer("5")
        #expect(talk.say("CHAP_N=alice|CHAP_R=0xc" + String(repeating: "77", count: 15)).response?.transits == true)
    }
}
