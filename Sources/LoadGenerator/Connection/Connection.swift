// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import ISCSI
internal import SCSI

/// A session under load: its socket, what came in, what goes out. One receive and one send for each turn.
final class Connection {
    let pipeline: Pipeline
    private let socket: InitiatorSocket
    private let buffer: ReceiveBuffer
    /// The socket takes no more for now.
    private(set) var isBlocked = false
    /// When the last byte came, in monotonic nanoseconds; while something is outstanding.
    private var lastHeardNanoseconds: UInt64 = 0

    /// A target that says nothing for so long, with commands outstanding, is given up.
    private static let silenceLimitNanoseconds: UInt64 = 30_000_000_000

    /// Takes over a session that is ready.
    init(_ setup: SessionSetup, _ pipeline: Pipeline) {
        socket = setup.socket
        buffer = setup.buffer
        self.pipeline = pipeline
    }

    var descriptor: CInt { socket.descriptor }

    /// One receive, and all that follows from it. When that was, in monotonic nanoseconds; nil when nothing had come.
    func receive(mayBlock: Bool) throws(LoadFailure) -> UInt64? {
        guard case .bytes(let count) = try unsafe socket.receive(into: buffer.free, mayBlock: mayBlock) else {
            return nil
        }
        buffer.added(count)
        let now = Clock.now
        lastHeardNanoseconds = now
        // The pipeline does not touch the buffer.
        let consumed = try unsafe pipeline.take(buffer.filled.bytes, now: now)
        buffer.consumed(consumed)
        return now
    }

    /// Sends what is to be sent, new commands included: in one send, unless they are more than it takes.
    func send(now: UInt64) throws(LoadFailure) {
        // The silence begins with the first command.
        if pipeline.outstandingCount == 0 && pipeline.numbers.isWindowOpen { lastHeardNanoseconds = now }
        while true {
            pipeline.pump(now: now)
            let batch = pipeline.batch
            let wasFull = !batch.hasRoom
            while !batch.isEmpty {
                switch try unsafe socket.send(batch.pending) {
                case .bytes(let count):
                    batch.sent(count)
                case .wouldBlock:
                    isBlocked = true
                    return
                }
            }
            isBlocked = false
            guard wasFull else { return }
        }
    }

    /// Between turns.
    func checkSilence(now: UInt64) throws(LoadFailure) {
        guard pipeline.outstandingCount > 0 || !pipeline.numbers.isWindowOpen, lastHeardNanoseconds > 0,
            now > lastHeardNanoseconds, now - lastHeardNanoseconds > Self.silenceLimitNanoseconds
        else { return }
        let seconds = Self.silenceLimitNanoseconds / 1_000_000_000
        guard pipeline.outstandingCount > 0 else {
            throw .runTime("the target has kept its command window closed for \(seconds) seconds")
        }
        throw .runTime(
            "the target has said nothing for \(seconds) seconds, with \(pipeline.outstandingCount) commands outstanding"
        )
    }

    /// Limits how long a receive that may block does.
    func setReceiveTimeout(milliseconds: Int) { socket.setReceiveTimeout(milliseconds: milliseconds) }

    /// Asks to log out, with nothing outstanding.
    func sayGoodBye() {
        let numbers = pipeline.numbers
        let request = LogoutRequestPDU(
            reason: .closeSession, initiatorTaskTag: 0, cid: 0, cmdSN: numbers.cmdSN, expStatSN: numbers.expStatSN)
        let batch = pipeline.batch
        guard batch.isEmpty else { return }
        batch.addHeader { request.encode(into: &$0) }
        // A target that does not hear it sees the connection's end.
        _ = try? unsafe socket.send(batch.pending)
    }

    /// A target that does not answer is left all the same.
    func waitForGoodBye(until deadline: UInt64) {
        try? socket.wait(for: POLLIN, until: deadline, nil, orElse: "")
    }
}
