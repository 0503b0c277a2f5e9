// SPDX-License-Identifier: Apache-2.0

/// PDUs over a socket: cut and joined by RFC 7143 11.1, digests made and checked, damaged where a test wants it.
package final class PDUStream {
    /// What happens to a PDU on its way out.
    package enum Sending: Sendable {
        case whole
        /// It does not go out at all: as if the network had lost it and TCP had not noticed.
        case lost
        /// Its header digest is wrong.
        case damagedHeader
        /// Its data digest is wrong.
        case damagedData
    }

    /// A whole PDU that came, or one whose digest was wrong.
    package enum Received {
        case pdu(WirePDU)
        case damagedData(WirePDU)
    }

    /// A data segment that says it is longer is a fault of the target.
    static let longestSegmentByteCount = 1 << 24

    package let socket: ByteSocket
    package var headerDigest = false
    package var dataDigest = false
    package private(set) var isClosedByPeer = false
    private var incoming: [UInt8] = []
    private var position = 0
    private var outgoing: [UInt8] = []

    package init(_ socket: ByteSocket) { self.socket = socket }

    package var hasOutgoing: Bool { !outgoing.isEmpty }

    // MARK: Out

    package func queue(_ pdu: WirePDU, _ sending: Sending = .whole) {
        guard sending != .lost else { return }
        var bytes = pdu.encoded(headerDigest: headerDigest, dataDigest: dataDigest)
        let headers = WirePDU.headerByteCount + pdu.additionalHeader.count
        if sending == .damagedHeader, headerDigest { bytes[headers] ^= 0x01 }
        if sending == .damagedData, dataDigest, !pdu.data.isEmpty { bytes[bytes.count - 1] ^= 0x01 }
        outgoing += bytes
    }

    package func queue(_ bytes: [UInt8]) { outgoing += bytes }

    /// Sends as much as the socket takes now.
    package func flush() throws {
        var sent = 0
        while sent < outgoing.count {
            let count = try socket.write(outgoing[sent...])
            if count == 0 { break }
            sent += count
        }
        outgoing.removeFirst(sent)
    }

    // MARK: In

    /// The peer has closed its end, and no whole PDU of it is left.
    package var isDrained: Bool { isClosedByPeer && (try? next(peeking: true)) == nil }

    /// Takes what is there, without waiting. Returns whether that was anything.
    @discardableResult
    package func fill() throws -> Bool {
        if position > 0 {
            incoming.removeFirst(position)
            position = 0
        }
        let count = incoming.count
        if try !socket.read(into: &incoming) { isClosedByPeer = true }
        return incoming.count > count
    }

    /// Waits until something can be taken, at most so long.
    package func wait(milliseconds: Int) {
        ByteSocket.wait(reading: [socket], writing: [], milliseconds: milliseconds)
    }

    /// The next whole PDU among what `fill` took; nil when it is not whole yet.
    package func next(peeking: Bool = false) throws -> Received? {
        var offset = position
        func take(_ count: Int) -> [UInt8]? {
            guard incoming.count - offset >= count else { return nil }
            defer { offset += count }
            return [UInt8](incoming[offset..<offset + count])
        }
        guard let header = take(WirePDU.headerByteCount) else { return nil }
        var pdu = WirePDU(header: header)
        guard let additional = take(Int(header[4]) * 4) else { return nil }
        pdu.additionalHeader = additional
        var isHeaderDamaged = false
        if headerDigest {
            guard let digest = take(4) else { return nil }
            isHeaderDamaged = digest != WireDigest.crc32c(header + additional)
        }
        let length = pdu.dataSegmentLength
        guard length <= Self.longestSegmentByteCount, !isHeaderDamaged else {
            throw InitiatorFailure.violation("a header digest of the target's is wrong", pdu)
        }
        var isDataDamaged = false
        if length > 0 {
            guard let padded = take(length + (-length & 3)) else { return nil }
            if dataDigest {
                guard let digest = take(4) else { return nil }
                isDataDamaged = digest != WireDigest.crc32c(padded)
            }
            pdu.data = [UInt8](padded.prefix(length))
        }
        if !peeking { position = offset }
        return isDataDamaged ? .damagedData(pdu) : .pdu(pdu)
    }
}
