// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop

/// A TCP socket. Never blocks. Closed by its owner, or with it at the latest.
package final class Socket {
    private(set) var descriptor: CInt

    package init(adopting descriptor: CInt) { self.descriptor = descriptor }

    deinit { close() }

    /// The descriptor is given back to the system; nothing works any more. Once is enough.
    func close() {
        if descriptor >= 0 { _ = CLinux.close(descriptor) }
        descriptor = -1
    }

    private static let flags = clinux_sock_nonblock | clinux_sock_cloexec
    /// Connections that wait to be accepted; more are turned away by the kernel for a moment.
    private static let backlog: CInt = 4096

    static func listening(on portal: PortalAddress) throws(SystemError) -> Socket {
        guard let address = SocketAddress(portal) else {
            throw SystemError(call: "address \(portal)", code: EINVAL)
        }
        let descriptor = socket(address.family, clinux_sock_stream | Self.flags, 0)
        guard descriptor >= 0 else { throw SystemError.last("socket") }
        let socket = Socket(adopting: descriptor)
        _ = clinux_set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        // An IPv6 portal is IPv6 alone: "::" beside "0.0.0.0" must not clash.
        if portal.isIPv6 { _ = clinux_set_option(descriptor, clinux_ipproto_ipv6, IPV6_V6ONLY, 1) }
        let bound = unsafe address.withPointer { pointer, byteCount in unsafe bind(descriptor, pointer, byteCount) }
        guard bound == 0 else { throw SystemError.last("bind \(portal)") }
        guard listen(descriptor, backlog) == 0 else { throw SystemError.last("listen \(portal)") }
        return socket
    }

    /// The next connection, ready for use; nil when none waits.
    func accept() throws(SystemError) -> CInt? {
        let accepted = clinux_accept_next(descriptor)
        if accepted >= 0 {
            // We gather responses ourselves: the kernel is not to hold them back as well.
            _ = clinux_set_option(accepted, clinux_ipproto_tcp, TCP_NODELAY, 1)
            return accepted
        }
        switch clinux_errno() {
        case EAGAIN, ECONNABORTED, EINTR, EPROTO: return nil
        default: throw SystemError.last("accept")
        }
    }

    /// Ends both directions now: what the peer still sends is refused.
    func shutdown() { _ = CLinux.shutdown(descriptor, clinux_shut_rdwr) }

    /// Gives the descriptor away: it is not closed.
    func release() -> CInt {
        defer { descriptor = -1 }
        return descriptor
    }

    var localAddress: PortalAddress? {
        unsafe SocketAddress.of(descriptor) { unsafe getsockname($0, $1, $2) }
    }

    var peerAddress: PortalAddress? {
        unsafe SocketAddress.of(descriptor) { unsafe getpeername($0, $1, $2) }
    }
}
