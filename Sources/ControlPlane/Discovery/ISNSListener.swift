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

    init(host: String) throws(SystemError) {
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
        self.descriptor = descriptor
        port = local.port
    }

    deinit { close(descriptor) }

    /// The next connection; nil when none waits.
    func accept() -> ISNSStream? {
        let accepted = clinux_accept_next(descriptor)
        return accepted < 0 ? nil : ISNSStream(accepted: accepted)
    }
}
