// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A stream socket that never blocks by itself: waiting is `wait`'s affair, and has an end.
package final class ByteSocket {
    package let descriptor: Int32
    private var isOpen = true

    /// Takes over an open stream socket.
    package init(descriptor: Int32) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    /// Connects to an IPv4 or IPv6 address.
    package convenience init(host: String, port: UInt16) throws {
        let isV6 = host.contains(":")
        let descriptor = socket(isV6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Self.failure("socket") }
        var result: Int32 = -1
        if isV6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            if inet_pton(AF_INET6, host, &address.sin6_addr) == 1 {
                result = withUnsafeBytes(of: &address) { Self.connect(descriptor, $0) }
            }
        } else {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            if inet_pton(AF_INET, host, &address.sin_addr) == 1 {
                result = withUnsafeBytes(of: &address) { Self.connect(descriptor, $0) }
            }
        }
        guard result == 0 else {
            let failure = Self.failure("connect to \(host) port \(port)")
            Glibc.close(descriptor)
            throw failure
        }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        self.init(descriptor: descriptor)
    }

    private static func connect(_ descriptor: Int32, _ address: UnsafeRawBufferPointer) -> Int32 {
        let pointer = address.baseAddress!.assumingMemoryBound(to: sockaddr.self)
        return Glibc.connect(descriptor, pointer, socklen_t(address.count))
    }

    /// Two sockets, each the peer of the other.
    package static func pair() throws -> (ByteSocket, ByteSocket) {
        var descriptors: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &descriptors) == 0 else {
            throw failure("socketpair")
        }
        return (ByteSocket(descriptor: descriptors[0]), ByteSocket(descriptor: descriptors[1]))
    }

    deinit { close() }

    package func close() {
        guard isOpen else { return }
        isOpen = false
        Glibc.close(descriptor)
    }

    /// Vanishes: a TCP peer sees a reset, as from a machine that lost its memory.
    package func reset() {
        var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        close()
    }

    /// Returns how many bytes went out: 0 when the buffers are full.
    func write(_ bytes: ArraySlice<UInt8>) throws -> Int {
        guard isOpen else { throw InitiatorFailure(.connectionClosed, "the initiator has closed this connection") }
        while true {
            let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count >= 0 { return count }
            switch errno {
            case EINTR: continue
            case EAGAIN: return 0
            case EPIPE, ECONNRESET: throw InitiatorFailure(.connectionClosed, "while sending")
            default: throw Self.failure("send")
            }
        }
    }

    /// Appends what is there. False when the peer has closed its end.
    func read(into bytes: inout [UInt8]) throws -> Bool {
        guard isOpen else { return false }
        while true {
            let count = withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 8) { buffer in
                let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
                if count > 0 { bytes += buffer[..<count] }
                return count
            }
            if count > 0 { continue }
            if count == 0 { return false }
            switch errno {
            case EINTR: continue
            case EAGAIN: return true
            case ECONNRESET: return false
            default: throw Self.failure("recv")
            }
        }
    }

    /// Waits until one of `sockets` can be read, or those in `writing` written, for at most so many milliseconds.
    static func wait(reading: [ByteSocket], writing: [ByteSocket], milliseconds: Int) {
        var entries = reading.filter(\.isOpen).map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        entries += writing.filter(\.isOpen).map { pollfd(fd: $0.descriptor, events: Int16(POLLOUT), revents: 0) }
        _ = poll(&entries, nfds_t(entries.count), Int32(clamping: max(0, milliseconds)))
    }

    private static func failure(_ what: String) -> InitiatorFailure {
        InitiatorFailure(.system, what + ": " + String(cString: strerror(errno)))
    }
}

/// A moment on the monotonic clock.
package struct Deadline {
    private let end: ContinuousClock.Instant

    package init(seconds: Double) { end = .now + .milliseconds(Int(seconds * 1000)) }

    package var isOver: Bool { .now >= end }
    /// Milliseconds until then, rounded up.
    var millisecondsLeft: Int {
        let left = ContinuousClock.Instant.now.duration(to: end).components
        return max(0, Int(left.seconds) * 1000 + Int(left.attoseconds / 1_000_000_000_000_000) + 1)
    }
}
