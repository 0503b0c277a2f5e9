// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop

/// A TCP connection to a target. The descriptor itself blocks; each call says whether it may.
final class InitiatorSocket {
    let descriptor: CInt

    enum Transfer {
        case bytes(Int)
        case wouldBlock
    }

    /// How long a target may take to accept a connection.
    private static let connectLimitSeconds = 10.0

    private init(adopting descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    // MARK: Connecting

    /// Tries the host's addresses in turn.
    static func connected(to url: LoadURL, stop: StopSignal) throws(LoadFailure) -> InitiatorSocket {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = CInt(AI_NUMERICSERV)
        unsafe hints.ai_socktype = clinux_sock_stream
        var found: UnsafeMutablePointer<addrinfo>? = nil
        let code = unsafe getaddrinfo(url.host, "\(url.port)", &hints, &found)
        guard code == 0, let first = unsafe found else {
            let words = unsafe gai_strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
            throw .runTime("the host \"\(url.host)\" is not known: \(words)")
        }
        // The list is the resolver's until it is freed, after its last use.
        defer { unsafe freeaddrinfo(first) }
        var failure = LoadFailure.runTime("the host \"\(url.host)\" has no address")
        var next = unsafe Optional(first)
        while let entry = unsafe next {
            do throws(LoadFailure) {
                return try unsafe attempt(entry.pointee, url, stop)
            } catch {
                failure = error
            }
            if stop.isStopped { break }
            unsafe next = entry.pointee.ai_next
        }
        throw failure
    }

    private static func attempt(
        _ address: addrinfo, _ url: LoadURL, _ stop: StopSignal
    ) throws(LoadFailure) -> InitiatorSocket {
        let type = clinux_sock_stream | clinux_sock_nonblock | clinux_sock_cloexec
        let descriptor = unsafe socket(address.ai_family, type, 0)
        guard descriptor >= 0 else { throw .runTime("\(SystemError.last("socket"))") }
        let socket = InitiatorSocket(adopting: descriptor)
        if unsafe connect(descriptor, address.ai_addr, address.ai_addrlen) != 0 {
            guard clinux_errno() == EINPROGRESS else { throw refused(clinux_errno(), url) }
            try socket.wait(
                for: POLLOUT, until: Clock.after(seconds: connectLimitSeconds), stop,
                orElse: "\(url.portal) does not answer")
            let error = clinux_get_option(descriptor, SOL_SOCKET, SO_ERROR)
            guard error == 0 else { throw refused(error, url) }
        }
        // Batches are our own: the kernel is not to hold them back as well.
        _ = clinux_set_option(descriptor, clinux_ipproto_tcp, TCP_NODELAY, 1)
        let flags = clinux_fcntl_get(descriptor, F_GETFL)
        guard flags >= 0, clinux_fcntl_set(descriptor, F_SETFL, flags & ~O_NONBLOCK) == 0 else {
            throw .runTime("\(SystemError.last("fcntl"))")
        }
        return socket
    }

    private static func refused(_ code: CInt, _ url: LoadURL) -> LoadFailure {
        .runTime("no connection to \(url.portal): \(SystemError.text(of: code))")
    }

    // MARK: Waiting and moving bytes

    /// Waits until the socket is ready for `events`. Throws the sentence `orElse` at the deadline, and when stopped.
    /// poll(2) passes over the descriptor -1.
    func wait(
        for events: CInt, until deadline: UInt64, _ stop: StopSignal?, orElse sentence: String
    ) throws(LoadFailure) {
        while true {
            if let stop, stop.isStopped { throw Self.interrupted }
            var entries = (
                pollfd(descriptor: descriptor, events: events),
                pollfd(descriptor: stop?.descriptor ?? -1, events: POLLIN)
            )
            let count = unsafe withUnsafeMutablePointer(to: &entries) { pointer in
                // A tuple of two of the same type lies in memory as an array of them.
                unsafe pointer.withMemoryRebound(to: pollfd.self, capacity: 2) {
                    unsafe poll($0, 2, Clock.milliseconds(until: deadline))
                }
            }
            if count < 0, clinux_errno() != EINTR { throw .runTime("\(SystemError.last("poll"))") }
            if count > 0, entries.0.revents != 0 { return }
            guard Clock.now < deadline else { throw .runTime(sentence) }
        }
    }

    static let interrupted = LoadFailure.runTime("interrupted before anything was measured")
    private static let hungUp = LoadFailure.runTime("the target closed the connection")

    /// Limits how long a receive may block. 0, and the default, is for ever.
    func setReceiveTimeout(milliseconds: Int) {
        var time = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
        // The kernel copies the value. Without the limit only the end of a silent run would be late.
        unsafe _ = setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    /// One receive.
    func receive(into bytes: UnsafeMutableRawBufferPointer, mayBlock: Bool) throws(LoadFailure) -> Transfer {
        let count = unsafe recv(descriptor, bytes.baseAddress, bytes.count, mayBlock ? 0 : clinux_msg_dontwait)
        if count > 0 { return .bytes(count) }
        guard count != 0 else { throw Self.hungUp }
        switch clinux_errno() {
        case EAGAIN, EINTR: return .wouldBlock
        case ECONNRESET: throw Self.hungUp
        case let code: throw .runTime("nothing can be received from the target: \(SystemError.text(of: code))")
        }
    }

    /// One send, which does not block.
    func send(_ vectors: UnsafeMutableBufferPointer<iovec>) throws(LoadFailure) -> Transfer {
        var message = unsafe msghdr()
        unsafe message.msg_iov = vectors.baseAddress
        unsafe message.msg_iovlen = vectors.count
        let count = unsafe sendmsg(descriptor, &message, clinux_msg_nosignal | clinux_msg_dontwait)
        if count >= 0 { return .bytes(count) }
        switch clinux_errno() {
        case EAGAIN, EINTR: return .wouldBlock
        case ECONNRESET, EPIPE: throw Self.hungUp
        case let code: throw .runTime("nothing can be sent to the target: \(SystemError.text(of: code))")
        }
    }
}
