// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("Login: long and strange texts")
struct LoginTextTests {
    @Test("Text that goes on is answered with nothing until it is whole")
    func continuation() {
        var talk = LoginTalk()
        let text = Array(LoginTalk.names)
        for piece in stride(from: 0, to: text.count, by: 10) {
            let end = min(piece + 10, text.count)
            let step = talk.send(
                String(text[piece..<end]), from: LoginTalk.operational, continues: true)
            #expect(step.refusal == nil)
            #expect(step.response?.dataSegmentLength == 0)
            #expect(step.response?.transits == false && step.response?.continues == false)
        }
        let step = talk.send("|MaxConnections=4", from: LoginTalk.operational, to: LoginTalk.fullFeature)
        #expect(step.outcome?.parameters.session.maxConnections == 4)
    }

    @Test("Our long answers come in pieces, and the stage changes with the last of them")
    func longAnswer() throws {
        var talk = LoginTalk()
        let unknown = (0..<150).map { "X-\($0)-" + String(repeating: "k", count: 55) + "=v" }
        _ = talk.send(LoginTalk.names + "|", from: LoginTalk.operational, continues: true)
        var step = talk.send(
            unknown.joined(separator: "|"), from: LoginTalk.operational, to: LoginTalk.fullFeature)
        var answer: [UInt8] = []
        var rounds = 0
        while case .respond(let response, let text) = step {
            #expect(response.continues)
            #expect(!response.transits)
            #expect(text.count == LoginStateMachine.maxDataSegmentLength)
            answer += text
            rounds += 1
            step = talk.send("", from: LoginTalk.operational, to: LoginTalk.fullFeature)
        }
        #expect(rounds >= 1)
        #expect(step.outcome != nil)
        answer += talk.machine.established(tsih: 1).text
        let keys = try TextParameters(parsing: answer)
        #expect(keys.pairs.filter { $0.value == "NotUnderstood" }.count == 150)
        #expect(keys["MaxRecvDataSegmentLength"] == "262144")
    }

    @Test("Speaking while we have more to say is refused")
    func interrupting() {
        var talk = LoginTalk()
        let unknown = (0..<150).map { "X-\($0)-" + String(repeating: "k", count: 55) + "=v" }
        _ = talk.send(
            LoginTalk.names + "|" + unknown.joined(separator: "|"), from: LoginTalk.operational)
        #expect(talk.send("MaxConnections=1", from: LoginTalk.operational).refusal == .initiatorError)
    }

    @Test("A text or a login without end is refused")
    func endless() {
        var text = LoginTalk()
        let piece = String(repeating: "a", count: 8000)
        let refusals = (0..<9).map { _ in text.send(piece, from: LoginTalk.operational, continues: true).refusal }
        #expect(refusals == Array(repeating: nil, count: 8) + [.initiatorError])

        var rounds = LoginTalk()
        _ = rounds.send(LoginTalk.names, from: LoginTalk.operational)
        for _ in 1..<LoginStateMachine.requestLimit {
            #expect(rounds.send("", from: LoginTalk.operational).refusal == nil)
        }
        #expect(rounds.send("", from: LoginTalk.operational).refusal == .initiatorError)
    }

    @Test("A text that is no list of keys is refused", arguments: ["A", "=b", "A=b|A=c", "1=2"])
    func malformed(text: String) {
        var talk = LoginTalk()
        #expect(talk.send(LoginTalk.names + "|" + text, from: LoginTalk.operational).refusal == .initiatorError)
    }

    // MARK: Anything at all

    @Test("Whatever comes, the machine answers", arguments: Seeds.some)
    func fuzz(seed: UInt64) {
        var any = SeededGenerator(seed: seed)
        let pieces =
            NegotiationKeys.all.map(\.name) + [
                "=", "=", "=", "|", "|", "|", "Yes", "No", "0", "512", "0xFFFFFFFFFFFFFFFFFF", ",", "None", "CRC32C",
                "CHAP", FakeDirectory.target, LoginTalk.names + "|", "All", "Reject", "é", "X-a",
            ]
        for round in 0..<3000 {
            var talk = LoginTalk(FakeDirectory(method: round % 3 == 0 ? "CHAP" : nil))
            for step in 0..<6 {
                var text = step == 0 && any.flag() ? LoginTalk.names + "|" : ""
                for _ in 0..<Int.random(in: 0...12, using: &any) { text += pieces.randomElement(using: &any)! }
                let legalStages = any.flag()
                let result = talk.send(text, from: LoginTalk.operational) { request in
                    request.rawCurrentStage = legalStages ? 1 : any.byte() & 3
                    request.rawNextStage = legalStages ? 3 : any.byte() & 3
                    request.wantsTransit = any.flag()
                    request.continues = any.byte() & 7 == 0
                    if any.byte() & 15 == 0 { request.tsih = any.half() }
                    if any.byte() & 31 == 0 { request.versionMin = any.byte() }
                }
                switch result {
                case .respond(let response, let text), .refuse(let response, let text):
                    #expect(response.dataSegmentLength == UInt32(text.count))
                    #expect(text.count <= LoginStateMachine.maxDataSegmentLength)
                    #expect(!(response.continues && response.transits))
                case .establish:
                    let (response, text) = talk.machine.established(tsih: 1)
                    #expect(response.dataSegmentLength == UInt32(text.count))
                }
            }
        }
    }

    @Test("Random bytes as text never trap", arguments: Seeds.some)
    func fuzzBytes(seed: UInt64) {
        var any = SeededGenerator(seed: seed)
        for _ in 0..<3000 {
            var talk = LoginTalk()
            let text = any.bytes(Int.random(in: 0...200, using: &any))
            _ = talk.machine.receive(talk.template, text: text)
            var random = any.bytes(48)
            random[0] = 0x43
            random[4] = 0
            if let request = try? LoginRequestPDU(random.span.bytes) { _ = talk.machine.receive(request, text: text) }
        }
    }
}
