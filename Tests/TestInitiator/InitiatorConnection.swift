// SPDX-License-Identifier: Apache-2.0

/// One connection of a session: its numbers, its filters, and what became of it.
package final class InitiatorConnection {
    package enum State: Equatable, Sendable {
        case loggedIn
        case loggedOut
        /// Closed or reset, by either side, without a logout.
        case failed
    }

    /// What happens to a PDU that came.
    package enum Fate: Sendable {
        case take
        /// As if its header digest had been wrong: nothing is known of it.
        case lose
        /// As if its data digest had been wrong: its header is known, its data are not used.
        case damage
    }

    /// A PDU that uses up a StatSN: in order, or seen before.
    enum StatusOrder {
        case new
        case duplicate
    }

    package let cid: UInt16
    package let stream: PDUStream
    package internal(set) var state = State.loggedIn
    /// A logout for recovery of it has succeeded.
    var isRemoved = false
    /// The next StatSN that did not come: what is acknowledged.
    package internal(set) var expStatSN: UInt32
    /// Bytes of the longest data segment that the target takes here.
    package let targetSegmentByteCount: Int
    /// Judges every PDU that comes.
    package var receiveFilter: ((WirePDU) -> Fate)?
    /// May change every PDU before it goes out, and says how it goes.
    package var sendFilter: ((inout WirePDU) -> PDUStream.Sending)?

    /// StatSNs that came although an earlier one did not.
    var statSNsAhead: Set<UInt32> = []
    /// First numbers of runs that were asked for again.
    var askedStatSNs: Set<UInt32> = []
    var lastExpCmdSN: UInt32?

    init(cid: UInt16, stream: PDUStream, expStatSN: UInt32, targetSegmentByteCount: Int) {
        self.cid = cid
        self.stream = stream
        self.expStatSN = expStatSN
        self.targetSegmentByteCount = targetSegmentByteCount
    }

    func queue(_ pdu: WirePDU) {
        var pdu = pdu
        pdu.expStatSN = expStatSN
        let sending = sendFilter?(&pdu) ?? .whole
        stream.queue(pdu, sending)
    }

    /// Enters the StatSN of a PDU that uses one up.
    func enter(statSN: UInt32, errorRecoveryLevel: Int) throws -> StatusOrder {
        let distance = statSN &- expStatSN
        if distance == 0 {
            expStatSN &+= 1
            while statSNsAhead.remove(expStatSN) != nil { expStatSN &+= 1 }
            return .new
        }
        guard errorRecoveryLevel > 0 else {
            throw InitiatorFailure.violation("StatSN \(statSN), not \(expStatSN), on connection \(cid)")
        }
        if distance >= 0x8000_0000 { return .duplicate }
        return statSNsAhead.insert(statSN).inserted ? .new : .duplicate
    }

    /// Runs of StatSNs that did not come although later ones did.
    var missingStatSNs: [(first: UInt32, count: UInt32)] {
        var runs: [(first: UInt32, count: UInt32)] = []
        var number = expStatSN
        for ahead in statSNsAhead.sorted(by: { Int32(bitPattern: $0 &- $1) < 0 }) {
            if ahead != number { runs.append((number, ahead &- number)) }
            number = ahead &+ 1
        }
        return runs
    }
}
