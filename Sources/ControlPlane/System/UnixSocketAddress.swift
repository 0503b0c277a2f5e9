// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The address of a local socket: a path, or a name in Linux's abstract namespace, written with an @ in front.
struct UnixSocketAddress {
    private var address = sockaddr_un()
    private var byteCount: socklen_t = 0

    /// Bytes of a path: one less than the kernel's room, for the zero at its end (unix(7)).
    static let maximumPathByteCount = MemoryLayout<sockaddr_un>.size - pathOffset - 1

    private static let pathOffset = MemoryLayout<sa_family_t>.size

    /// Nil when `text` is empty, holds a zero byte or is too long.
    init?(_ text: String) {
        var bytes = Array(text.utf8)
        guard !bytes.isEmpty, !bytes.contains(0), bytes.count <= Self.maximumPathByteCount else { return nil }
        let isAbstract = bytes[0] == UInt8(ascii: "@")
        if isAbstract { bytes[0] = 0 } else { bytes.append(0) }
        address.sun_family = sa_family_t(AF_UNIX)
        byteCount = socklen_t(Self.pathOffset + bytes.count)
        // The count was checked against the room of sun_path above.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        unsafe withUnsafePointer(to: address) { pointer in
            // sockaddr_un is made to be seen as sockaddr.
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, byteCount) }
        }
    }
}
