// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The poller over io_uring(7): one system call a turn hands over what is to be waited for, and waits.
///
/// Every request is one-shot and is made anew just before the next wait. That costs an entry in a ring, no system call,
/// and gives what the contracts ask for: a descriptor that is still ready is told again, and where a stream's next
/// bytes belong is asked when all that is known about it is known.
@safe public final class UringPoller: Poller {
    /// Events told of in one call. More wait for the next call, so that no connection starves.
    private static let batchCount = 256

    let buffers: UringBuffers
    private let ring: UringRing
    private var polls = UringPolls()

    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    /// Streams that have something to request before the next wait.
    private var unarmed: [Int] = []
    /// Streams with bytes that found no buffer: these go first, as many as there are buffers.
    private var starved: [UringOperation] = []
    private var starvedHead = 0
    /// Streams with something to tell that needs no event.
    private var untold: [UringOperation] = []
    /// Completions that were passed over while one of them was waited for, in their order.
    private var passedOver: [clinux_uring_completion] = []
    private var passedOverHead = 0

    private struct Slot {
        /// Tells completions of an earlier stream from those of this one.
        var generation: UInt32
        var stream: UringStream?
    }

    /// Fails when this kernel lacks what is needed, or forbids it. To be called in the thread that will wait.
    public init() throws(SystemError) {
        ring = try UringRing()
        buffers = try UringBuffers(ring)
        unarmed.reserveCapacity(64)
        do {
            try tryOut()
        } catch {
            buffers.deallocate()
            throw error
        }
    }

    /// A sandbox may allow rings to be made, and no use of them: one request that does nothing tells.
    private func tryOut() throws(SystemError) {
        var nothing = clinux_uring_submission()
        nothing.opcode = UInt8(clinux_uring_op_nop)
        nothing.user_data = UringOperation.ignored.rawValue
        guard ring.queue(nothing) else { throw SystemError(call: "io_uring_enter", code: EBUSY) }
        try ring.enter(minimumCount: 1, timeoutNanoseconds: 1_000_000_000)
        guard let completion = ring.take(), completion.res == 0 else {
            throw SystemError(call: "io_uring_enter", code: ENOTSUP)
        }
    }

    deinit {
        for slot in slots { slot.stream?.abandon() }
        // Memory that the kernel may still receive to must stay: better lost than overwritten in its next life.
        if cancelAll() { buffers.deallocate() }
    }

    // MARK: Descriptors

    public func add(_ descriptor: CInt, interest: Readiness, token: UInt64) throws(SystemError) {
        try polls.add(descriptor, interest: interest, token: token)
    }

    public func modify(_ descriptor: CInt, interest: Readiness, token: UInt64) throws(SystemError) {
        if let obsolete = try polls.modify(descriptor, interest: interest, token: token) { cancel(obsolete) }
    }

    public func remove(_ descriptor: CInt) {
        guard let obsolete = polls.remove(descriptor) else { return }
        // At once: a request under way keeps what it waits for open, such as the port of a listener.
        cancel(obsolete)
        _ = try? ring.enter(minimumCount: 0, timeoutNanoseconds: nil)
    }

    /// Its own completion tells nothing, and comes only when there was nothing to cancel.
    private func cancel(_ operation: UringOperation) {
        var submission = clinux_uring_submission()
        submission.opcode = UInt8(clinux_uring_op_async_cancel)
        submission.flags = UInt8(clinux_uring_skip_success)
        submission.fd = -1
        submission.addr = operation.rawValue
        submission.user_data = UringOperation.ignored.rawValue
        // The ring is full only while the kernel has no memory: what is under way must end all the same.
        while !ring.queue(submission) {}
    }

    /// Ends all that is under way. False when that is not possible: in a thread that does not own the ring.
    private func cancelAll() -> Bool {
        let token = UringOperation(rawValue: .max)
        var submission = clinux_uring_submission()
        submission.opcode = UInt8(clinux_uring_op_async_cancel)
        submission.operation_flags = UInt32(
            clinux_uring_cancel_any | clinux_uring_cancel_all)
        submission.fd = -1
        submission.user_data = token.rawValue
        // Each round ends with the number of requests that it has found; the last finds none.
        while true {
            guard ring.queue(submission), (try? ring.enter(minimumCount: 1, timeoutNanoseconds: nil)) != nil else {
                return false
            }
            var found: Int32?
            while let completion = ring.take() {
                if completion.user_data == token.rawValue { found = completion.res }
            }
            if let found, found <= 0 { return true }
        }
    }

    // MARK: Streams

    public func openStream(_ descriptor: CInt, owner: any ByteStreamOwner) throws(SystemError) -> (any ByteStream)? {
        let index = freeSlots.popLast() ?? slots.count
        if index == slots.count { slots.append(Slot(generation: 0, stream: nil)) }
        slots[index].generation &+= 1
        let stream = UringStream(
            descriptor, poller: self, index: index, generation: slots[index].generation, owner: owner)
        slots[index].stream = stream
        return stream
    }

    func forget(_ stream: UringStream) {
        slots[stream.index].stream = nil
        slots[stream.index].generation &+= 1
        freeSlots.append(stream.index)
    }

    /// `stream.arm` will be called before the next wait.
    func willArm(_ stream: UringStream) { unarmed.append(stream.index) }

    /// `stream.arm` will be called when there are buffers.
    func willArmWhenFed(_ stream: UringStream) { starved.append(stream.operation(.receive)) }

    /// `stream.tell` will be called in the next turn, which comes without sleep.
    func willTell(_ stream: UringStream) { untold.append(stream.operation(.receive)) }

    func queue(_ submission: clinux_uring_submission) -> Bool { ring.queue(submission) }

    private func stream(of operation: UringOperation) -> UringStream? {
        let index = operation.index
        guard index < slots.count, operation.isOf(generation: slots[index].generation) else { return nil }
        return slots[index].stream
    }

    /// Withdraws what is under way; its completions tell nothing. From the return on the kernel holds no socket for it.
    func withdraw(_ operations: [UringOperation]) {
        for operation in operations { cancel(operation) }
        _ = try? ring.enter(minimumCount: 0, timeoutNanoseconds: nil)
    }

    /// Ends `operation`, which is under way or has ended without having been told, and returns its result. All other
    /// completions keep their order.
    func finish(_ operation: UringOperation) -> CInt {
        if let result = extract(operation) { return result }
        cancel(operation)
        while true {
            do throws(SystemError) {
                try ring.enter(minimumCount: 1, timeoutNanoseconds: nil)
            } catch {
                // The memory that the kernel would go on writing to is about to serve somebody else.
                fatalError("a receive could not be ended: \(error)")
            }
            if let result = extract(operation) { return result }
        }
    }

    /// Passes over all completions and takes that of `operation` out of them.
    private func extract(_ operation: UringOperation) -> CInt? {
        while let completion = ring.take() { passedOver.append(completion) }
        for position in passedOverHead..<passedOver.count where passedOver[position].user_data == operation.rawValue {
            passedOver[position].user_data = UringOperation.ignored.rawValue
            return passedOver[position].res
        }
        return nil
    }

    // MARK: Waiting

    public func wait(
        timeoutNanoseconds: UInt64?, awake: () -> Void, ready: (ReadyDescriptor) -> Void
    ) throws(SystemError) -> Int {
        arm()
        let isHeadKnown = !hasEvents && !ring.isOverflown
        buffers.publish(isHeadKnown: isHeadKnown)
        let mustOnlyLook = timeoutNanoseconds == 0 || hasEvents || !untold.isEmpty
        if !(mustOnlyLook && ring.isIdle) {
            try ring.enter(minimumCount: mustOnlyLook ? 0 : 1, timeoutNanoseconds: timeoutNanoseconds)
        }
        guard hasEvents || !untold.isEmpty else { return 0 }
        awake()
        var count = untold.isEmpty ? 0 : tell()
        while count < Self.batchCount, let completion = next() {
            if dispatch(completion, ready) { count += 1 }
        }
        return count
    }

    private var hasEvents: Bool { passedOverHead < passedOver.count || ring.hasCompletions }

    private func next() -> clinux_uring_completion? {
        if passedOver.isEmpty { return ring.take() }
        if passedOverHead < passedOver.count {
            defer { passedOverHead += 1 }
            return passedOver[passedOverHead]
        }
        passedOver.removeAll(keepingCapacity: true)
        passedOverHead = 0
        return ring.take()
    }

    /// All that is to be waited for from now on.
    private func arm() {
        polls.arm(queue: { ring.queue($0) }, cancel: { cancel($0) })
        if !starved.isEmpty { armStarved() }
        // Who cannot be armed, for want of memory, is listed again: only those that are listed now get their turn.
        let count = unarmed.count
        guard count > 0 else { return }
        for position in 0..<count { slots[unarmed[position]].stream?.arm() }
        unarmed.removeFirst(count)
    }

    @inline(never)
    private func armStarved() {
        let end = min(starved.count, starvedHead + UringBuffers.count)
        while starvedHead < end {
            stream(of: starved[starvedHead])?.arm()
            starvedHead += 1
        }
        if starvedHead == starved.count {
            starved.removeAll(keepingCapacity: true)
            starvedHead = 0
        }
    }

    @inline(never)
    private func tell() -> Int {
        let told = untold
        untold = []
        for operation in told { stream(of: operation)?.tell() }
        return told.count
    }

    /// Whether it was an event.
    private func dispatch(_ completion: clinux_uring_completion, _ ready: (ReadyDescriptor) -> Void) -> Bool {
        let operation = UringOperation(rawValue: completion.user_data)
        switch operation.kind {
        case .ignored: return false
        case .poll:
            guard let event = polls.completed(operation, completion) else { return false }
            ready(event)
            return true
        case .receive: return received(operation, completion)
        case .room:
            guard let stream = stream(of: operation) else { return false }
            stream.roomCompleted(completion.res)
            return true
        case .hangup:
            guard let stream = stream(of: operation) else { return false }
            return stream.hangupCompleted(
                completion.res, isOver: completion.flags & UInt32(clinux_uring_has_more) == 0)
        }
    }

    private func received(_ operation: UringOperation, _ completion: clinux_uring_completion) -> Bool {
        let stream = stream(of: operation)
        let socketHasMore = completion.flags & UInt32(clinux_uring_socket_has_more) != 0
        guard completion.flags & UInt32(clinux_uring_has_buffer) != 0 else {
            guard let stream else { return false }
            unsafe stream.receiveCompleted(completion.res, nil, socketHasMore: socketHasMore)
            return true
        }
        let number = UInt16(completion.flags >> UInt32(clinux_uring_buffer_shift))
        let bytes = unsafe buffers.take(number, count: Int(max(0, completion.res)))
        // A buffer comes back also when its stream has gone meanwhile.
        defer { buffers.giveBack(number) }
        guard let stream else { return false }
        unsafe stream.receiveCompleted(completion.res, bytes, socketHasMore: socketHasMore)
        return true
    }
}
