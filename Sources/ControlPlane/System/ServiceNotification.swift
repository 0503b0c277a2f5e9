// SPDX-License-Identifier: Apache-2.0

internal import EventLoop

/// Words to the service manager that started us, by the protocol of sd_notify(3): a datagram of NAME=VALUE lines to
/// the socket that $NOTIFY_SOCKET names.
public struct ServiceNotification: Sendable {
    private let socketName: String?

    /// `socketName` is the value of $NOTIFY_SOCKET; nil or empty when nobody asked to be told.
    public init(socketName: String?) {
        self.socketName = socketName?.isEmpty == true ? nil : socketName
    }

    /// Service is given to clients from now on.
    public func ready(status: String) throws(Failure) { try send("READY=1\nSTATUS=\(status)\n") }

    public func stopping() throws(Failure) { try send("STOPPING=1\n") }

    private func send(_ message: String) throws(Failure) {
        guard let socketName else { return }
        guard socketName.hasPrefix("/") || socketName.hasPrefix("@"), let address = UnixSocketAddress(socketName)
        else {
            throw .runTime(
                "NOTIFY_SOCKET is \"\(socketName)\", which is no local socket: the service manager is not told")
        }
        do throws(SystemError) {
            let socket = try LocalSocket(.datagram)
            try socket.connect(to: address)
            try socket.send(Array(message.utf8))
        } catch {
            throw .runTime("the service manager cannot be told through \(socketName): \(error)")
        }
    }
}
