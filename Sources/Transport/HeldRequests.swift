// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// Requests that came ahead of their turn, and the unsolicited data that follow them, until the gap in CmdSN closes.
/// A single TCP connection keeps its order; with several a request may overtake those of the others.
struct HeldRequests {
    /// Bytes held before no more is taken from a connection that runs ahead: it waits, or, when no other connection
    /// could bring what is missing, it is given up. Each connection may go beyond it by one PDU.
    static let byteLimit = 1 << 20

    private struct Request {
        let cmdSN: UInt32
        let initiatorTaskTag: UInt32
        /// The connection that it came by; nil for a number that is to be skipped.
        let connection: ISCSIConnection?
        /// The request, then its Data-Outs.
        var pdus: [HeldPDU]
    }

    /// What `take` gives.
    struct Taken {
        let connection: ISCSIConnection?
        let pdus: [HeldPDU]
    }

    struct HeldPDU {
        let frame: PDUFramer.Frame
        /// The whole PDU as it came.
        let bytes: [UInt8]
        let dataDigestMatches: Bool

        init(_ pdu: ReceivedPDU, dataDigestMatches: Bool) {
            frame = pdu.frame
            bytes = pdu.wholeCopy
            self.dataDigestMatches = dataDigestMatches
        }

        var byteCount: Int { bytes.count }
    }

    private var requests: [Request] = []
    private var byteCount = 0

    var isEmpty: Bool { requests.isEmpty }
    /// Nothing more is to be held.
    var isFull: Bool { byteCount >= Self.byteLimit }

    /// The same number twice is one request: the second is forgotten.
    mutating func hold(
        cmdSN: UInt32, initiatorTaskTag: UInt32, of connection: ISCSIConnection, _ pdu: HeldPDU
    ) {
        if requests.contains(where: { $0.cmdSN == cmdSN }) { return }
        byteCount += pdu.byteCount
        requests.append(
            Request(cmdSN: cmdSN, initiatorTaskTag: initiatorTaskTag, connection: connection, pdus: [pdu]))
    }

    /// The request of this number is not to run: when its turn comes, the number is used up.
    mutating func skip(_ cmdSN: UInt32) {
        _ = take(cmdSN: cmdSN)
        requests.append(
            Request(cmdSN: cmdSN, initiatorTaskTag: BasicHeaderSegment.reservedTag, connection: nil, pdus: []))
    }

    func holds(initiatorTaskTag: UInt32) -> Bool {
        // A number that is skipped has no tag.
        !requests.isEmpty && initiatorTaskTag != BasicHeaderSegment.reservedTag
            && requests.contains { $0.initiatorTaskTag == initiatorTaskTag }
    }

    /// Keeps a Data-Out behind the request that it belongs to.
    mutating func hold(dataOutFor initiatorTaskTag: UInt32, _ pdu: HeldPDU) {
        guard let index = requests.firstIndex(where: { $0.initiatorTaskTag == initiatorTaskTag }) else { return }
        byteCount += pdu.byteCount
        requests[index].pdus.append(pdu)
    }

    /// `connection` has gone: its requests have never come, and their numbers are free for a retry.
    mutating func forget(_ connection: ISCSIConnection) {
        guard !requests.isEmpty else { return }
        for request in requests where request.connection === connection {
            for pdu in request.pdus { byteCount -= pdu.byteCount }
        }
        requests.removeAll { $0.connection === connection }
    }

    /// The PDUs of the request whose turn it is; nil when it has not come yet.
    mutating func take(cmdSN: UInt32) -> Taken? {
        guard let index = requests.firstIndex(where: { $0.cmdSN == cmdSN }) else { return nil }
        let request = requests.remove(at: index)
        for pdu in request.pdus { byteCount -= pdu.byteCount }
        return Taken(connection: request.connection, pdus: request.pdus)
    }
}
