// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import Glibc

/// A local socket of ours, closed when it goes.
struct LocalSocket: ~Copyable {
    private let descriptor: CInt

    enum Kind {
        case stream, datagram
    }

    init(_ kind: Kind) throws(SystemError) {
        let type = kind == .stream ? clinux_sock_stream : clinux_sock_dgram
        descriptor = socket(AF_UNIX, type | clinux_sock_cloexec, 0)
        if descriptor < 0 { throw SystemError.last("socket") }
    }

    deinit { close(descriptor) }

    func connect(to address: UnixSocketAddress) throws(SystemError) {
        let result = unsafe address.withPointer { unsafe connectSocket(descriptor, $0, $1) }
        if result != 0 { throw SystemError.last("connect") }
    }

    func bind(to address: UnixSocketAddress) throws(SystemError) {
        let result = unsafe address.withPointer { unsafe bindSocket(descriptor, $0, $1) }
        if result != 0 { throw SystemError.last("bind") }
    }

    /// Receives and sends fail with EAGAIN when the other side does nothing for so long.
    func setTimeout(seconds: Int) throws(SystemError) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            // A whole timeval of our own.
            let result = unsafe setsockopt(
                descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
            if result != 0 { throw SystemError.last("setsockopt") }
        }
    }

    /// Sends all of `bytes`; a datagram in one piece.
    func send(_ bytes: [UInt8]) throws(SystemError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { buffer in
                // The buffer lives for the call and is as long as it says.
                unsafe sendBytes(descriptor, buffer.baseAddress, buffer.count, clinux_msg_nosignal)
            }
            guard count > 0 else {
                if clinux_errno() == EINTR { continue }
                throw SystemError.last("send")
            }
            rest = rest.dropFirst(count)
        }
    }

    /// At most `limit` bytes; empty at the end of the stream.
    func receive(limit: Int) throws(SystemError) -> [UInt8] {
        while true {
            var result = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
                // The buffer has room for `limit` bytes.
                unsafe result = recv(descriptor, buffer.baseAddress, limit, 0)
                count = max(result, 0)
            }
            if result >= 0 { return bytes }
            if clinux_errno() != EINTR { throw SystemError.last("recv") }
        }
    }
}

// The calls by other names: the methods above hide their own.

private func connectSocket(_ descriptor: CInt, _ address: UnsafePointer<sockaddr>, _ byteCount: socklen_t) -> CInt {
    unsafe connect(descriptor, address, byteCount)
}

private func bindSocket(_ descriptor: CInt, _ address: UnsafePointer<sockaddr>, _ byteCount: socklen_t) -> CInt {
    unsafe bind(descriptor, address, byteCount)
}

private func sendBytes(_ descriptor: CInt, _ bytes: UnsafeRawPointer?, _ byteCount: Int, _ flags: CInt) -> Int {
    unsafe send(descriptor, bytes, byteCount, flags)
}
