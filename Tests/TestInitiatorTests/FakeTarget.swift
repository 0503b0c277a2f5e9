// SPDX-License-Identifier: Apache-2.0

import TestInitiator

/// A target that does what a test says, in the initiator's own thread: it has its turn whenever the initiator is about to
/// wait. Logins it answers by itself: with what was offered.
final class FakeTarget {
    final class Connection {
        let stream: PDUStream
        var cid: UInt16 = 0
        var statSN: UInt32 = 100
        var isLoggedIn = false
        /// Of a login: text that came, text that is still to go out.
        var heard: [UInt8] = []
        var rest: [UInt8] = []
        var hasDeclared = false

        init(_ stream: PDUStream) { self.stream = stream }
    }

    static let tsih: UInt16 = 0x77
    static let windowDepth: UInt32 = 16

    private(set) var connections: [Connection] = []
    /// Every request of the full feature phase, in order, with the index of its connection.
    private(set) var requests: [(connection: Int, pdu: WirePDU)] = []
    /// Login Requests.
    private(set) var logins: [WirePDU] = []
    var expCmdSN: UInt32 = 1
    /// Numbers that go out instead of the window's.
    var maxCmdSN: UInt32?
    /// Keys that are answered otherwise than they were offered.
    var answers: [String: String] = [:]
    /// Answers of a login go out in pieces of so many bytes.
    var answerPieceByteCount = 8192
    /// Changes a Login Response before it goes out.
    var changeLogin: ((inout WirePDU) -> Void)?
    /// What to do with a request; `expCmdSN` has been advanced.
    var script: (FakeTarget, Int, WirePDU) throws -> Void = { _, _, _ in }

    func connect() throws -> ByteSocket {
        let (ours, theirs) = try ByteSocket.pair()
        connections.append(Connection(PDUStream(ours)))
        return theirs
    }

    func options(_ change: (inout SessionOptions) -> Void = { _ in }) -> SessionOptions {
        var options = SessionOptions(targetName: "iqn.2026-11.org.example:fake")
        options.timeoutSeconds = 0.5
        options.quietMilliseconds = 5
        options.time2WaitSeconds = 0
        options.maxConnections = 4
        options.beforeWaiting = { try self.serve() }
        change(&options)
        return options
    }

    func session(_ change: (inout SessionOptions) -> Void = { _ in }) throws -> InitiatorSession {
        try InitiatorSession.login(options(change)) { try self.connect() }
    }

    // MARK: Serving

    func serve() throws {
        for (index, connection) in connections.enumerated() {
            try connection.stream.fill()
            while case .pdu(let pdu)? = try connection.stream.next() {
                if connection.isLoggedIn {
                    requests.append((index, pdu))
                    if Self.usesCmdSN(pdu), pdu.cmdSN == expCmdSN { expCmdSN &+= 1 }
                    try script(self, index, pdu)
                } else {
                    logIn(connection, pdu)
                }
            }
        }
        for connection in connections where !connection.stream.isClosedByPeer { try connection.stream.flush() }
    }

    static func usesCmdSN(_ pdu: WirePDU) -> Bool {
        let isNumbered = pdu.opcode != WirePDU.Opcode.dataOut && pdu.opcode != WirePDU.Opcode.snack
        return isNumbered && pdu.header[0] & WirePDU.immediate == 0
    }

    private func logIn(_ connection: Connection, _ request: WirePDU) {
        logins.append(request)
        if request.header[14..<16].elementsEqual([0, 0]) { expCmdSN = request.cmdSN }
        connection.cid = UInt16(request[20] >> 16)
        var response = WirePDU(opcode: WirePDU.Opcode.loginResponse, flags: request.flags & 0x0C)
        response.header.replaceSubrange(8..<20, with: request.header[8..<20])
        connection.heard += request.data
        if request.flags & 0x40 == 0 {
            connection.rest += answer(connection.heard)
            connection.heard = []
            if request.flags & 0x83 == 0x83, !connection.hasDeclared {
                connection.hasDeclared = true
                connection.rest += [UInt8].text([("MaxRecvDataSegmentLength", "1024")])
            }
            response.data = [UInt8](connection.rest.prefix(answerPieceByteCount))
            connection.rest.removeFirst(response.data.count)
            response.header[1] |= connection.rest.isEmpty ? request.flags & 0x83 : 0x40
        }
        if response.flags & 0x83 == 0x83 {
            response.header.replaceSubrange(14..<16, with: [0, UInt8(Self.tsih)])
            connection.isLoggedIn = true
        }
        number(&response, connection)
        changeLogin?(&response)
        connection.stream.queue(response)
    }

    private func answer(_ text: [UInt8]) -> [UInt8] {
        var keys: [(String, String)] = []
        for pair in text.split(separator: 0) {
            let parts = String(decoding: pair, as: UTF8.self).split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, !Self.unanswered.contains(parts[0]) else { continue }
            let first = parts[0].hasSuffix("Digest") ? String(parts[1].split(separator: ",")[0]) : parts[1]
            keys.append((parts[0], answers[parts[0]] ?? first))
        }
        return .text(keys)
    }

    private static let unanswered: Set<String> = [
        "InitiatorName", "TargetName", "SessionType", "MaxRecvDataSegmentLength", "InitiatorAlias",
    ]

    private func number(_ pdu: inout WirePDU, _ connection: Connection, usesStatSN: Bool = true) {
        pdu.statSN = connection.statSN
        if usesStatSN { connection.statSN &+= 1 }
        pdu[28] = expCmdSN
        pdu[32] = maxCmdSN ?? expCmdSN &+ Self.windowDepth - 1
    }

    // MARK: What a script says

    /// Sends a PDU with numbers of its own; `change` has the last word.
    func send(
        _ pdu: WirePDU, on index: Int, usesStatSN: Bool = true, _ change: (inout WirePDU) -> Void = { _ in }
    ) {
        var pdu = pdu
        number(&pdu, connections[index], usesStatSN: usesStatSN)
        change(&pdu)
        connections[index].stream.queue(pdu)
    }

    func response(
        to request: WirePDU, on index: Int, status: UInt8 = 0, expDataSN: UInt32 = 0,
        _ change: (inout WirePDU) -> Void = { _ in }
    ) {
        var pdu = WirePDU(opcode: WirePDU.Opcode.scsiResponse)
        pdu.header[3] = status
        pdu.initiatorTaskTag = request.initiatorTaskTag
        pdu.dataSN = expDataSN
        send(pdu, on: index, change)
    }

    func dataIn(
        _ request: WirePDU, on index: Int, dataSN: UInt32, offset: Int, byteCount: Int, isFinal: Bool = false,
        hasStatus: Bool = false, _ change: (inout WirePDU) -> Void = { _ in }
    ) {
        var pdu = WirePDU(
            opcode: WirePDU.Opcode.dataIn, flags: (isFinal || hasStatus ? 0x80 : 0) | (hasStatus ? 1 : 0),
            data: Self.content(offset, byteCount))
        pdu.initiatorTaskTag = request.initiatorTaskTag
        pdu.targetTransferTag = WirePDU.noTag
        pdu.dataSN = dataSN
        pdu.bufferOffset = UInt32(offset)
        send(pdu, on: index, usesStatSN: hasStatus, change)
    }

    func r2t(
        _ request: WirePDU, on index: Int, number: UInt32, offset: Int, byteCount: Int, tag: UInt32 = 0x55,
        _ change: (inout WirePDU) -> Void = { _ in }
    ) {
        var pdu = WirePDU(opcode: WirePDU.Opcode.r2t)
        pdu.lun = request.lun
        pdu.initiatorTaskTag = request.initiatorTaskTag
        pdu.targetTransferTag = tag
        pdu.dataSN = number
        pdu.bufferOffset = UInt32(offset)
        pdu[44] = UInt32(byteCount)
        send(pdu, on: index, usesStatSN: false, change)
    }

    /// The answer to task management, a logout, a NOP-Out.
    func answer(_ opcode: UInt8, to request: WirePDU, on index: Int, _ change: (inout WirePDU) -> Void = { _ in }) {
        var pdu = WirePDU(opcode: opcode)
        pdu.initiatorTaskTag = request.initiatorTaskTag
        if opcode == WirePDU.Opcode.nopIn { pdu.targetTransferTag = WirePDU.noTag }
        send(pdu, on: index, change)
    }

    func reject(_ request: WirePDU, on index: Int, reason: UInt8) {
        var pdu = WirePDU(opcode: WirePDU.Opcode.reject, data: request.header)
        pdu.header[2] = reason
        pdu.initiatorTaskTag = WirePDU.noTag
        send(pdu, on: index)
    }

    /// What every command reads: bytes that tell their offset.
    static func content(_ offset: Int, _ byteCount: Int) -> [UInt8] {
        (offset..<offset + byteCount).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8) }
    }

    func requests(_ opcode: UInt8) -> [WirePDU] { requests.map(\.pdu).filter { $0.opcode == opcode } }
}
