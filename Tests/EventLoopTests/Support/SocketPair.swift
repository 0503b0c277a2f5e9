// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Testing

enum Transport: String, CaseIterable, Sendable {
    case unix, tcp
}

/// Two connected, non-blocking sockets: the loop's end and the peer's.
final class SocketPair {
    let descriptor: CInt
    private(set) var peer: CInt

    init(_ transport: Transport = .unix) throws {
        var ends: [CInt] = [-1, -1]
        switch transport {
        case .unix: try #require(socketpair(AF_UNIX, clinux_sock_stream, 0, &ends) == 0)
        case .tcp: try Self.connect(&ends)
        }
        try #require(ends.allSatisfy { clinux_set_nonblocking($0) == 0 })
        descriptor = ends[0]
        peer = ends[1]
    }

    deinit {
        close(descriptor)
        closePeer()
    }

    private static func connect(_ ends: inout [CInt]) throws {
        let listener = socket(AF_INET, clinux_sock_stream, 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var byteCount = socklen_t(MemoryLayout<sockaddr_in>.size)
        ends[1] = socket(AF_INET, clinux_sock_stream, 0)
        try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                try #require(bind(listener, address, byteCount) == 0 && listen(listener, 1) == 0)
                try #require(getsockname(listener, address, &byteCount) == 0)
                try #require(CLinux.connect(ends[1], address, byteCount) == 0)
            }
        }
        ends[0] = accept(listener, nil, nil)
        try #require(ends[0] >= 0)
        try #require(clinux_set_option(ends[1], clinux_ipproto_tcp, TCP_NODELAY, 1) == 0)
    }

    /// As much of `bytes` as the socket takes.
    func write(_ bytes: some Collection<UInt8>) -> Int {
        let bytes = Array(bytes)
        return max(0, send(peer, bytes, bytes.count, clinux_msg_nosignal))
    }

    /// What there is, up to `limit`; empty when there is nothing, nil at the end.
    func read(_ limit: Int = 1 << 16) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: limit)
        let count = recv(peer, &buffer, limit, 0)
        return count == 0 ? nil : Array(buffer.prefix(max(0, count)))
    }

    /// Whether everything that was written at the peer's end has been taken from the loop's.
    var isDrained: Bool { waiting(peer, UInt(TIOCOUTQ)) == 0 && waiting(descriptor, UInt(FIONREAD)) == 0 }

    private func waiting(_ descriptor: CInt, _ request: UInt) -> CInt {
        var byteCount: CInt = -1
        clinux_ioctl_pointer(descriptor, request, &byteCount)
        return byteCount
    }

    func closeHalf() { shutdown(peer, clinux_shut_wr) }

    func closePeer() {
        if peer >= 0 { close(peer) }
        peer = -1
    }

    /// Without a word of farewell: TCP sends a RST.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(peer, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        closePeer()
    }
}
