// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

/// One rule of the login (RFC 7143 6.3 and 11.12), broken, and the answer that the RFC asks for.
struct LoginRule: CustomTestStringConvertible {
    enum Answer: Equatable {
        /// A Login Response with this status, then the end of the connection.
        case refused(UInt16)
        /// No answer: the connection ends.
        case dropped
    }

    static let initiatorError = Answer.refused(0x0200)

    let testDescription: String
    let answer: Answer
    /// Does everything up to the broken rule, and waits for the answer to that.
    let play: @Sendable (LoginExchange) throws -> Void

    init(_ description: String, _ answer: Answer, _ play: @escaping @Sendable (LoginExchange) throws -> Void) {
        testDescription = description
        self.answer = answer
        self.play = play
    }

    // MARK: Words for the rules

    private static let security = LoginExchange.security
    private static let operational = LoginExchange.operational
    private static let full = LoginExchange.fullFeature

    /// One request with `text` besides the names, changed, and its answer.
    private static func first(
        _ text: TextKeys = [], stage: UInt8 = operational, next: UInt8? = full,
        _ change: @escaping @Sendable (inout WirePDU) -> Void = { _ in }
    ) -> @Sendable (LoginExchange) throws -> Void {
        return { login in
            var pdu = login.request(.text(login.names + text.map { ($0.key, $0.value) }), stage: stage, next: next)
            change(&pdu)
            login.send(pdu)
            _ = try login.receive()
        }
    }

    /// The names go well; then one more request in `stage`, changed.
    private static func second(
        _ text: TextKeys = [], stage: UInt8 = operational, next: UInt8? = full, after: UInt8 = operational,
        _ change: @escaping @Sendable (inout WirePDU) -> Void = { _ in }
    ) -> @Sendable (LoginExchange) throws -> Void {
        return { login in
            login.send(login.request(.text(login.names), stage: after, next: nil))
            _ = try login.receive()
            var pdu = login.request(.text(text.map { ($0.key, $0.value) }), stage: stage, next: next)
            change(&pdu)
            login.send(pdu)
            _ = try login.receive()
        }
    }

    private static func only(_ names: TextKeys) -> @Sendable (LoginExchange) throws -> Void {
        return { login in
            login.send(login.request(.text(names.map { ($0.key, $0.value) }), stage: operational, next: full))
            _ = try login.receive()
        }
    }

    private static let name = (key: "InitiatorName", value: "iqn.2026-11.org.martlet:test-initiator")

    // MARK: The rules

    static let all = stages + names + headers + texts + sizes

    private static let stages: [LoginRule] = [
        LoginRule("the first request in stage 2, which is reserved", initiatorError, first(stage: 2)),
        LoginRule("the first request in the full feature phase", initiatorError, first(stage: full, next: nil)),
        LoginRule("to the reserved stage", initiatorError, first(next: 2)),
        LoginRule("from the operational stage to itself", initiatorError, first(next: operational)),
        LoginRule("from the operational stage to security", initiatorError, first(next: security)),
        LoginRule("from the security stage to itself", initiatorError, first(stage: security, next: security)),
        LoginRule("T and C at once", initiatorError, first { $0.header[1] |= 0x40 }),
        LoginRule(
            "T and C at once in the security stage", initiatorError,
            first(stage: security, next: operational) { $0.header[1] |= 0x40 }),
        LoginRule("back to security without leave", initiatorError, second(stage: security, next: operational)),
        LoginRule("on to the operational stage without leave", initiatorError, second(after: security)),
        LoginRule(
            "an operational key in the security stage", initiatorError,
            first([("MaxBurstLength", "4096")], stage: security, next: operational)),
        LoginRule(
            "a security key in the operational stage", initiatorError, first([("AuthMethod", "None")])),
        LoginRule(
            "a method that nobody offers", .refused(0x0201),
            first([("AuthMethod", "KRB5")], stage: security, next: operational)),
        LoginRule(
            "an answer to a challenge that was never sent", initiatorError,
            first([("CHAP_N", "x"), ("CHAP_R", "0x00")], stage: security, next: operational)),
        LoginRule("AuthMethod twice", initiatorError) { login in
            for _ in 0..<2 {
                let names = login.names + [("AuthMethod", "None")]
                login.send(login.request(.text(names), stage: security, next: nil))
                _ = try login.receive()
            }
        },
    ]

    private static let names: [LoginRule] = [
        LoginRule("no names", .refused(0x0207), only([])),
        LoginRule("no InitiatorName", .refused(0x0207), only([("TargetName", "iqn.2026-11.org.martlet:default")])),
        LoginRule("no TargetName", .refused(0x0207), only([name])),
        LoginRule("an unknown target", .refused(0x0203), only([name, ("TargetName", "iqn.2026-11.org.martlet:no")])),
        LoginRule("an unknown SessionType", .refused(0x0209), only([name, ("SessionType", "Strange")])),
        LoginRule(
            "an empty InitiatorName", initiatorError, only([("InitiatorName", ""), ("SessionType", "Discovery")])),
        LoginRule("another InitiatorName later", initiatorError, second([("InitiatorName", "iqn.2026-11.org:b")])),
        LoginRule("another SessionType later", initiatorError, second([("SessionType", "Discovery")])),
        LoginRule("another TargetName later", initiatorError, second([("TargetName", "iqn.2026-11.org:b")])),
    ]

    private static let headers: [LoginRule] = [
        LoginRule("a version from the future", .refused(0x0205)) { login in
            var pdu = login.request(.text(login.names), stage: operational, next: full)
            pdu.header.replaceSubrange(2..<4, with: [2, 1])
            login.send(pdu)
            _ = try login.receive()
        },
        LoginRule("another ISID in the second request", initiatorError, second { $0.header[13] ^= 1 }),
        LoginRule("another TSIH in the second request", initiatorError, second { $0.header[15] ^= 1 }),
        LoginRule("another CID in the second request", initiatorError, second { $0.header[21] ^= 1 }),
        LoginRule("another CmdSN in the second request", initiatorError, second { $0.cmdSN &+= 1 }),
        LoginRule("the TSIH of no session", .refused(0x020A)) { login in
            let names = login.names.filter { $0.0 != "SessionType" }
            var pdu = login.request(.text(names), stage: operational, next: full)
            pdu.header[14] = 0x7F
            login.send(pdu)
            _ = try login.receive()
        },
        LoginRule("a session's key on a connection that joins", initiatorError) { login in
            let names = login.names.filter { $0.0 != "SessionType" } + [("MaxBurstLength", "4096")]
            var pdu = login.request(.text(names), stage: operational, next: full)
            pdu.header[14] = 0x7F
            login.send(pdu)
            _ = try login.receive()
        },
        LoginRule("a SCSI Command first", .dropped, first { $0.header[0] = WirePDU.Opcode.scsiCommand }),
        LoginRule("a Text Request in the middle", .dropped, second { $0.header[0] = WirePDU.Opcode.textRequest }),
        LoginRule("a Logout Request in the middle", .dropped, second { $0.header[0] = 0x46 }),
        LoginRule("a NOP-Out in the middle", .dropped, second { $0.header[0] = 0x40 }),
        LoginRule("additional header segments", .dropped, first { $0.additionalHeader = [0, 5, 1, 0, 0, 0, 0, 0] }),
    ]

    private static let texts: [LoginRule] = [
        LoginRule("a pair without its equal sign", initiatorError, first { $0.data += Array("InitiatorAlias\0".utf8) }),
        LoginRule("a pair without its end", initiatorError, first { $0.data += Array("InitiatorAlias=a".utf8) }),
        LoginRule("an empty key", initiatorError, first { $0.data += Array("=a\0".utf8) }),
        LoginRule("a key with a space", initiatorError, first([("Max BurstLength", "512")])),
        LoginRule(
            "a key twice in one text", initiatorError, first([("ImmediateData", "No"), ("ImmediateData", "No")])),
        LoginRule("a value that is not UTF-8", initiatorError, first { $0.data += [0x58, 0x3D, 0xFF, 0xFE, 0] }),
        LoginRule("a key of the target's", initiatorError, first([("TargetPortalGroupTag", "1")])),
        LoginRule("a declaration below its range", initiatorError, first([("MaxRecvDataSegmentLength", "511")])),
        LoginRule("a key of the full feature phase", initiatorError, first([("SendTargets", "All")])),
    ]

    private static let sizes: [LoginRule] = [
        LoginRule("a key of 64 bytes", initiatorError, first([(String(repeating: "K", count: 64), "1")])),
        LoginRule(
            "an InitiatorName of 224 bytes", initiatorError,
            only([("InitiatorName", String(repeating: "n", count: 224)), ("SessionType", "Discovery")])),
        LoginRule(
            "a data segment beyond 8192 bytes", .dropped, first { $0.data += [UInt8](repeating: 0, count: 8192) }),
        LoginRule("a value of 8193 bytes", initiatorError) { login in
            _ = try login.say(
                login.allNames + [("X-long", String(repeating: "v", count: 8193))], stage: operational,
                next: full)
        },
        LoginRule("a thousand keys", initiatorError) { login in
            _ = try login.say(
                login.allNames + (0..<1000).map { ("X-\($0)", "1") }, stage: operational, next: full)
        },
        LoginRule("a text without end", initiatorError) { login in
            while true {
                login.send(
                    login.request([UInt8](repeating: 0x41, count: 8000), stage: operational, next: nil, continues: true)
                )
                _ = try login.receive()
            }
        },
        LoginRule("empty C bits without end", initiatorError) { login in
            while true {
                login.send(login.request([], stage: security, next: nil, continues: true))
                _ = try login.receive()
            }
        },
        LoginRule("a negotiation without end", initiatorError) { login in
            login.send(login.request(.text(login.names), stage: operational, next: nil))
            while true {
                _ = try login.receive()
                login.send(login.request([], stage: operational, next: nil))
            }
        },
    ]
}

extension LoginExchange {
    var allNames: TextKeys { options.names(isLeading: true) }
    var names: [(String, String)] { allNames.map { ($0.key, $0.value) } }
}
