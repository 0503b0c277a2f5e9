// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Transport

/// A numeric Internet address as the kernel takes it.
struct InternetAddress {
    private var storage = sockaddr_storage()
    private(set) var byteCount: socklen_t = 0

    private init() {}

    /// Nil when the host is not a numeric address.
    init?(_ address: PortalAddress) {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = CInt(AI_NUMERICHOST) | CInt(AI_NUMERICSERV)
        unsafe hints.ai_socktype = clinux_sock_stream
        var found: UnsafeMutablePointer<addrinfo>? = nil
        guard unsafe getaddrinfo(address.host, "\(address.port)", &hints, &found) == 0, let first = unsafe found
        else { return nil }
        defer { unsafe freeaddrinfo(first) }
        byteCount = unsafe first.pointee.ai_addrlen
        guard let source = unsafe first.pointee.ai_addr, Int(byteCount) <= MemoryLayout<sockaddr_storage>.size
        else { return nil }
        // Both hold `byteCount` bytes.
        unsafe withUnsafeMutableBytes(of: &storage) { target in
            unsafe target.copyMemory(from: UnsafeRawBufferPointer(start: source, count: Int(byteCount)))
        }
    }

    /// Our end of a socket.
    init?(localOf descriptor: CInt) { unsafe self.init(descriptor) { unsafe getsockname($0, $1, $2) } }

    /// The other end of a socket.
    init?(peerOf descriptor: CInt) { unsafe self.init(descriptor) { unsafe getpeername($0, $1, $2) } }

    private init?(
        _ descriptor: CInt,
        _ call: (CInt, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt
    ) {
        var count = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            // sockaddr_storage is made to be seen as sockaddr.
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe call(descriptor, $0, &count)
            }
        }
        guard result == 0 else { return nil }
        byteCount = count
    }

    var family: CInt { CInt(storage.ss_family) }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        unsafe withUnsafePointer(to: storage) { pointer in
            // sockaddr_storage is made to be seen as sockaddr.
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, byteCount) }
        }
    }

    /// 16 bytes, an IPv4 address as an IPv4-mapped one; the port apart.
    var bytes: [UInt8] {
        unsafe withUnsafeBytes(of: storage) { bytes in
            // sockaddr_in has the address at byte 4, sockaddr_in6 at byte 8: inside of sockaddr_storage.
            family == AF_INET6
                ? unsafe Array(bytes[8..<24])
                : [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + (unsafe Array(bytes[4..<8]))
        }
    }

    /// Whether it stands for every address of a machine, however it was written: 0.0.0.0 or ::, or the one as the other.
    var isWildcard: Bool {
        let bytes = bytes
        return bytes[..<10].allSatisfy { $0 == 0 } && bytes[12...].allSatisfy { $0 == 0 }
            && (bytes[10...11] == [0, 0] || bytes[10...11] == [0xFF, 0xFF])
    }

    /// In numbers; nil for an address that is none of the Internet.
    var host: String? {
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let result = unsafe withPointer { pointer, count in
            unsafe getnameinfo(pointer, count, &text, socklen_t(text.count), nil, 0, CInt(NI_NUMERICHOST))
        }
        guard result == 0 else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// At byte 2 in both, big-endian.
    var port: UInt16 {
        unsafe withUnsafeBytes(of: storage) { bytes in unsafe UInt16(bytes[2]) << 8 | UInt16(bytes[3]) }
    }
}
