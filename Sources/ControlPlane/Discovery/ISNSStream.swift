// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import ISNS
internal import Transport

/// One TCP connection that carries iSNSP, never waited for. What it holds is bounded both ways.
final class ISNSStream {
    /// Bytes that are taken at once: less than a message may have.
    private static let chunkByteCount = 4096
    /// Of answers that the other side does not take.
    private static let maximumAnswerByteCount = 64 << 10

    let descriptor: CInt
    /// Of an outgoing connection, until it stands.
    private(set) var isConnecting: Bool
    /// Nanoseconds of the monotonic clock when something came, or when it began.
    private(set) var lastHeard = clinux_monotonic_nanoseconds()
    private var reader = ISNSMessageReader()
    private var unsent: ArraySlice<UInt8> = []
    /// Of answers, since all was sent the last time.
    private var answerByteCount = 0

    /// Takes over an accepted socket.
    init(accepted descriptor: CInt) {
        self.descriptor = descriptor
        isConnecting = false
    }

    /// Begins to connect.
    init(to server: PortalAddress) throws(SystemError) {
        guard let address = InternetAddress(server) else { throw SystemError(call: "address \(server)", code: EINVAL) }
        let flags = clinux_sock_nonblock | clinux_sock_cloexec
        let descriptor = socket(address.family, clinux_sock_stream | flags, 0)
        guard descriptor >= 0 else { throw SystemError.last("socket") }
        self.descriptor = descriptor
        isConnecting = true
        if unsafe address.withPointer({ unsafe connect(descriptor, $0, $1) }) != 0, clinux_errno() != EINPROGRESS {
            throw SystemError.last("connect")
        }
    }

    deinit { close(descriptor) }

    /// What poll(2) is to look for.
    var interest: CInt {
        if isConnecting { return POLLOUT }
        return POLLIN | (unsent.isEmpty ? 0 : POLLOUT)
    }

    /// The socket is ready: whether the connection stands.
    func finishConnecting() throws(SystemError) {
        let code = clinux_get_option(descriptor, SOL_SOCKET, SO_ERROR)
        guard code == 0 else { throw SystemError(call: "connect", code: max(code, 1)) }
        isConnecting = false
    }

    /// Sends what there is room for; the rest goes when there is more. A request is as long as what it registers, and
    /// there is one at a time.
    func send(_ message: ISNSMessage) throws(SystemError) {
        reader.expectAnswer(to: message)
        unsent += message.bytes()
        try flush()
    }

    /// The same for the answer to what the other side asks, as often as it likes: what it does not take is bounded.
    func answer(_ message: ISNSMessage) throws(SystemError) {
        let bytes = message.bytes()
        guard answerByteCount + bytes.count <= Self.maximumAnswerByteCount else {
            throw SystemError(call: "send", code: ENOBUFS)
        }
        answerByteCount += bytes.count
        unsent += bytes
        try flush()
    }

    func flush() throws(SystemError) {
        while !unsent.isEmpty {
            let count = unsafe unsent.withUnsafeBytes { buffer in
                // The buffer lives for the call and is as long as it says.
                unsafe CLinux.send(
                    descriptor, buffer.baseAddress, buffer.count, clinux_msg_nosignal | clinux_msg_dontwait)
            }
            guard count > 0 else {
                if clinux_errno() == EINTR { continue }
                if clinux_errno() == EAGAIN { return }
                throw SystemError.last("send")
            }
            unsent = unsent.dropFirst(count)
        }
        unsent = []
        answerByteCount = 0
    }

    enum Ending: Error {
        case closed
        case system(SystemError)
        case malformed(ISNSError)

        var reason: String {
            switch self {
            case .closed: "it closed the connection"
            case .system(let error): "\(error)"
            case .malformed(let error): "it sends what is no iSNSP: \(error)"
            }
        }
    }

    /// The messages that a turn's share of bytes completes.
    func receive() throws(Ending) -> [ISNSMessage] {
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkByteCount) { buffer, count in
            // The buffer has room for as many bytes.
            unsafe result = recv(descriptor, buffer.baseAddress, Self.chunkByteCount, clinux_msg_dontwait)
            count = max(result, 0)
        }
        if result == 0 { throw .closed }
        guard result > 0 else {
            if [EAGAIN, EINTR].contains(clinux_errno()) { return [] }
            throw .system(SystemError.last("recv"))
        }
        lastHeard = clinux_monotonic_nanoseconds()
        reader.append(bytes)
        var messages: [ISNSMessage] = []
        do throws(ISNSError) {
            while let message = try reader.next() { messages.append(message) }
        } catch {
            throw .malformed(error)
        }
        return messages
    }
}
