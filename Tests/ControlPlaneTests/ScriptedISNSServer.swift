// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import ISNS
import Synchronization

/// An iSNS server on loopback that does what a test tells it, in a thread of its own.
final class ScriptedISNSServer: Sendable {
    let port: UInt16
    private let listener: Int32

    struct SocketFailure: Error {
        let code: Int32
    }

    /// One connection, seen from the server. Reads and writes give up after ten seconds.
    final class Connection: @unchecked Sendable {
        private let descriptor: Int32
        private var reader = ISNSMessageReader()

        init(_ descriptor: Int32) {
            self.descriptor = descriptor
            var limit = timeval(tv_sec: 10, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }

        deinit { close(descriptor) }

        /// Connects to a port on loopback, from 127.0.0.`host`.
        convenience init(port: UInt16, from host: UInt32 = 1) throws {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            self.init(descriptor)
            var local = ScriptedISNSServer.loopback(port: 0, host: host)
            var address = ScriptedISNSServer.loopback(port: port)
            let byteCount = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isBound = withUnsafePointer(to: &local) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, byteCount) == 0 }
            }
            let isConnected = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, byteCount) == 0 }
            }
            guard isBound, isConnected else { throw SocketFailure(code: errno) }
        }

        /// Whether all of it went out.
        @discardableResult
        func send(_ bytes: [UInt8]) -> Bool {
            Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
        }

        /// The next message; nil at the end. `byteCount`: how long it may be at least.
        func receive(byteCount: Int = 0) -> ISNSMessage? {
            let payload = [UInt8](repeating: 0, count: byteCount)
            reader.expectAnswer(to: ISNSMessage(function: 1, flags: [], transaction: 0, payload: payload))
            while true {
                if let message = try? reader.next() { return message }
                var bytes = [UInt8](repeating: 0, count: 4096)
                let count = recv(descriptor, &bytes, bytes.count, 0)
                guard count > 0 else { return nil }
                reader.append(bytes.prefix(count))
            }
        }

        func answer(_ request: ISNSMessage, status: UInt8 = 0, _ attributes: [ISNSAttribute] = []) {
            send(
                ISNSMessage(
                    function: request.function | 0x8000, flags: .server, transaction: request.transaction,
                    payload: [0, 0, 0, status] + attributes.flatMap(\.bytes)
                ).bytes())
        }
    }

    /// `script` is run for one connection after the other, in the server's thread.
    init(port wanted: UInt16 = 0, script: @escaping @Sendable (Connection) -> Void) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        listener = descriptor
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = Self.loopback(port: wanted)
        var byteCount = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, byteCount) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, pointer, &byteCount) == 0
            }
        }
        guard result else { throw SocketFailure(code: errno) }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread {
            while true {
                let accepted = accept(descriptor, nil, nil)
                guard accepted >= 0 else { return }
                script(Connection(accepted))
            }
        }
    }

    /// Ends what waits for connections.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    deinit {
        stop()
        close(listener)
    }

    private static func loopback(port: UInt16, host: UInt32 = 1) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = (0x7F00_0000 + host).bigEndian
        return address
    }
}
