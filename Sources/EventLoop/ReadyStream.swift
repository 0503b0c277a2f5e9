// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// A byte stream over readiness: one `recvmsg` for each time the socket is readable, which takes all that the socket
/// holds. Two vectors: first the owner's place, then the loop's batch buffer.
final class ReadyStream: ByteStream, EventSource {
    private let descriptor: CInt
    private unowned let loop: EventLoop
    /// Nil once closed.
    private var owner: (any ByteStreamOwner)?
    private var registration: EventLoop.Registration?
    private var budget = ReceiveBudget()
    private var isBlocked = false

    init(_ descriptor: CInt, loop: EventLoop, owner: any ByteStreamOwner) throws(SystemError) {
        self.descriptor = descriptor
        self.loop = loop
        self.owner = owner
        registration = try loop.register(descriptor, interest: .readable, source: self)
    }

    var isReceiving = true {
        didSet { if isReceiving != oldValue { updateInterest() } }
    }

    func ready(_ readiness: Readiness) {
        if isBlocked, readiness.contains(.writable) || readiness.contains(.hangup) {
            isBlocked = false
            updateInterest()
            owner?.canSend()
        }
        if isReceiving {
            if readiness.contains(.readable) || readiness.contains(.hangup) { receive() }
        } else if readiness.contains(.hangup) {
            owner?.hungUp()
        }
    }

    private func receive() {
        guard let owner else { return }
        let place = unsafe owner.place
        let batch = unsafe loop.batchBuffer
        var vectors = unsafe (
            iovec(iov_base: place.baseAddress, iov_len: place.count),
            iovec(iov_base: batch.baseAddress, iov_len: min(batch.count, budget.byteCount))
        )
        // Without a place the second vector alone.
        let skipped = unsafe place.isEmpty ? 1 : 0
        // Both pieces are ours until the call returns: the owner's place by its promise, the batch by the loop's.
        let count = unsafe withUnsafeMutablePointer(to: &vectors) { pointer in
            unsafe pointer.withMemoryRebound(to: iovec.self, capacity: 2) { first in
                var message = unsafe msghdr()
                unsafe message.msg_iov = first + skipped
                unsafe message.msg_iovlen = 2 - skipped
                return unsafe recvmsg(descriptor, &message, 0)
            }
        }
        guard count > 0 else { return receivedNothing(count, owner) }
        let placed = min(count, place.count)
        budget.received(count - placed)
        unsafe owner.received(
            placedByteCount: placed, batch: UnsafeRawBufferPointer(start: batch.baseAddress, count: count - placed))
    }

    @inline(never)
    private func receivedNothing(_ count: Int, _ owner: any ByteStreamOwner) {
        if count == 0 { return owner.receiveEnded(0) }
        switch clinux_errno() {
        case EAGAIN, EINTR: break
        case let code: owner.receiveEnded(code)
        }
    }

    func send(_ vectors: UnsafeMutableBufferPointer<iovec>) -> SendResult {
        let result = unsafe SendResult.ofSending(vectors, to: descriptor)
        if result == .blocked {
            isBlocked = true
            updateInterest()
        }
        return result
    }

    /// `recvmsg` has written all that it ever will before it returns.
    func revokePlace() -> Int { 0 }

    func close() {
        owner = nil
        if let registration { loop.remove(registration) }
        registration = nil
    }

    private func updateInterest() {
        guard let registration else { return }
        var interest: Readiness = []
        if isReceiving { interest.insert(.readable) }
        if isBlocked { interest.insert(.writable) }
        do throws(SystemError) {
            try loop.setInterest(interest, of: registration)
        } catch {
            owner?.receiveEnded(error.code)
        }
    }
}
