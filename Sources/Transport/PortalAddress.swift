// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop

/// Where a portal listens: a numeric IPv4 or IPv6 address and a TCP port.
public struct PortalAddress: Sendable, Hashable, CustomStringConvertible {
    /// Without brackets: "127.0.0.1", "::1", "fe80::1%eth0".
    public let host: String
    /// 0 picks a free one.
    public let port: UInt16

    /// The port that IANA gave iSCSI.
    public static let defaultPort: UInt16 = 3260

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Parses "127.0.0.1:3260", "[::1]:3260", "127.0.0.1" or "[::1]". Nil when it is none of these.
    public init?(_ text: String) {
        var host = Substring(text)
        var port = Self.defaultPort
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            if !rest.isEmpty {
                guard rest.hasPrefix(":"), let number = UInt16(rest.dropFirst()) else { return nil }
                port = number
            }
        } else if let colon = text.lastIndex(of: ":") {
            guard let number = UInt16(text[text.index(after: colon)...]) else { return nil }
            host = text[..<colon]
            port = number
        }
        let candidate = PortalAddress(host: String(host), port: port)
        guard SocketAddress(candidate) != nil else { return nil }
        self = candidate
    }

    public var isIPv6: Bool { host.contains(":") }

    /// Whether only this machine can reach it.
    public var isLoopback: Bool { host.hasPrefix("127.") || host == "::1" }

    /// Whether it means something on one link only (fe80::/10, RFC 4291 2.5.6).
    package var isIPv6LinkLocal: Bool { IPAddress(host: host)?.isIPv6LinkLocal ?? false }

    /// Whether it stands for every address of the machine: such an address is never told to an initiator.
    public var isWildcard: Bool { host == "0.0.0.0" || host == "::" }

    /// As RFC 7143 13.8 writes it: an IPv6 address in brackets.
    public var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A socket address as the kernel takes it.
struct SocketAddress {
    private(set) var storage = sockaddr_storage()
    private(set) var byteCount: socklen_t = 0

    /// Nil when the host is not a numeric address.
    init?(_ portal: PortalAddress) {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = CInt(AI_NUMERICHOST) | CInt(AI_NUMERICSERV)
        unsafe hints.ai_socktype = clinux_sock_stream
        var found: UnsafeMutablePointer<addrinfo>? = nil
        guard unsafe getaddrinfo(portal.host, "\(portal.port)", &hints, &found) == 0,
            let first = unsafe found
        else { return nil }
        defer { unsafe freeaddrinfo(first) }
        byteCount = unsafe first.pointee.ai_addrlen
        guard let address = unsafe first.pointee.ai_addr,
            Int(byteCount) <= MemoryLayout<sockaddr_storage>.size
        else { return nil }
        unsafe withUnsafeMutableBytes(of: &storage) { target in
            unsafe target.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(byteCount)))
        }
    }

    private init() {}

    var family: CInt { CInt(storage.ss_family) }

    /// What tells one owner of addresses from another, in network order: 4 bytes of IPv4, the first 8 of IPv6.
    var networkBytes: [UInt8] {
        unsafe withUnsafeBytes(of: storage) { bytes in
            // sockaddr_in has its address at byte 4, sockaddr_in6 at byte 8: inside of sockaddr_storage.
            family == AF_INET6 ? unsafe Array(bytes[8..<16]) : unsafe Array(bytes[4..<8])
        }
    }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        unsafe withUnsafePointer(to: storage) { pointer in
            // sockaddr_storage is made to be seen as sockaddr.
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, byteCount) }
        }
    }

    /// The address of one end of a connected or bound socket.
    static func of(
        _ descriptor: CInt,
        _ call: (CInt, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt
    ) -> PortalAddress? {
        var address = SocketAddress()
        address.byteCount = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = unsafe withUnsafeMutablePointer(to: &address.storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { sockaddr in
                unsafe call(descriptor, sockaddr, &address.byteCount)
            }
        }
        return result == 0 ? address.portal : nil
    }

    private var portal: PortalAddress? {
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let result = unsafe withPointer { pointer, byteCount in
            unsafe getnameinfo(
                pointer, byteCount, &host, socklen_t(host.count), &service, socklen_t(service.count),
                CInt(NI_NUMERICHOST) | CInt(NI_NUMERICSERV))
        }
        guard result == 0, let port = UInt16(Self.text(service)) else { return nil }
        return PortalAddress(host: Self.text(host), port: port)
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
