// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The poller over epoll(7).
@safe public final class EpollPoller: Poller {
    /// Descriptors told of in one call. More wait for the next call, so that no connection starves.
    private static let batchCount = 256

    private let descriptor: CInt
    private let events: UnsafeMutableBufferPointer<epoll_event>

    public init() throws(SystemError) {
        descriptor = epoll_create1(clinux_epoll_cloexec)
        unsafe events = .allocate(capacity: Self.batchCount)
        unsafe events.initialize(repeating: epoll_event())
        if descriptor < 0 { throw SystemError.last("epoll_create1") }
    }

    deinit {
        unsafe events.deallocate()
        if descriptor >= 0 { close(descriptor) }
    }

    public func add(_ descriptor: CInt, interest: Readiness, token: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_ADD, descriptor, interest, token)
    }

    public func modify(_ descriptor: CInt, interest: Readiness, token: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_MOD, descriptor, interest, token)
    }

    public func remove(_ descriptor: CInt) {
        _ = epoll_ctl(self.descriptor, EPOLL_CTL_DEL, descriptor, nil)
    }

    public func wait(
        timeoutNanoseconds: UInt64?, awake: () -> Void, ready: (ReadyDescriptor) -> Void
    ) throws(SystemError) -> Int {
        // The buffer is ours and holds `batchCount` events; the kernel fills at most so many.
        let count = unsafe clinux_epoll_wait(
            descriptor, events.baseAddress!, CInt(Self.batchCount),
            timeoutNanoseconds.map { Int64(clamping: $0) } ?? -1)
        guard count >= 0 else {
            if clinux_errno() == EINTR { return 0 }
            throw SystemError.last("epoll_wait")
        }
        if count > 0 { awake() }
        for index in 0..<Int(count) {
            let token = unsafe clinux_epoll_data(&events[index])
            ready(ReadyDescriptor(token: token, readiness: unsafe Self.readiness(events[index].events)))
        }
        return Int(count)
    }

    private func control(
        _ operation: CInt, _ descriptor: CInt, _ interest: Readiness, _ token: UInt64
    ) throws(SystemError) {
        var event = unsafe clinux_epoll_event(Self.mask(interest), token)
        let result = unsafe epoll_ctl(self.descriptor, operation, descriptor, &event)
        if result < 0 { throw SystemError.last("epoll_ctl") }
    }

    private static func mask(_ interest: Readiness) -> UInt32 {
        var mask: UInt32 = 0
        if interest.contains(.readable) { mask |= UInt32(clinux_epollin) | UInt32(clinux_epollrdhup) }
        if interest.contains(.writable) { mask |= UInt32(clinux_epollout) }
        return mask
    }

    private static func readiness(_ mask: UInt32) -> Readiness {
        var readiness: Readiness = []
        // A half-closed peer may still have sent data: EPOLLRDHUP alone means "read, and find the end".
        if mask & (UInt32(clinux_epollin) | UInt32(clinux_epollrdhup)) != 0 { readiness.insert(.readable) }
        if mask & UInt32(clinux_epollout) != 0 { readiness.insert(.writable) }
        if mask & (UInt32(clinux_epollerr) | UInt32(clinux_epollhup)) != 0 { readiness.insert(.hangup) }
        return readiness
    }
}
