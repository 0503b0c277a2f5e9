// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator

/// What came on the connections of a session. PDUs of one connection are in their order; of two connections only what
/// follows from each other is.
final class PDULog {
    private(set) var entries: [(cid: UInt16, pdu: WirePDU)] = []

    init(_ session: InitiatorSession) {
        for cid in session.liveCIDs {
            session.connection(cid)?.receiveFilter = { [self] pdu in
                entries.append((cid, pdu))
                return .take
            }
        }
    }

    /// Places of PDUs of this kind among all that came.
    func places(of opcode: UInt8, on cid: UInt16? = nil, from start: Int = 0) -> [Int] {
        entries.indices.filter {
            $0 >= start && entries[$0].pdu.opcode == opcode && (cid == nil || entries[$0].cid == cid)
        }
    }

    /// NOP-Ins that ask for an answer.
    func pings(on cid: UInt16, from start: Int = 0) -> [Int] {
        places(of: WirePDU.Opcode.nopIn, on: cid, from: start).filter {
            entries[$0].pdu.initiatorTaskTag == WirePDU.noTag
        }
    }

    func responses(on cid: UInt16? = nil, from start: Int = 0) -> [Int] {
        places(of: WirePDU.Opcode.taskManagementResponse, on: cid, from: start)
    }
}

/// Keeps PDUs of a connection back that its initiator sends.
final class Withheld {
    private(set) var pdus: [WirePDU] = []
    private unowned let session: InitiatorSession
    private let cid: UInt16

    /// Withholds what is `meant`; NOP-Outs unless said.
    init(
        _ session: InitiatorSession, _ cid: UInt16,
        where meant: @escaping (WirePDU) -> Bool = { $0.opcode == WirePDU.Opcode.nopOut }
    ) {
        self.session = session
        self.cid = cid
        session.connection(cid)?.sendFilter = { [self] pdu in
            guard meant(pdu) else { return .whole }
            pdus.append(pdu)
            return .lost
        }
    }

    /// Withholds nothing any more, and sends what was withheld one by one, with the numbers of now.
    func release() throws {
        session.connection(cid)?.sendFilter = nil
        for pdu in pdus { try session.send(pdu, on: cid) }
        pdus = []
    }

    /// The same in one piece, and with the numbers of then.
    func releaseAtOnce() throws {
        guard let connection = session.connection(cid) else { return }
        connection.sendFilter = nil
        for pdu in pdus { connection.stream.queue(pdu) }
        pdus = []
        try connection.stream.flush()
    }
}

extension InitiatorSession {
    /// Answers a NOP-In of the target's.
    func answer(ping: WirePDU, on cid: UInt16) throws {
        var answer = WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate)
        answer.lun = ping.lun
        answer.initiatorTaskTag = WirePDU.noTag
        answer.targetTransferTag = ping.targetTransferTag
        answer.cmdSN = cmdSN
        try send(answer, on: cid)
    }

    /// Takes what comes until `condition` holds; false when it does not within this time. Unlike `pump` it may end with
    /// no connection left.
    func take(seconds: Double, until condition: () -> Bool) throws -> Bool {
        let deadline = Deadline(seconds: seconds)
        while !condition() {
            if deadline.isOver { return false }
            do {
                try drain(milliseconds: 20)
            } catch let failure as InitiatorFailure where failure.isLoss {
                // Which connection it was shows when it is read from.
                for cid in liveCIDs { try connection(cid)?.stream.fill() }
            }
        }
        return true
    }
}

/// A login that is sent in one request and not waited for.
final class LoginAttempt {
    enum Ending: Hashable {
        case loggedIn
        case refused(UInt16)
        /// Closed without an answer.
        case dropped
    }

    let cid: UInt16
    private let stream: PDUStream
    private let login: LoginExchange

    /// - Parameters:
    ///   - tsih: of the session that it is to join; 0 for a new one.
    ///   - isSent: false only connects; the request goes out with `send`.
    init(
        _ url: LogicalUnitURL, _ options: SessionOptions, tsih: UInt16, cid: UInt16, cmdSN: UInt32, isSent: Bool = true
    ) throws {
        self.cid = cid
        stream = PDUStream(try ByteSocket(host: url.host, port: url.port))
        login = LoginExchange(stream, options: options, tsih: tsih, cid: cid, cmdSN: cmdSN)
        login.expectedExpCmdSN = nil
        if isSent { try send() }
    }

    func send() throws {
        let isLeading = login.tsih == 0
        let keys = login.options.names(isLeading: isLeading) + login.options.operationalKeys(isLeading: isLeading)
        login.send(
            login.request(
                .text(keys.map { ($0.key, $0.value) }), stage: LoginExchange.operational,
                next: LoginExchange.fullFeature))
        try stream.flush()
    }

    /// A connection that joins `session`.
    convenience init(
        _ url: LogicalUnitURL, joining session: InitiatorSession, cid: UInt16, isSent: Bool = true
    ) throws {
        try self.init(
            url, session.options, tsih: session.tsih, cid: cid, cmdSN: session.cmdSN, isSent: isSent)
    }

    /// Waits for the end; throws when there is none in the time of the options.
    func end() throws -> Ending {
        do {
            let response = try login.receive()
            guard response.flags & 0x83 == 0x83 else { throw HarnessError("the login goes on: \(response.summary)") }
            return .loggedIn
        } catch let refusal as LoginRefusal {
            return .refused(refusal.status)
        } catch let failure as InitiatorFailure where failure.isLoss {
            return .dropped
        }
    }

    /// After the login: whether a NOP-Out is answered. False when the target has closed the connection.
    func isAlive() throws -> Bool {
        var request = WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate)
        request.initiatorTaskTag = 0x0A11_7E00
        request.targetTransferTag = WirePDU.noTag
        request.cmdSN = login.expCmdSN
        request.expStatSN = login.expStatSN
        let deadline = Deadline(seconds: login.options.timeoutSeconds)
        do {
            stream.queue(request)
            try stream.flush()
            while !deadline.isOver {
                if case .pdu(let pdu)? = try stream.next() {
                    if pdu.opcode == WirePDU.Opcode.nopIn, pdu.initiatorTaskTag == request.initiatorTaskTag {
                        return true
                    }
                    continue
                }
                if stream.isClosedByPeer { return false }
                stream.wait(milliseconds: 20)
                try stream.fill()
            }
        } catch let failure as InitiatorFailure where failure.isLoss {
            return false
        }
        throw HarnessError("connection \(cid) neither answers nor ends")
    }

    func close() { stream.socket.close() }
}

extension InitiatorFailure {
    /// The connection went, in whatever way the socket tells.
    fileprivate var isLoss: Bool { kind == .connectionClosed }
}

extension MartletServer {
    /// Waits until the log has these words so often.
    func waitForLog(_ words: String, count: Int = 1, seconds: Double = 10) throws {
        let deadline = Deadline(seconds: seconds)
        while standardError.components(separatedBy: words).count <= count {
            guard !deadline.isOver else { throw HarnessError("no \(words) in the log: \(standardError)") }
            sched_yield()
        }
    }
}
