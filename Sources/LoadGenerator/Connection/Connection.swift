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
    /// How long a target may take to say good-bye.
    private static let logoutLimitSeconds = 2.0

    /// Takes over a session that is ready.
    init(_ setup: SessionSetup, _ pipeline: Pipeline) {
        socket = setup.socket
        buffer = setup.buffer
        self.pipeline = pipeline
    }

    var descriptor: CInt { socket.descriptor }

    /// One receive, and all that follows from it. False when nothing was there.
    func receive(mayBlock: Bool) throws(LoadFailure) -> Bool {
        guard case .bytes(let count) = try unsafe socket.receive(into: buffer.free, mayBlock: mayBlock) else {
            return false
        }
        buffer.added(count)
        let now = Clock.now
        lastHeardNanoseconds = now
        // The pipeline does not touch the buffer.
        let consumed = try unsafe pipeline.take(buffer.filled.bytes, now: now)
        buffer.consumed(consumed)
        return true
    }

    /// Sends what is to be sent, new commands included: in one send, unless they are more than it takes.
    func send(now: UInt64) throws(LoadFailure) {
        if pipeline.outstandingCount == 0 { lastHeardNanoseconds = now }
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

    /// Says good-bye, with nothing outstanding. A target that does not answer is left all the same.
    func logOut(_ stop: StopSignal) {
        let numbers = pipeline.numbers
        let request = LogoutRequestPDU(
            reason: .closeSession, initiatorTaskTag: 0, cid: 0, cmdSN: numbers.cmdSN, expStatSN: numbers.expStatSN)
        let batch = pipeline.batch
        guard batch.isEmpty else { return }
        batch.addHeader { request.encode(into: &$0) }
        do throws(LoadFailure) {
            _ = try unsafe socket.send(batch.pending)
            try socket.wait(
                for: POLLIN, until: Clock.after(seconds: Self.logoutLimitSeconds), stop, orElse: "")
        } catch {
            // The connection is closed in any case.
        }
    }
}
