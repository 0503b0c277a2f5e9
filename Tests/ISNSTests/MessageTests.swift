// SPDX-License-Identifier: Apache-2.0

import ISNS
import Testing

@Suite("iSNS messages")
struct ISNSMessageTests {
    static let name = ISNSAttribute(tag: ISNSTag.iscsiName, text: "iqn.a")

    @Test(
        "An attribute is tag, length and padded value",
        arguments: [
            (ISNSAttribute.delimiter, [0, 0, 0, 0, 0, 0, 0, 0] as [UInt8]),
            (name, [0, 0, 0, 32, 0, 0, 0, 8, 0x69, 0x71, 0x6E, 0x2E, 0x61, 0, 0, 0]),
            // Text of four bytes needs a zero byte all the same.
            (ISNSAttribute(tag: 1, text: "abcd"), [0, 0, 0, 1, 0, 0, 0, 8, 0x61, 0x62, 0x63, 0x64, 0, 0, 0, 0]),
            (ISNSAttribute(tag: 17, number: 3260), [0, 0, 0, 17, 0, 0, 0, 4, 0, 0, 0x0C, 0xBC]),
            (ISNSAttribute(tag: 1), [0, 0, 0, 1, 0, 0, 0, 0]),
        ])
    func attribute(attribute: ISNSAttribute, bytes: [UInt8]) throws {
        #expect(attribute.bytes == bytes)
        #expect(try ISNSAttribute.list(bytes[...]) == [attribute])
    }

    @Test(
        "Attributes with impossible lengths are refused",
        arguments: [
            ([0, 0, 0, 1], ISNSError.truncated),
            ([0, 0, 0, 1, 0, 0, 0], .truncated),
            ([0, 0, 0, 1, 0, 0, 0, 4, 1, 2, 3], .truncated),
            ([0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFC], .truncated),
            ([0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF], .misaligned),
            ([0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3], .misaligned),
            ([0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4], .attributeLength(0)),
            ([0, 0, 0, 6, 0, 0, 0, 8, 1, 2, 3, 4, 1, 2, 3, 4], .attributeLength(6)),
            ([0, 0, 0, 16, 0, 0, 0, 4, 1, 2, 3, 4], .attributeLength(16)),
        ] as [([UInt8], ISNSError)])
    func illegalAttribute(bytes: [UInt8], error: ISNSError) {
        #expect(throws: error) { try ISNSAttribute.list(bytes[...]) }
    }

    @Test("Text that is no UTF-8 is no text, and a number has four bytes")
    func values() {
        #expect(ISNSAttribute(tag: 1, value: [0xFF, 0xFE, 0, 0]).text == nil)
        #expect(Self.name.text == "iqn.a")
        #expect(Self.name.number == nil)
        #expect(ISNSAttribute(tag: 6, value: []).number == nil)
    }

    @Test("A request is one PDU: its header says all")
    func request() {
        let message = ISNSMessage.request(.devDereg, transaction: 0x0102, [Self.name, .delimiter])
        #expect(
            message.bytes() == [0, 1, 0, 4, 0, 24, 0x8C, 0, 1, 2, 0, 0] + Self.name.bytes
                + ISNSAttribute.delimiter.bytes)
    }

    @Test("A long message goes in several PDUs, and comes back whole in any pieces", arguments: [1, 3, 12, 13, 1000])
    func fragments(step: Int) throws {
        let payload = (0..<100).map { UInt8($0) }
        let message = ISNSMessage(function: 0x8002, flags: .server, transaction: 7, payload: payload)
        let bytes = message.bytes(payloadLimit: 40)
        #expect(bytes.count == 100 + 3 * 12)
        // First, neither, last: with sequences 0, 1, 2.
        #expect([bytes[6], bytes[11]] == [0x44, 0] && [bytes[58], bytes[63]] == [0x40, 1])
        #expect([bytes[110], bytes[115]] == [0x48, 2])
        var reader = ISNSMessageReader()
        var found: [ISNSMessage] = []
        for start in stride(from: 0, to: bytes.count, by: step) {
            reader.append(bytes[start..<min(start + step, bytes.count)])
            while let next = try reader.next() { found.append(next) }
        }
        #expect(found == [message])
        #expect(reader.heldByteCount == 0)
    }

    @Test("An empty message is a message")
    func empty() throws {
        var reader = ISNSMessageReader()
        let message = ISNSMessage(function: 0x000E, flags: .server, transaction: 0, payload: [])
        reader.append(message.bytes() + message.bytes())
        #expect(try reader.next() == message)
        #expect(try reader.next() == message)
        #expect(try reader.next() == nil)
    }

    /// Version, function, length, flags, transaction and sequence.
    static func header(_ fields: [UInt16]) -> [UInt8] { fields.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } }

    /// A stream, and what is wrong with it.
    static let streams: [([UInt8], ISNSError)] = [
        (header([2, 0x8001, 4, 0x4C00, 1, 0]), .version(2)),
        (header([1, 0x8001, 5, 0x4C00, 1, 0]), .misaligned),
        (header([1, 0x8001, 4, 0x6C00, 1, 0]), .authenticationBlock),
        // Not the first.
        (header([1, 0x8001, 4, 0x4800, 1, 0]), .outOfSequence),
        (header([1, 0x8001, 4, 0x4C00, 1, 1]), .outOfSequence),
        // The first twice; another function; another transaction; a sequence left out.
        (header([1, 0x8001, 0, 0x4400, 1, 0, 1, 0x8001, 0, 0x4400, 1, 0]), .outOfSequence),
        (header([1, 0x8001, 0, 0x4400, 1, 0, 1, 0x8002, 0, 0x4800, 1, 1]), .outOfSequence),
        (header([1, 0x8001, 0, 0x4400, 1, 0, 1, 0x8001, 0, 0x4800, 2, 1]), .outOfSequence),
        (header([1, 0x8001, 0, 0x4400, 1, 0, 1, 0x8001, 0, 0x4800, 1, 2]), .outOfSequence),
        (Array("HTTP/1.1 400 Bad Request".utf8), .version(0x4854)),
    ]

    @Test("A stream that is no iSNSP is refused at its header", arguments: streams)
    func garbage(bytes: [UInt8], error: ISNSError) {
        var reader = ISNSMessageReader()
        reader.append(bytes)
        #expect(throws: error) { while try reader.next() != nil {} }
    }

    @Test("A message without an end is refused, and what is held stays within its bound")
    func endless() {
        var reader = ISNSMessageReader()
        var sequence: UInt16 = 0
        var most = 0
        #expect(throws: ISNSError.tooLong) {
            while true {
                reader.append(Self.header([1, 0x8002, 4096, sequence == 0 ? 0x4400 : 0x4000, 1, sequence]))
                reader.append([UInt8](repeating: 0, count: 4096))
                while try reader.next() != nil {}
                most = max(most, reader.heldByteCount)
                sequence += 1
            }
        }
        #expect(most <= ISNSMessageReader.maximumMessageByteCount)
    }

    @Test("An answer may be longer by what it answers, and no longer", arguments: [0, 1 << 20])
    func longAnswer(requestByteCount: Int) throws {
        let part = 4096
        for count in [0, 1] {
            var reader = ISNSMessageReader()
            let request = [UInt8](repeating: 0, count: requestByteCount)
            reader.expectAnswer(to: ISNSMessage(function: 1, flags: .client, transaction: 7, payload: request))
            let payload = [UInt8](
                repeating: 1, count: requestByteCount + ISNSMessageReader.maximumMessageByteCount + count * part)
            let answer = ISNSMessage(function: 0x8001, flags: .server, transaction: 7, payload: payload)
            reader.append(answer.bytes(payloadLimit: part))
            guard count == 0 else {
                #expect(throws: ISNSError.tooLong) { try reader.next() }
                continue
            }
            #expect(try reader.next()?.payload.count == payload.count)
        }
    }

    @Test("Empty PDUs without an end are refused too")
    func endlessEmpty() {
        var reader = ISNSMessageReader()
        #expect(throws: ISNSError.outOfSequence) {
            for sequence in 0...UInt32(70_000) {
                let number = UInt16(truncatingIfNeeded: sequence)
                reader.append(Self.header([1, 0x8002, 0, sequence == 0 ? 0x4400 : 0x4000, 1, number]))
                while try reader.next() != nil {}
            }
        }
    }

    @Test(
        "A result has its status; a refusal may carry anything",
        arguments: [
            ([0, 0, 0, 0] as [UInt8], ISNSStatus.successful), ([0, 0, 0, 3, 9, 9], .invalidRegistration),
            ([0, 0, 0, 9], .noSuchEntry),
        ])
    func result(payload: [UInt8], status: ISNSStatus) throws {
        let message = ISNSMessage(function: 0x8001, flags: .server, transaction: 1, payload: payload)
        #expect(try message.result().status == status)
    }

    @Test(
        "A result without its status, or with half an attribute, is an error",
        arguments: [
            [0, 0, 0] as [UInt8], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4],
        ])
    func truncatedResult(payload: [UInt8]) {
        let message = ISNSMessage(function: 0x8001, flags: .server, transaction: 1, payload: payload)
        #expect(throws: ISNSError.truncated) { try message.result() }
    }

    @Test(
        "A status has the RFC's word",
        arguments: [
            (UInt32(3), "Invalid Registration (3)"), (9, "No Such Entry (9)"), (21, "ESI Not Available (21)"),
            (23, "Registration Feature Not Supported (23)"), (24, "status 24"), (.max, "status 4294967295"),
        ])
    func word(status: UInt32, word: String) {
        #expect(ISNSStatus(rawValue: status).description == word)
    }

    @Test("SCN is answered with its destination, ESI with all of itself, anything else with a refusal")
    func answers() throws {
        let time = ISNSAttribute(tag: ISNSTag.timestamp, value: [0, 0, 0, 0, 1, 2, 3, 4])
        func message(_ function: ISNSFunction, _ payload: [UInt8]) -> ISNSMessage {
            ISNSMessage(function: function.rawValue, flags: .server, transaction: 9, payload: payload)
        }
        let scn = try #require(message(.scn, Self.name.bytes + time.bytes).answered())
        #expect(scn.function == 0x8008 && scn.transaction == 9 && scn.flags == .client)
        #expect(scn.payload == [0, 0, 0, 0] + Self.name.bytes)
        let esi = try #require(message(.esi, time.bytes + Self.name.bytes).answered())
        #expect(esi.function == 0x800D && esi.payload == [0, 0, 0, 0] + time.bytes + Self.name.bytes)
        #expect(message(.esi, [1, 2, 3]).answered()?.payload == [0, 0, 0, 2])
        #expect(message(.devAttrReg, []).answered()?.payload == [0, 0, 0, 15])
        #expect(message(.heartbeat, []).answered() == nil)
        #expect(message(.scnRsp, []).answered() == nil)
    }
}
