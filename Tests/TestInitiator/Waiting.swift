// SPDX-License-Identifier: Apache-2.0

/// Waiting for PDUs, always with an end.
enum Waiting {
    /// Sends what is queued on `streams`, waits until something comes on one of them, and takes it in.
    /// Returns false when nothing came for `milliseconds`.
    static func step(_ streams: [PDUStream], _ options: SessionOptions, milliseconds: Int) throws -> Bool {
        for stream in streams { try stream.flush() }
        try options.beforeWaiting?()
        let writing = streams.filter(\.hasOutgoing).map(\.socket)
        let reading = streams.filter { !$0.isClosedByPeer }
        let deadline = Deadline(seconds: Double(milliseconds) / 1000)
        repeat {
            ByteSocket.wait(
                reading: reading.map(\.socket), writing: writing, milliseconds: deadline.millisecondsLeft)
            var isNew = false
            for stream in reading {
                if try stream.fill() || stream.isClosedByPeer { isNew = true }
            }
            if isNew { return true }
            if !writing.isEmpty {
                for stream in streams where stream.hasOutgoing { try stream.flush() }
            }
        } while !deadline.isOver
        return false
    }

    /// The next PDU of one stream.
    static func receive(_ stream: PDUStream, _ options: SessionOptions, awaiting what: String) throws -> WirePDU {
        let deadline = Deadline(seconds: options.timeoutSeconds)
        while true {
            if let received = try stream.next() {
                guard case .pdu(let pdu) = received else {
                    throw InitiatorFailure.violation("a wrong data digest where \(what) was awaited")
                }
                return pdu
            }
            guard !stream.isClosedByPeer else {
                throw InitiatorFailure(.connectionClosed, "where \(what) was awaited")
            }
            guard !deadline.isOver else { throw InitiatorFailure(.timedOut, "no \(what) came") }
            _ = try step([stream], options, milliseconds: deadline.millisecondsLeft)
        }
    }
}
