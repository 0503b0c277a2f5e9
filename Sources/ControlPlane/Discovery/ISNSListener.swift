// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import Transport

/// Where an iSNS server brings its notifications and inquiries (RFC 4171 6.3.5, 6.3.7): a port at the address of a
/// portal.
final class ISNSListener {
    private static let backlog: CInt = 8

    let host: String
    let port: UInt16
    let descriptor: CInt
    /// Who may come here, as `InternetAddress.bytes`.
    private let peers: [[UInt8]]

    /// `isServerHere`: the server is on this machine, and comes from the very address at which it finds us, whatever
    /// its own is.
    init(host: String, server: PortalAddress, isServerHere: Bool) throws(SystemError) {
        guard let address = InternetAddress(PortalAddress(host: host, port: 0)) else {
            throw SystemError(call: "address \(host)", code: EINVAL)
        }
        let descriptor = socket(
            address.family, clinux_sock_stream | clinux_sock_nonblock | clinux_sock_cloexec, 0)
        guard descriptor >= 0 else { throw SystemError.last("socket") }
        let isBound = unsafe address.withPointer { unsafe bind(descriptor, $0, $1) } == 0
        guard isBound, listen(descriptor, Self.backlog) == 0, let local = InternetAddress(localOf: descriptor) else {
            let error = SystemError.last("listen at \(host)")
            close(descriptor)
            throw error
        }
        self.host = host
        peers = [InternetAddress(server)?.bytes, isServerHere ? address.bytes : nil].compactMap { $0 }
        self.descriptor = descriptor
        port = local.port
    }

    deinit { close(descriptor) }

    /// The next connection; nil when none waits, or when it does not come from the server: it is closed then.
    func accept() -> ISNSStream? {
        let accepted = clinux_accept_next(descriptor)
        guard accepted >= 0 else { return nil }
        let stream = ISNSStream(accepted: accepted)
        guard let peer = InternetAddress(peerOf: accepted)?.bytes, peers.contains(peer) else { return nil }
        return stream
    }
}
