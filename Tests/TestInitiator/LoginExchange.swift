// SPDX-License-Identifier: Apache-2.0

/// A Login Response with a status other than success.
package struct LoginRefusal: Error, CustomStringConvertible {
    /// Status-Class in the high byte, Status-Detail in the low one.
    package let status: UInt16
    package let keys: TextKeys
    package var addresses: [String] { keys.filter { $0.key == "TargetAddress" }.map(\.value) }
    package var description: String { "the login was refused with \(String(status, radix: 16))h \(keys)" }
}

/// The initiator's side of a login on one connection (RFC 7143 6.3), a text at a time. Every response is checked.
package final class LoginExchange {
    package static let security: UInt8 = 0
    package static let operational: UInt8 = 1
    package static let fullFeature: UInt8 = 3
    /// Requests that one login may take.
    static let requestLimit = 256

    package struct Answer {
        package var keys: TextKeys = []
        package var transits = false
        package var tsih: UInt16 = 0

        package subscript(key: String) -> String? { keys.first { $0.key == key }?.value }
    }

    package let options: SessionOptions
    package let tsih: UInt16
    package let cid: UInt16
    package let cmdSN: UInt32
    package var initiatorTaskTag: UInt32 = 0
    package private(set) var expStatSN: UInt32
    /// Of the last response.
    package private(set) var expCmdSN: UInt32 = 0
    package private(set) var maxCmdSN: UInt32 = 0
    /// ExpCmdSN of every response; nil when commands are under way in the session that is joined.
    package var expectedExpCmdSN: UInt32?
    private let stream: PDUStream
    private var hasAnswer = false
    private var requestCount = 0

    /// - Parameters:
    ///   - tsih: 0 for a new session.
    ///   - expStatSN: of the connection that this login reinstates; otherwise any number.
    package init(
        _ stream: PDUStream, options: SessionOptions, tsih: UInt16 = 0, cid: UInt16, cmdSN: UInt32,
        expStatSN: UInt32 = 0
    ) {
        self.stream = stream
        self.options = options
        self.tsih = tsih
        self.cid = cid
        self.cmdSN = cmdSN
        self.expStatSN = expStatSN
        expectedExpCmdSN = cmdSN
    }

    // MARK: A whole login

    /// Security if the options ask for it, then the operational stage. Returns all that the target said.
    package func run() throws -> Answer {
        var said: TextKeys = []
        var names = options.names(isLeading: tsih == 0)
        if options.beginsWithSecurity {
            said += try passSecurity(names).keys
            names = []
        }
        var keys = names + options.operationalKeys(isLeading: tsih == 0)
        while true {
            let answer = try say(keys, stage: Self.operational, next: Self.fullFeature)
            said += answer.keys
            keys = []
            if answer.transits { return Answer(keys: said, transits: true, tsih: answer.tsih) }
        }
    }

    /// The security stage, to its end.
    package func passSecurity(_ names: TextKeys) throws -> Answer {
        let first = names + [("AuthMethod", options.authMethod)]
        let isOpen = options.authenticate == nil
        var answer = try say(first, stage: Self.security, next: isOpen ? Self.operational : nil)
        var said = answer.keys
        while !answer.transits {
            let keys = try options.authenticate?(answer.keys) ?? []
            answer = try say(keys, stage: Self.security, next: Self.operational)
            said += answer.keys
        }
        // The last keys of the target are for the authentication too: it may find them wrong.
        if options.authenticate != nil { _ = try options.authenticate?(answer.keys) }
        return Answer(keys: said, transits: true, tsih: answer.tsih)
    }

    // MARK: A text

    /// Says `keys`, in pieces if need be, and takes the whole answer. `next` asks for that stage.
    package func say(_ keys: TextKeys, stage: UInt8, next: UInt8?) throws -> Answer {
        var rest = [UInt8].text(keys.map { ($0.key, $0.value) })[...]
        while rest.count > options.textPieceByteCount {
            send(request(Array(rest.prefix(options.textPieceByteCount)), stage: stage, next: nil, continues: true))
            rest = rest.dropFirst(options.textPieceByteCount)
            let response = try receive()
            // RFC 7143 6.2: text that goes on is answered with an empty text.
            guard response.data.isEmpty, response.flags & 0xC0 == 0 else {
                throw InitiatorFailure.violation("text with the C bit was answered with text, T or C", response)
            }
        }
        var pdu = request(Array(rest), stage: stage, next: next)
        var text: [UInt8] = []
        while true {
            send(pdu)
            let response = try receive()
            text += response.data
            let continues = response.flags & 0x40 != 0
            let transits = response.flags & 0x80 != 0
            if transits {
                guard let next, pdu.flags & 0x80 != 0, response.flags & 3 == next, !continues else {
                    throw InitiatorFailure.violation("T without leave, with C, or to another stage", response)
                }
            }
            guard continues else {
                return Answer(keys: Self.keys(text), transits: transits, tsih: UInt16(response[12] & 0xFFFF))
            }
            pdu = request([], stage: stage, next: nil)
        }
    }

    static func keys(_ text: [UInt8]) -> TextKeys {
        text.split(separator: 0).map { item in
            let parts = String(decoding: item, as: UTF8.self).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
    }

    // MARK: A PDU

    /// A Login Request as it should be; a test may change anything in it before it is sent.
    package func request(_ text: [UInt8], stage: UInt8, next: UInt8?, continues: Bool = false) -> WirePDU {
        var pdu = WirePDU(opcode: WirePDU.Opcode.loginRequest | WirePDU.immediate, flags: stage << 2)
        if let next { pdu.header[1] |= 0x80 | next }
        if continues { pdu.header[1] |= 0x40 }
        pdu.header.replaceSubrange(8..<14, with: bigEndian(options.isid, count: 6))
        pdu.header.replaceSubrange(14..<16, with: bigEndian(UInt64(tsih), count: 2))
        pdu.initiatorTaskTag = initiatorTaskTag
        pdu.header.replaceSubrange(20..<22, with: bigEndian(UInt64(cid), count: 2))
        pdu.cmdSN = cmdSN
        pdu.expStatSN = expStatSN
        pdu.data = text
        return pdu
    }

    package func send(_ pdu: WirePDU) { stream.queue(pdu) }

    /// The next Login Response, checked; throws `LoginRefusal` when its status is not success.
    package func receive() throws -> WirePDU {
        requestCount += 1
        guard requestCount <= Self.requestLimit else { throw InitiatorFailure.violation("an endless login") }
        let response = try Waiting.receive(stream, options, awaiting: "a Login Response")
        guard response.opcode == WirePDU.Opcode.loginResponse else {
            throw InitiatorFailure.violation("a login was answered with another PDU", response)
        }
        let status = UInt16(response[36] >> 16)
        guard response.initiatorTaskTag == initiatorTaskTag else {
            throw InitiatorFailure.violation("a Login Response with another task tag", response)
        }
        guard status == 0 else { throw LoginRefusal(status: status, keys: Self.keys(response.data)) }
        guard response.header[8..<14].elementsEqual(bigEndian(options.isid, count: 6)) else {
            throw InitiatorFailure.violation("a Login Response with another ISID", response)
        }
        // Status-Class 0 alone makes StatSN valid (RFC 7143 11.13.4).
        guard !hasAnswer || response.statSN == expStatSN else {
            throw InitiatorFailure.violation("StatSN of a login is not \(expStatSN)", response)
        }
        guard Int32(bitPattern: response.maxCmdSN &- (response.expCmdSN &- 1)) >= 0,
            expectedExpCmdSN == nil || response.expCmdSN == expectedExpCmdSN
        else { throw InitiatorFailure.violation("ExpCmdSN or MaxCmdSN in a login that is at \(cmdSN)", response) }
        let tag = UInt16(response[12] & 0xFFFF)
        let isLast = response.flags & 0x83 == 0x83
        guard isLast ? tag != 0 && (tsih == 0 || tag == tsih) : tag == tsih else {
            throw InitiatorFailure.violation("TSIH \(tag) in a login with TSIH \(tsih)", response)
        }
        hasAnswer = true
        expStatSN = response.statSN &+ 1
        expCmdSN = response.expCmdSN
        maxCmdSN = response.maxCmdSN
        return response
    }
}
