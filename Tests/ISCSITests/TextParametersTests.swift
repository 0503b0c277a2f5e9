// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("TextParameters")
struct TextParametersTests {
    private func parse(_ text: String) throws -> TextParameters { try TextParameters(parsing: Array(text.utf8)) }

    @Test("Pairs are read in order and written again")
    func roundTrip() throws {
        let text = "InitiatorName=iqn.2026-11.org.example:a\0MaxBurstLength=262144\0X-com.example.a@b+c_d=\0"
        let parameters = try parse(text)
        #expect(parameters.pairs.map(\.key) == ["InitiatorName", "MaxBurstLength", "X-com.example.a@b+c_d"])
        #expect(parameters["MaxBurstLength"] == "262144")
        #expect(parameters["X-com.example.a@b+c_d"] == "")
        #expect(parameters["MaxConnections"] == nil)
        #expect(parameters.encoded == Array(text.utf8))
    }

    static let legal: [(String, [String])] = [
        ("", []), ("\0", []), ("\0\0A=b\0\0\0", ["A"]), ("A=\0", ["A"]), ("A=b=c\0", ["A"]), ("A=é\0", ["A"]),
        ("iSCSIProtocolLevel=1\0", ["iSCSIProtocolLevel"]), ("A=x\0a=x\0", ["A", "a"]),
        ("X#NodeArchitecture=x86\0", ["X#NodeArchitecture"]),
    ]

    @Test("Unusual texts that are legal", arguments: legal.indices)
    func unusual(index: Int) throws {
        #expect(try parse(Self.legal[index].0).pairs.map(\.key) == Self.legal[index].1)
    }

    static let illegal: [(String, TextError)] = [
        ("A=b", .unterminated), ("A=b\0C=d", .unterminated), ("A", .unterminated), ("A\0", .missingDelimiter),
        ("A=b\0C\0", .missingDelimiter), ("=b\0", .illegalKey), ("1A=b\0", .illegalKey), ("-A=b\0", .illegalKey),
        ("A B=c\0", .illegalKey), ("A/B=c\0", .illegalKey), ("Aé=c\0", .illegalKey), ("A,B=c\0", .illegalKey),
        (" A=b\0", .illegalKey), ("A=b\0A=c\0", .duplicateKey), ("A=b\0B=b\0A=b\0", .duplicateKey),
    ]

    @Test("Texts against the rules are refused", arguments: illegal.indices)
    func refused(index: Int) {
        #expect(throws: Self.illegal[index].1) { try parse(Self.illegal[index].0) }
    }

    @Test("Limits are met exactly")
    func limits() throws {
        let key = "K" + String(repeating: "k", count: TextParameters.keyByteLimit - 1)
        #expect(try parse("\(key)=1\0").pairs.count == 1)
        #expect(throws: TextError.illegalKey) { try parse("\(key)k=1\0") }

        let value = String(repeating: "v", count: TextParameters.valueByteLimit)
        #expect(try parse("A=\(value)\0")["A"] == value)
        #expect(throws: TextError.illegalValue) { try parse("A=\(value)v\0") }

        let many = (0..<TextParameters.pairLimit).map { "K\($0)=v\0" }.joined()
        #expect(try parse(many).pairs.count == TextParameters.pairLimit)
        #expect(throws: TextError.tooLong) { try parse(many + "Z=v\0") }

        let long = [UInt8](repeating: 0, count: TextParameters.byteLimit)
        #expect(try TextParameters(parsing: long).pairs.isEmpty)
        #expect(throws: TextError.tooLong) { try TextParameters(parsing: long + [0]) }
    }

    @Test(
        "A value that is no UTF-8 is refused",
        arguments: [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] as [[UInt8]])
    func notUTF8(bytes: [UInt8]) {
        #expect(throws: TextError.illegalValue) { try TextParameters(parsing: Array("A=".utf8) + bytes + [0]) }
    }

    @Test("No bytes make the parser trap, and what it takes it would write as it took it", arguments: Seeds.some)
    func fuzz(seed: UInt64) throws {
        var any = SeededGenerator(seed: seed)
        let alphabet = Array("AZaz09=\0\0,.-_ é".utf8) + [0xFF]
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &any)).map { _ in alphabet.randomElement(using: &any)! }
            guard let parameters = try? TextParameters(parsing: bytes) else { continue }
            #expect(try TextParameters(parsing: parameters.encoded) == parameters)
        }
    }
}
