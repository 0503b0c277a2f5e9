// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// A byte stream whose receives io_uring ends by itself. At most one is under way, so that the order of the bytes is
/// the order of the completions: into a buffer of the poller's, or, when a long piece is expected whose place is
/// known, straight to that place.
///
/// Sends stay system calls of their own: nothing of the owner's is in flight after they return, and through the ring
/// they would end each wait early.
@safe final class UringStream: ByteStream {
    /// A place of so many bytes is received to directly. A direct receive brings one piece, and needs another for what
    /// follows; one into a buffer brings all that is there, and costs a copy. At 64 KiB and queue depth 16 the former
    /// took twice the processor time of the latter; pieces of 256 KiB cost what epoll's two vectors cost.
    static let directByteCount = 128 << 10
    /// Bytes of one direct receive: the kernel tells when all of it is full. Bounded so that slow peers are heard of.
    static let largestDirectByteCount = 256 << 10
    /// After a piece that was received directly comes, most likely, the beginning of the next: so little is taken that
    /// nearly all of that can be received directly too.
    static let betweenByteCount = 512

    let index: Int
    private let descriptor: CInt
    private let generation: UInt32
    private unowned let poller: UringPoller
    /// Nil once closed.
    private var owner: (any ByteStreamOwner)?
    private var budget = ReceiveBudget()

    private enum Receive {
        case none, buffered, direct
    }
    private var receive = Receive.none
    /// The receive before this one was direct and got all it wanted.
    private var isBetween = false
    /// As far as the last completion knew.
    private var socketHasMore = false
    private var isListed = false

    private var isBlocked = false
    private var isRoomArmed = false
    private var isHangupArmed = false
    /// The other side has gone, and nothing more will be heard of it.
    private var hasHungUp = false

    // What came while nothing was to be received: a receive that was under way then is let be.
    /// In the owner's place.
    private var heldPlacedByteCount = 0
    private var held: UnsafeMutableRawBufferPointer?
    /// What `receiveEnded` is to be told.
    private var end: CInt?

    init(
        _ descriptor: CInt, poller: UringPoller, index: Int, generation: UInt32, owner: any ByteStreamOwner
    ) {
        self.descriptor = descriptor
        self.poller = poller
        self.index = index
        self.generation = generation
        self.owner = owner
        list()
    }

    func operation(_ kind: UringOperation.Kind) -> UringOperation {
        UringOperation(kind, index: index, generation: generation)
    }

    var isReceiving = true {
        didSet {
            guard isReceiving != oldValue, owner != nil else { return }
            if isReceiving ? hasUntold : hasHungUp { poller.willTell(self) }
            list()
        }
    }

    private var hasUntold: Bool {
        unsafe heldPlacedByteCount > 0 || held != nil || end != nil
    }

    // MARK: What is under way

    private func list() {
        guard !isListed else { return }
        isListed = true
        poller.willArm(self)
    }

    /// Before the poller waits: requests what there is to wait for, if it is not under way.
    func arm() {
        isListed = false
        guard let owner else { return }
        if isBlocked && !isRoomArmed {
            isRoomArmed = queuePoll(.room, events: UInt32(clinux_pollout), isLasting: false)
        }
        guard receive == .none, end == nil else { return armHangup() }
        guard isReceiving else { return armHangup() }
        guard !hasUntold else { return }
        unsafe queueReceive(to: owner.place)
    }

    private func queueReceive(to place: UnsafeMutableRawBufferPointer) {
        var submission = clinux_uring_submission()
        submission.opcode = UInt8(clinux_uring_op_recv)
        submission.fd = descriptor
        submission.user_data = operation(.receive).rawValue
        // A receive that finds nothing costs as much as one that does: it is tried when something has come.
        if !socketHasMore { submission.ioprio = UInt16(clinux_uring_poll_first) }
        let isDirect = place.count >= Self.directByteCount
        if isDirect {
            // The place stays until the owner has been told of bytes in it or takes it back, and either waits for us.
            submission.addr = UInt64(UInt(bitPattern: place.baseAddress))
            submission.len = UInt32(min(place.count, Self.largestDirectByteCount))
            submission.operation_flags = UInt32(clinux_msg_waitall)
        } else {
            submission.flags = UInt8(clinux_uring_buffer_select)
            submission.buf_group = UringBuffers.group
            submission.len = UInt32(isBetween ? Self.betweenByteCount : budget.byteCount)
        }
        guard poller.queue(submission) else { return list() }
        receive = isDirect ? .direct : .buffered
    }

    private func queuePoll(_ kind: UringOperation.Kind, events: UInt32, isLasting: Bool) -> Bool {
        var submission = clinux_uring_submission()
        submission.opcode = UInt8(clinux_uring_op_poll_add)
        submission.fd = descriptor
        submission.len = isLasting ? UInt32(clinux_uring_poll_multiple) : 0
        submission.operation_flags = events
        submission.user_data = operation(kind).rawValue
        if poller.queue(submission) { return true }
        list()
        return false
    }

    /// While nothing is received. The kernel tells of changes only: that the peer has closed its half, which is none of
    /// ours now, would otherwise be told for ever.
    private func armHangup() {
        guard !isReceiving, receive == .none, !isHangupArmed, !hasHungUp else { return }
        isHangupArmed = queuePoll(.hangup, events: 0, isLasting: true)
    }

    // MARK: What has come

    /// `batch` is what came into a buffer; nil after a direct receive or a failure.
    func receiveCompleted(_ result: CInt, _ batch: UnsafeRawBufferPointer?, socketHasMore: Bool) {
        let wasDirect = receive == .direct
        let wasBetween = isBetween
        receive = .none
        isBetween = wasDirect
        self.socketHasMore = socketHasMore
        guard result > 0 else { return receivedNothing(result) }
        list()
        guard let owner else { return }
        let bytes = unsafe batch ?? UnsafeRawBufferPointer(start: nil, count: 0)
        if !wasDirect && !wasBetween { budget.received(bytes.count) }
        let placedByteCount = wasDirect ? Int(result) : 0
        guard isReceiving else { return unsafe hold(placedByteCount, bytes) }
        unsafe owner.received(placedByteCount: placedByteCount, batch: bytes)
    }

    @inline(never)
    private func receivedNothing(_ result: CInt) {
        switch -result {
        case ENOBUFS:
            // More streams than buffers: there are bytes, so asking for them needs no waiting.
            socketHasMore = true
            poller.willArmWhenFed(self)
        case EAGAIN, EINTR, ECANCELED: list()
        case let code:
            end = code
            if isReceiving {
                tell()
            } else {
                if code != 0 { hangUp() }
                list()
            }
        }
    }

    @inline(never)
    private func hold(_ placedByteCount: Int, _ bytes: UnsafeRawBufferPointer) {
        heldPlacedByteCount = placedByteCount
        guard unsafe !bytes.isEmpty else { return }
        // Copied, as the buffer belongs to all; freed when told or closed.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        unsafe copy.copyMemory(from: bytes)
        unsafe held = copy
    }

    /// What there is to tell without an event: what was held, an end.
    func tell() {
        guard let owner else { return }
        guard isReceiving else {
            if hasHungUp { owner.hungUp() }
            return
        }
        let placedByteCount = heldPlacedByteCount
        heldPlacedByteCount = 0
        if let bytes = unsafe held {
            unsafe held = nil
            unsafe owner.received(placedByteCount: placedByteCount, batch: UnsafeRawBufferPointer(bytes))
            unsafe bytes.deallocate()
        } else if placedByteCount > 0 {
            unsafe owner.received(
                placedByteCount: placedByteCount, batch: UnsafeRawBufferPointer(start: nil, count: 0))
        }
        // The owner may have closed or paused in that call.
        if isReceiving, let end { self.owner?.receiveEnded(end) }
        list()
    }

    private func hangUp() {
        hasHungUp = true
        if !isReceiving { owner?.hungUp() }
    }

    func roomCompleted(_ result: CInt) {
        isRoomArmed = false
        guard result >= 0 else { return list() }
        isBlocked = false
        owner?.canSend()
    }

    /// Whether it is worth a turn.
    func hangupCompleted(_ result: CInt, isOver: Bool) -> Bool {
        if isOver { isHangupArmed = false }
        guard result >= 0, UringPolls.readiness(UInt32(bitPattern: result)).contains(.hangup), !hasHungUp else {
            if isOver { list() }
            return false
        }
        hangUp()
        return true
    }

    // MARK: The owner's calls

    func send(_ vectors: UnsafeMutableBufferPointer<iovec>) -> SendResult {
        let result = unsafe SendResult.ofSending(vectors, to: descriptor)
        if result == .blocked {
            isBlocked = true
            list()
        }
        return result
    }

    func revokePlace() -> Int {
        var byteCount = heldPlacedByteCount
        heldPlacedByteCount = 0
        guard receive == .direct else { return byteCount }
        let result = poller.finish(operation(.receive))
        receive = .none
        if result > 0 {
            byteCount += Int(result)
        } else if result != -ECANCELED && result != -EINTR {
            end = -result
            poller.willTell(self)
        }
        list()
        return byteCount
    }

    func close() {
        guard owner != nil else { return }
        owner = nil
        if receive == .direct { _ = poller.finish(operation(.receive)) }
        if receive == .buffered || isRoomArmed || isHangupArmed {
            var operations: [UringOperation] = []
            if receive == .buffered { operations.append(operation(.receive)) }
            if isRoomArmed { operations.append(operation(.room)) }
            if isHangupArmed { operations.append(operation(.hangup)) }
            poller.withdraw(operations)
        }
        abandon()
        poller.forget(self)
    }

    /// The poller goes, and with it all that is under way.
    func abandon() {
        owner = nil
        receive = .none
        if let bytes = unsafe held { unsafe bytes.deallocate() }
        unsafe held = nil
    }
}
