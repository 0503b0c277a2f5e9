// SPDX-License-Identifier: Apache-2.0
import ISCSI
import LoadGenerator
import Testing

@Suite("Login")
struct LoginTests {
    static let isid = InitiatorSessionIdentifier(rawValue: 0x8000_1234_0001)
    static let proposal = LoginRequester.Proposal(
        initiatorName: "iqn.2026-11.org.martlet:bench", targetName: "iqn.2026-11.org.martlet:default", isid: isid)

    /// A target that goes on to the next stage with each answer and says `operational` in the last.
    static func answer(
        _ login: inout LoginRequester, operational: [(String, String)] = [], maxCmdSN: UInt32 = 100,
        _ change: (inout LoginResponsePDU) -> Void
    ) throws {
        var statSN: UInt32 = 500
        for _ in 0..<2 {
            let request = login.nextRequest().pdu
            let isLast = request.rawCurrentStage == 1
            var response = response(to: request, statSN: statSN, maxCmdSN: maxCmdSN)
            change(&response)
            try login.take(response, text: isLast ? text(operational) : [])
            statSN += 1
        }
    }

    static func response(
        to request: LoginRequestPDU, statSN: UInt32 = 500, maxCmdSN: UInt32 = 100, status: LoginStatus = .success
    ) -> LoginResponsePDU {
        LoginResponsePDU(
            transits: request.wantsTransit, current: request.rawCurrentStage, next: request.rawNextStage,
            isid: request.isid, tsih: 3, initiatorTaskTag: request.initiatorTaskTag,
            numbers: SequenceNumbers(statSN: statSN, expCmdSN: request.cmdSN, maxCmdSN: maxCmdSN), status: status)
    }

    static func text(_ pairs: [(String, String)]) -> [UInt8] {
        TextParameters(pairs.map { TextParameters.Pair($0.0, $0.1) }).encoded
    }

    private func keys(_ request: LoginRequester.Request) throws -> TextParameters {
        try TextParameters(parsing: request.text)
    }

    @Test("A login names both ends, asks for no authentication, and offers every key once")
    func offers() throws {
        var proposal = Self.proposal
        proposal.digests = .header
        var login = LoginRequester(proposal)
        let security = login.nextRequest()
        #expect(security.pdu.wantsTransit && security.pdu.rawCurrentStage == 0 && security.pdu.rawNextStage == 1)
        #expect(security.pdu.tsih == 0 && security.pdu.isid == Self.isid)
        #expect(security.pdu.dataSegmentLength == UInt32(security.text.count))
        #expect(try keys(security)["InitiatorName"] == proposal.initiatorName)
        #expect(try keys(security)["TargetName"] == proposal.targetName)
        #expect(try keys(security)["SessionType"] == "Normal")
        #expect(try keys(security)["AuthMethod"] == "None")
        try login.take(Self.response(to: security.pdu), text: Self.text([("AuthMethod", "None")]))
        let operational = login.nextRequest()
        #expect(operational.pdu.rawCurrentStage == 1 && operational.pdu.rawNextStage == 3)
        #expect(operational.pdu.expStatSN == 501)
        #expect(try keys(operational)["HeaderDigest"] == "CRC32C,None")
        #expect(try keys(operational)["DataDigest"] == "None")
        #expect(try keys(operational)["MaxOutstandingR2T"] == "1")
        #expect(!login.isDone)
    }

    @Test("What the target answers is what holds")
    func agrees() throws {
        var proposal = Self.proposal
        proposal.digests = .both
        var login = LoginRequester(proposal)
        try Self.answer(
            &login,
            operational: [
                ("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C"), ("InitialR2T", "No"), ("ImmediateData", "No"),
                ("MaxRecvDataSegmentLength", "0x1000"), ("MaxBurstLength", "16384"), ("FirstBurstLength", "8192"),
                ("TargetPortalGroupTag", "1"), ("MaxOutstandingR2T", "1"), ("DefaultTime2Wait", "2"),
            ]
        ) { _ in }
        #expect(login.isDone)
        let parameters = login.parameters
        #expect(parameters.hasHeaderDigest && parameters.hasDataDigest)
        #expect(!parameters.session.initialR2T && !parameters.session.immediateData)
        #expect(parameters.maxSendDataSegmentLength == 4096)
        #expect(parameters.session.maxBurstLength == 16384 && parameters.session.firstBurstLength == 8192)
        #expect(login.numbers.cmdSN == 1 && login.numbers.expStatSN == 502)
    }

    @Test("A target that says nothing has the standard's defaults")
    func defaults() throws {
        var login = LoginRequester(Self.proposal)
        try Self.answer(&login) { _ in }
        #expect(login.isDone)
        #expect(login.parameters.session.initialR2T && login.parameters.session.immediateData)
        #expect(login.parameters.maxSendDataSegmentLength == 8192)
    }

    @Test("A text in pieces is asked for to its end, and the key cut in two is whole")
    func pieces() throws {
        var login = LoginRequester(Self.proposal)
        try login.take(Self.response(to: login.nextRequest().pdu), text: [])
        let request = login.nextRequest().pdu
        let text = Self.text([("ImmediateData", "No"), ("MaxBurstLength", "65536")])
        var first = Self.response(to: request)
        first.continues = true
        first.transits = false
        try login.take(first, text: Array(text[..<20]))
        let more = login.nextRequest()
        #expect(more.text.isEmpty && !more.pdu.wantsTransit)
        try login.take(Self.response(to: request), text: Array(text[20...]))
        #expect(login.isDone)
        #expect(login.parameters.session.maxBurstLength == 65536 && !login.parameters.session.immediateData)
    }

    @Test("A stage that the target wants to stay in goes on with an empty request, offering nothing twice")
    func stays() throws {
        var login = LoginRequester(Self.proposal)
        let request = login.nextRequest().pdu
        var response = Self.response(to: request)
        response.transits = false
        try login.take(response, text: [])
        let again = login.nextRequest()
        #expect(again.text.isEmpty && again.pdu.wantsTransit && again.pdu.rawCurrentStage == 0)
    }

    @Test(
        "A key that the target brings up is answered",
        arguments: [("X-com.example.speed", "NotUnderstood"), ("TaskReporting", "Reject")])
    func answers(key: String, answer: String) throws {
        var login = LoginRequester(Self.proposal)
        try login.take(Self.response(to: login.nextRequest().pdu), text: [])
        var response = Self.response(to: login.nextRequest().pdu)
        response.transits = false
        try login.take(response, text: Self.text([(key, "FastAbort")]))
        #expect(try keys(login.nextRequest())[key] == answer)
    }

    @Test(
        "A refusal is told with what to do",
        arguments: [
            (LoginStatus.authenticationFailure, "CHAP"), (.authorizationFailure, "--initiator-name"),
            (.notFound, "no target iqn.2026-11.org.martlet:default"), (.targetRemoved, "no target"),
            (.outOfResources, "outOfResources"), (.serviceUnavailable, "no further session"),
            (.missingParameter, "0207h"), (.invalidDuringLogin, "020bh"), (.unsupportedVersion, "0205h"),
        ])
    func refusals(status: LoginStatus, words: String) {
        var login = LoginRequester(Self.proposal)
        let response = Self.response(to: login.nextRequest().pdu, status: status)
        let failure = failure { () throws(LoadFailure) in try login.take(response, text: []) }
        #expect(failure.kind == .runTime)
        #expect(failure.description.contains(words), "\(failure)")
    }

    @Test("A target that has moved tells where to")
    func moved() {
        var login = LoginRequester(Self.proposal)
        let response = Self.response(to: login.nextRequest().pdu, status: .targetMovedTemporarily)
        let text = Self.text([("TargetAddress", "192.0.2.9:3260,1")])
        let failure = failure { () throws(LoadFailure) in try login.take(response, text: text) }
        #expect(failure.description.contains("192.0.2.9:3260"))
    }

    @Test(
        "A target that wants authentication is told so, in any way it says it",
        arguments: ["CHAP", "Reject", "KRB5"])
    func wantsAuthentication(method: String) {
        var login = LoginRequester(Self.proposal)
        let response = Self.response(to: login.nextRequest().pdu)
        let failure = failure { () throws(LoadFailure) in
            try login.take(response, text: Self.text([("AuthMethod", method)]))
        }
        #expect(failure.description.contains("authentication") && failure.description.contains(method))
    }

    @Test(
        "An answer that was not offered ends the login",
        arguments: [
            ("HeaderDigest", "CRC32C"), ("HeaderDigest", "MD5"), ("DataDigest", "CRC32C"), ("InitialR2T", "Perhaps"),
            ("ImmediateData", "yes"), ("MaxRecvDataSegmentLength", "511"), ("MaxRecvDataSegmentLength", "16777216"),
            ("MaxRecvDataSegmentLength", "-1"), ("MaxRecvDataSegmentLength", "many"), ("MaxBurstLength", "0"),
            ("MaxBurstLength", "16777215"), ("FirstBurstLength", "262145"), ("MaxOutstandingR2T", "2"),
            ("MaxConnections", "8"), ("ErrorRecoveryLevel", "1"), ("DataPDUInOrder", "No"),
            ("DataSequenceInOrder", "No"), ("MaxBurstLength", "Reject"), ("DefaultTime2Wait", "3601"),
        ])
    func notOffered(key: String, value: String) throws {
        var login = LoginRequester(Self.proposal)
        try login.take(Self.response(to: login.nextRequest().pdu), text: [])
        let response = Self.response(to: login.nextRequest().pdu)
        let failure = failure { () throws(LoadFailure) in
            try login.take(response, text: Self.text([(key, value)]))
        }
        #expect(failure.description.contains("\(key)=\(value)"), "\(failure)")
    }

    @Test("Digests that were asked for and not granted end the login", arguments: [DigestChoice.header, .data])
    func noDigests(choice: DigestChoice) {
        var proposal = Self.proposal
        proposal.digests = choice
        var login = LoginRequester(proposal)
        #expect(throws: LoadFailure.self) {
            try Self.answer(&login, operational: [("HeaderDigest", "None"), ("DataDigest", "None")]) { _ in }
        }
    }

    struct Disorder: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let change: @Sendable (inout LoginResponsePDU) -> Void

        init(_ description: String, _ change: @escaping @Sendable (inout LoginResponsePDU) -> Void) {
            testDescription = description
            self.change = change
        }
    }

    @Test(
        "A response that does not belong to the request ends the login",
        arguments: [
            Disorder("another task") { $0.initiatorTaskTag = 9 },
            Disorder("another session") { $0.isid = InitiatorSessionIdentifier(rawValue: 1) },
            Disorder("another stage") { $0.rawCurrentStage = 3 },
            Disorder("the reserved stage next") { $0.rawNextStage = 2 },
            Disorder("a stage that goes back") { $0.rawNextStage = 0 },
            Disorder("the end in the middle of a text") { $0.continues = true },
            Disorder("no session number") { $0.tsih = 0 },
        ])
    func disorder(_ disorder: Disorder) {
        var login = LoginRequester(Self.proposal)
        #expect(throws: LoadFailure.self) { try Self.answer(&login, disorder.change) }
        #expect(!login.isDone)
    }

    @Test("A text that is none, or is without end, ends the login")
    func badText() throws {
        var login = LoginRequester(Self.proposal)
        let response = Self.response(to: login.nextRequest().pdu)
        for text in [Array("NoDelimiter\0".utf8), Array("Key=Value".utf8), Array("A=1\0A=2\0".utf8)] {
            var copy = login
            #expect(throws: LoadFailure.self) { try copy.take(response, text: text) }
        }
        var endless = response
        endless.continues = true
        endless.transits = false
        #expect(throws: LoadFailure.self) {
            for _ in 0..<100 {
                try login.take(endless, text: [UInt8](repeating: 0x41, count: 8192))
                _ = login.nextRequest()
            }
        }
    }

    @Test("A target that never goes on is left after some answers")
    func circles() {
        var login = LoginRequester(Self.proposal)
        let failure = failure { () throws(LoadFailure) in
            for _ in 0..<100 {
                var response = Self.response(to: login.nextRequest().pdu)
                response.transits = false
                try login.take(response, text: [])
            }
        }
        #expect(failure.description.contains("does not come to an end"))
    }
}
