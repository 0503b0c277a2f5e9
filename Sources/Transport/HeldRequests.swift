// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// Requests that came ahead of their turn, and the unsolicited data that follow them, until the gap in CmdSN closes.
/// A single TCP connection keeps its order, so this is for initiators that number out of order, and it is small.
struct HeldRequests {
    /// Bytes held before the connection is given up.
    static let byteLimit = 1 << 20

    private struct Request {
        let cmdSN: UInt32
        let initiatorTaskTag: UInt32
        /// The request, then its Data-Outs.
        var pdus: [HeldPDU]
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

    /// False when nothing more can be held. The same number twice is one request: the second is forgotten.
    mutating func hold(cmdSN: UInt32, initiatorTaskTag: UInt32, _ pdu: HeldPDU) -> Bool {
        if requests.contains(where: { $0.cmdSN == cmdSN }) { return true }
        guard byteCount + pdu.byteCount <= Self.byteLimit else { return false }
        byteCount += pdu.byteCount
        requests.append(Request(cmdSN: cmdSN, initiatorTaskTag: initiatorTaskTag, pdus: [pdu]))
        return true
    }

    /// The request of this number is not to run: when its turn comes, the number is used up.
    mutating func skip(_ cmdSN: UInt32) {
        _ = take(cmdSN: cmdSN)
        requests.append(Request(cmdSN: cmdSN, initiatorTaskTag: BasicHeaderSegment.reservedTag, pdus: []))
    }

    func holds(initiatorTaskTag: UInt32) -> Bool {
        // A number that is skipped has no tag.
        !requests.isEmpty && initiatorTaskTag != BasicHeaderSegment.reservedTag
            && requests.contains { $0.initiatorTaskTag == initiatorTaskTag }
    }

    /// Keeps a Data-Out behind the request that it belongs to. False when nothing more can be held.
    mutating func hold(dataOutFor initiatorTaskTag: UInt32, _ pdu: HeldPDU) -> Bool {
        guard let index = requests.firstIndex(where: { $0.initiatorTaskTag == initiatorTaskTag }),
            byteCount + pdu.byteCount <= Self.byteLimit
        else { return false }
        byteCount += pdu.byteCount
        requests[index].pdus.append(pdu)
        return true
    }

    /// The PDUs of the request whose turn it is; nil when it has not come yet.
    mutating func take(cmdSN: UInt32) -> [HeldPDU]? {
        guard let index = requests.firstIndex(where: { $0.cmdSN == cmdSN }) else { return nil }
        let pdus = requests.remove(at: index).pdus
        for pdu in pdus { byteCount -= pdu.byteCount }
        return pdus
    }
}
