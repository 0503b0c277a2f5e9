// SPDX-License-Identifier: Apache-2.0

import ISCSI
import SCSI
import Testing

@Suite("Text negotiation in the full feature phase, and logout")
struct TextExchangeTests {
    static let own = "iqn.2026-11.org.example:own"

    static let records = (0..<3).map { index in
        SendTargets.Record(
            targetName: "iqn.2026-11.org.example:\(index)",
            portals: [
                SendTargets.Portal(address: "192.0.2.1:3260", portalGroupTag: 1),
                SendTargets.Portal(address: "[2001:db8::1]:3260", portalGroupTag: 2),
            ])
    }

    /// An exchange and the connection it belongs to.
    struct Talk {
        var exchange = TextExchange()
        var parameters = NegotiatedParameters()
        var sessionTarget: String?
        var tag: UInt32 = 7
        var records = TextExchangeTests.records

        mutating func send(
            _ text: String, tag targetTransferTag: UInt32 = BasicHeaderSegment.reservedTag, isFinal: Bool = true,
            continues: Bool = false
        ) throws(PDUError) -> TextAnswer {
            var bytes = Array(text.utf8.map { $0 == UInt8(ascii: "|") ? 0 : $0 })
            if !bytes.isEmpty && !continues { bytes.append(0) }
            let request = TextRequestPDU(
                isFinal: isFinal, continues: continues, lun: LogicalUnitNumber(3), initiatorTaskTag: tag,
                targetTransferTag: targetTransferTag, cmdSN: 1, expStatSN: 1, dataSegmentLength: UInt32(bytes.count))
            let records = records
            return try exchange.receive(
                request, text: bytes, parameters: &parameters, sessionTarget: sessionTarget
            ) { scope in
                switch scope {
                case .all: records
                case .target(let name): records.filter { $0.targetName == name }
                }
            }
        }
    }

    private func string(_ answer: TextAnswer) -> String {
        String(decoding: answer.text.map { $0 == 0 ? UInt8(ascii: "|") : $0 }, as: UTF8.self)
    }

    private let portals = "TargetAddress=192.0.2.1:3260,1|TargetAddress=[2001:db8::1]:3260,2|"

    // MARK: SendTargets

    @Test("A discovery session hears of all targets and of any one")
    func discovery() throws {
        var talk = Talk()
        let all = try talk.send("SendTargets=All")
        #expect(
            string(all) == (0..<3).map { "TargetName=iqn.2026-11.org.example:\($0)|" + portals }.joined())
        #expect(all.isFinal && !all.continues)
        #expect(all.targetTransferTag == BasicHeaderSegment.reservedTag)
        #expect(all.initiatorTaskTag == 7)
        let one = try talk.send("SendTargets=iqn.2026-11.org.example:1")
        #expect(string(one) == "TargetName=iqn.2026-11.org.example:1|" + portals)
        #expect(try talk.send("SendTargets=iqn.2026-11.org.example:none").text.isEmpty)
        #expect(string(try talk.send("SendTargets=")) == "SendTargets=Reject|")
    }

    @Test("A normal session hears of its own target only")
    func normal() throws {
        var talk = Talk(sessionTarget: "iqn.2026-11.org.example:2")
        let expected = "TargetName=iqn.2026-11.org.example:2|" + portals
        #expect(string(try talk.send("SendTargets=")) == expected)
        #expect(string(try talk.send("SendTargets=iqn.2026-11.org.example:2")) == expected)
        #expect(string(try talk.send("SendTargets=All")) == "SendTargets=Reject|")
        #expect(string(try talk.send("SendTargets=iqn.2026-11.org.example:1")) == "SendTargets=Reject|")
    }

    @Test("A long answer comes in pieces that the initiator asks for one by one", arguments: [512, 600, 8192])
    func pieces(limit: Int) throws {
        var talk = Talk()
        talk.parameters.maxSendDataSegmentLength = limit
        talk.records = (0..<100).map { SendTargets.Record(targetName: "target\($0)", portals: Self.records[0].portals) }
        var answer = try talk.send("SendTargets=All")
        var text = answer.text
        while answer.continues {
            #expect(!answer.isFinal)
            #expect(answer.text.count == limit)
            #expect(answer.targetTransferTag != BasicHeaderSegment.reservedTag)
            answer = try talk.send("", tag: answer.targetTransferTag)
            text += answer.text
        }
        #expect(answer.isFinal)
        #expect(answer.targetTransferTag == BasicHeaderSegment.reservedTag)
        #expect(text.count == (0..<100).reduce(0) { $0 + "TargetName=target\($1)|".utf8.count + portals.utf8.count })
    }

    @Test("Speaking while we have more to say is rejected, and so is what follows")
    func interrupting() throws {
        var talk = Talk()
        talk.parameters.maxSendDataSegmentLength = 512
        talk.records = (0..<100).map { SendTargets.Record(targetName: "target\($0)", portals: []) }
        let tag = try talk.send("SendTargets=All").targetTransferTag
        #expect(throws: PDUError.reject(.protocolError)) { try talk.send("A=b", tag: tag) }
        #expect(throws: PDUError.reject(.protocolError)) { try talk.send("", tag: tag) }
    }

    // MARK: The C bit and tags

    @Test("A request in pieces is answered when it is whole")
    func continuation() throws {
        var talk = Talk()
        let first = try talk.send("SendTar", isFinal: false, continues: true)
        #expect(first.text.isEmpty && !first.isFinal && !first.continues)
        let second = try talk.send("gets=", tag: first.targetTransferTag, isFinal: false, continues: true)
        #expect(second.targetTransferTag == first.targetTransferTag)
        let last = try talk.send("iqn.2026-11.org.example:0", tag: second.targetTransferTag)
        #expect(string(last).hasPrefix("TargetName=iqn.2026-11.org.example:0|"))
        #expect(last.isFinal)
    }

    @Test("An exchange goes on until the initiator says that it is final")
    func notFinal() throws {
        var talk = Talk()
        let first = try talk.send("MaxRecvDataSegmentLength=65536", isFinal: false)
        #expect(!first.isFinal && !first.continues && first.text.isEmpty)
        #expect(talk.parameters.maxSendDataSegmentLength == 8192, "it takes effect at the end")
        let last = try talk.send("", tag: first.targetTransferTag)
        #expect(last.isFinal)
        #expect(talk.parameters.maxSendDataSegmentLength == 65536)
    }

    @Test("A tag or task that is not of the exchange is rejected")
    func wrongTag() throws {
        var talk = Talk()
        #expect(throws: PDUError.reject(.protocolError)) { try talk.send("", tag: 0) }
        let tag = try talk.send("", isFinal: false).targetTransferTag
        #expect(throws: PDUError.reject(.protocolError)) { try talk.send("", tag: tag &+ 1) }
        talk.tag = 8
        #expect(throws: PDUError.reject(.protocolError)) { try talk.send("", tag: tag) }
        talk.tag = 7
        _ = try talk.send("", tag: tag)
        #expect(throws: PDUError.reject(.protocolError)) { try talk.send("", tag: tag) }
    }

    @Test("A new exchange takes the place of one that was left")
    func abandoned() throws {
        var talk = Talk()
        let old = try talk.send("MaxRecvDataSegmentLength=65536", isFinal: false).targetTransferTag
        let answer = try talk.send("SendTargets=All", isFinal: false)
        #expect(answer.targetTransferTag != old)
        #expect(throws: PDUError.reject(.protocolError)) { try talk.send("", tag: old) }
        #expect(talk.parameters.maxSendDataSegmentLength == 8192)
    }

    @Test("A text or an exchange without end is rejected")
    func endless() throws {
        var talk = Talk()
        let piece = String(repeating: "a", count: 8000)
        var tag = BasicHeaderSegment.reservedTag
        for _ in 0..<8 { tag = try talk.send(piece, tag: tag, isFinal: false, continues: true).targetTransferTag }
        #expect(throws: PDUError.reject(.longOperationReject)) {
            try talk.send(piece, tag: tag, isFinal: false, continues: true)
        }
        tag = BasicHeaderSegment.reservedTag
        for _ in 0..<TextExchange.requestLimit { tag = try talk.send("", tag: tag, isFinal: false).targetTransferTag }
        #expect(throws: PDUError.reject(.longOperationReject)) { try talk.send("", tag: tag, isFinal: false) }
    }

    // MARK: Keys

    @Test("Only what may be said now is taken; the rest is rejected or not understood")
    func keys() throws {
        for key in NegotiationKeys.all {
            var talk = Talk(sessionTarget: Self.own)
            let answer = string(try talk.send("\(key.name)=1024"))
            switch key.name {
            case "MaxRecvDataSegmentLength":
                #expect(answer.isEmpty)
                #expect(talk.parameters.maxSendDataSegmentLength == 1024)
            case "InitiatorAlias":
                #expect(answer.isEmpty)
            default:
                #expect(answer == "\(key.name)=Reject|", "\(key.name)")
            }
        }
        var talk = Talk()
        #expect(string(try talk.send("X-a=1|NoKey=2")) == "X-a=NotUnderstood|NoKey=NotUnderstood|")
        #expect(string(try talk.send("MaxRecvDataSegmentLength=511")) == "MaxRecvDataSegmentLength=Reject|")
        #expect(try talk.send("TargetAddress=NotUnderstood|NoKey=Reject").text.isEmpty)
    }

    @Test("A key twice, in one request or two, is rejected")
    func twice() throws {
        var talk = Talk()
        #expect(throws: PDUError.reject(.protocolError)) { try talk.send("A=1|A=2") }
        let tag = try talk.send("A=1", isFinal: false).targetTransferTag
        #expect(throws: PDUError.reject(.protocolError)) { try talk.send("A=1", tag: tag) }
    }

    @Test("A text that is no list of keys is rejected", arguments: ["A", "=b", "1=2"])
    func malformed(text: String) {
        var talk = Talk()
        #expect(throws: PDUError.reject(.protocolError)) { try talk.send(text) }
    }

    @Test("The answer becomes a PDU that a decoder takes")
    func pdu() throws {
        var talk = Talk()
        let numbers = SequenceNumbers(statSN: 1, expCmdSN: 2, maxCmdSN: 3)
        for isFinal in [true, false] {
            let answer = try talk.send("SendTargets=All", isFinal: isFinal)
            let header = answer.pdu(numbers).encoded
            let pdu = try TextResponsePDU(header.span.bytes)
            #expect(pdu == answer.pdu(numbers))
            #expect(pdu.isFinal == isFinal)
            #expect(pdu.lun == LogicalUnitNumber(3))
            #expect(pdu.dataSegmentLength == UInt32(answer.text.count))
        }
    }

    @Test("Whatever comes, the exchange answers or rejects", arguments: Seeds.some)
    func fuzz(seed: UInt64) {
        var any = SeededGenerator(seed: seed)
        let pieces =
            NegotiationKeys.all.map(\.name) + ["=", "=", "=", "|", "|", "All", "512", "Reject", "é", "1"]
        var talk = Talk()
        var tag = BasicHeaderSegment.reservedTag
        for _ in 0..<5000 {
            var text = ""
            for _ in 0..<Int.random(in: 0...10, using: &any) { text += pieces.randomElement(using: &any)! }
            let isFinal = any.flag()
            let answer = try? talk.send(
                text, tag: any.flag() ? tag : BasicHeaderSegment.reservedTag, isFinal: isFinal,
                continues: !isFinal && any.flag())
            tag = answer?.targetTransferTag ?? any.word()
            if let answer {
                #expect(answer.isFinal == (answer.targetTransferTag == BasicHeaderSegment.reservedTag))
                #expect(answer.text.count <= talk.parameters.maxSendDataSegmentLength || answer.isFinal)
            }
        }
    }
}
