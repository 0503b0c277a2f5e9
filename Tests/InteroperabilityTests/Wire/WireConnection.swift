// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator

/// A TCP connection over which a test says exactly the bytes that it wants to.
final class WireConnection {
    /// Any answer must come within this time.
    static let limitSeconds = 20.0
    /// A PDU that says it is longer is a broken one.
    static let longestSegmentByteCount = 1 << 20

    enum Failure: Error {
        case closedByPeer
        case timedOut
    }

    var headerDigest = false
    var dataDigest = false
    private let descriptor: Int32
    private var isOpen = true

    /// - Parameter local: a numeric address of this machine to come from; nil: as the kernel has it.
    init(host: String, port: UInt16, from local: String? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw HarnessError("socket", errno: errno) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { throw HarnessError("\(host) is no address") }
        if let local { try Self.bind(descriptor, to: local) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let code = errno
            Foundation.close(descriptor)
            throw HarnessError("connect to \(host):\(port)", errno: code)
        }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var limit = timeval(tv_sec: Int(Self.limitSeconds), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    convenience init(_ url: LogicalUnitURL, from local: String? = nil) throws {
        try self.init(host: url.host, port: url.port, from: local)
    }

    private static func bind(_ descriptor: Int32, to local: String) throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        guard inet_pton(AF_INET, local, &address.sin_addr) == 1 else { throw HarnessError("\(local) is no address") }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw HarnessError("bind to \(local)", errno: errno) }
    }

    deinit { close() }

    func close() {
        guard isOpen else { return }
        isOpen = false
        Foundation.close(descriptor)
    }

    /// Vanishes: the peer sees a reset, as from a machine that lost its memory.
    func reset() {
        var linger = Foundation.linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Foundation.linger>.size))
        close()
    }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if errno == EPIPE || errno == ECONNRESET {
                throw Failure.closedByPeer
            } else if errno != EINTR {
                throw errno == EAGAIN ? Failure.timedOut : HarnessError("send", errno: errno)
            }
        }
    }

    /// Sends in pieces of `pieceByteCount`, each in a segment of its own as far as the kernel lets it.
    func send(_ bytes: [UInt8], pieceByteCount: Int) throws {
        for start in stride(from: 0, to: bytes.count, by: pieceByteCount) {
            try send([UInt8](bytes[start..<min(start + pieceByteCount, bytes.count)]))
        }
    }

    func send(_ pdu: WirePDU) throws {
        try send(pdu.encoded(headerDigest: headerDigest, dataDigest: dataDigest))
    }

    func receive(byteCount: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        var received = 0
        while received < byteCount {
            let count = bytes.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress! + received, byteCount - received, 0)
            }
            if count > 0 {
                received += count
            } else if count == 0 || errno == ECONNRESET {
                throw Failure.closedByPeer
            } else if errno != EINTR {
                throw errno == EAGAIN ? Failure.timedOut : HarnessError("recv", errno: errno)
            }
        }
        return bytes
    }

    func receivePDU() throws -> WirePDU {
        var pdu = WirePDU(header: try receive(byteCount: WirePDU.headerByteCount))
        pdu.additionalHeader = try receive(byteCount: Int(pdu.header[4]) * 4)
        if headerDigest {
            try expectDigest(of: pdu.header + pdu.additionalHeader, "header")
        }
        let length = pdu.dataSegmentLength
        guard length <= Self.longestSegmentByteCount else { throw HarnessError("a data segment of \(length) bytes") }
        guard length > 0 else { return pdu }
        let padded = try receive(byteCount: length + (-length & 3))
        if dataDigest {
            try expectDigest(of: padded, "data")
        }
        pdu.data = [UInt8](padded.prefix(length))
        return pdu
    }

    /// Whether the peer closes the connection before the limit; PDUs that it still sends are passed over.
    func isClosedByPeer() throws -> Bool {
        do {
            while true { _ = try receive(byteCount: 1) }
        } catch Failure.closedByPeer {
            return true
        } catch Failure.timedOut {
            return false
        }
    }

    private func expectDigest(of bytes: [UInt8], _ what: String) throws {
        guard try receive(byteCount: 4) == WireDigest.crc32c(bytes) else {
            throw HarnessError("the target sent a wrong \(what) digest")
        }
    }
}
