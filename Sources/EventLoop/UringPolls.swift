// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The descriptors whose readiness an io_uring poller tells: listeners, eventfds. By descriptor, as the kernel gives
/// small numbers.
struct UringPolls {
    private struct Entry {
        var token: UInt64 = 0
        var interest: Readiness = []
        /// Tells completions of requests that hold from those of requests that were withdrawn.
        var generation: UInt32 = 0
        var isPresent = false
        var isArmed = false
        var isListed = false
        /// It was told of what nobody asked for, a half-closed peer, and would be for ever: from then on it is told of
        /// changes, until one matters.
        var isOnlyChanges = false
    }

    private var entries: [Entry] = []
    private var unarmed: [CInt] = []
    /// Lasting requests that do not hold any more.
    private var obsolete: [UringOperation] = []

    mutating func add(_ descriptor: CInt, interest: Readiness, token: UInt64) throws(SystemError) {
        guard descriptor >= 0 else { throw SystemError(call: "io_uring poll", code: EBADF) }
        while entries.count <= Int(descriptor) { entries.append(Entry()) }
        guard !entries[Int(descriptor)].isPresent else { throw SystemError(call: "io_uring poll", code: EEXIST) }
        entries[Int(descriptor)].isPresent = true
        _ = update(descriptor, interest: interest, token: token)
    }

    /// Returns the request that does not hold any more, if there is one.
    mutating func modify(
        _ descriptor: CInt, interest: Readiness, token: UInt64
    ) throws(SystemError) -> UringOperation? {
        guard isPresent(descriptor) else { throw SystemError(call: "io_uring poll", code: ENOENT) }
        return update(descriptor, interest: interest, token: token)
    }

    /// Returns the request that does not hold any more, if there is one.
    mutating func remove(_ descriptor: CInt) -> UringOperation? {
        guard isPresent(descriptor) else { return nil }
        entries[Int(descriptor)].isPresent = false
        return withdraw(descriptor)
    }

    private func isPresent(_ descriptor: CInt) -> Bool {
        descriptor >= 0 && Int(descriptor) < entries.count && entries[Int(descriptor)].isPresent
    }

    private mutating func update(_ descriptor: CInt, interest: Readiness, token: UInt64) -> UringOperation? {
        entries[Int(descriptor)].token = token
        let obsolete = entries[Int(descriptor)].interest == interest ? nil : withdraw(descriptor)
        entries[Int(descriptor)].interest = interest
        list(descriptor)
        return obsolete
    }

    private mutating func withdraw(_ descriptor: CInt) -> UringOperation? {
        let index = Int(descriptor)
        defer {
            entries[index].generation &+= 1
            entries[index].isArmed = false
            entries[index].isOnlyChanges = false
        }
        return entries[index].isArmed ? operation(index) : nil
    }

    private func operation(_ index: Int) -> UringOperation {
        UringOperation(.poll, index: index, generation: entries[index].generation)
    }

    private mutating func list(_ descriptor: CInt) {
        guard !entries[Int(descriptor)].isListed else { return }
        entries[Int(descriptor)].isListed = true
        unarmed.append(descriptor)
    }

    /// Requests of all that have none under way, before the next wait.
    mutating func arm(queue: (clinux_uring_submission) -> Bool, cancel: (UringOperation) -> Void) {
        while let operation = obsolete.popLast() { cancel(operation) }
        while let descriptor = unarmed.last {
            let entry = entries[Int(descriptor)]
            if entry.isPresent && !entry.isArmed {
                var submission = clinux_uring_submission()
                submission.opcode = UInt8(clinux_uring_op_poll_add)
                submission.fd = descriptor
                submission.len = entry.isOnlyChanges ? UInt32(clinux_uring_poll_multiple) : 0
                submission.operation_flags = Self.events(entry.interest)
                submission.user_data = operation(Int(descriptor)).rawValue
                guard queue(submission) else { return }
                entries[Int(descriptor)].isArmed = true
            }
            entries[Int(descriptor)].isListed = false
            unarmed.removeLast()
        }
    }

    /// What there is to tell of a completed request, if anything.
    mutating func completed(_ operation: UringOperation, _ completion: clinux_uring_completion) -> ReadyDescriptor? {
        let index = operation.index
        guard index < entries.count, operation.isOf(generation: entries[index].generation),
            entries[index].isPresent
        else { return nil }
        if completion.flags & UInt32(clinux_uring_has_more) == 0 {
            entries[index].isArmed = false
            // Not a descriptor that can be waited for: asking again would bring the same answer for ever.
            guard completion.res >= 0 else { return nil }
            list(CInt(index))
        }
        let wanted: Readiness = entries[index].interest.union(.hangup)
        let readiness = Self.readiness(UInt32(bitPattern: completion.res)).intersection(wanted)
        if readiness.isEmpty {
            entries[index].isOnlyChanges = true
            return nil
        }
        // Once it matters it is told each time it is so, by requests that are made anew; of the lasting one nothing
        // is heard any more, as it is of an earlier generation.
        if entries[index].isOnlyChanges {
            if let lasting = withdraw(CInt(index)) { obsolete.append(lasting) }
            list(CInt(index))
        }
        return ReadyDescriptor(token: entries[index].token, readiness: readiness)
    }

    static func events(_ interest: Readiness) -> UInt32 {
        var events: UInt32 = 0
        if interest.contains(.readable) { events |= UInt32(clinux_pollin | clinux_pollrdhup) }
        if interest.contains(.writable) { events |= UInt32(clinux_pollout) }
        return events
    }

    static func readiness(_ events: UInt32) -> Readiness {
        var readiness: Readiness = []
        // As with epoll: a half-closed peer means "read, and find the end".
        if events & UInt32(clinux_pollin | clinux_pollrdhup) != 0 { readiness.insert(.readable) }
        if events & UInt32(clinux_pollout) != 0 { readiness.insert(.writable) }
        if events & UInt32(clinux_pollerr | clinux_pollhup) != 0 { readiness.insert(.hangup) }
        return readiness
    }
}
