// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Debian's tgt with one disk, for tests of our own initiator. It needs root.
final class TgtServer {
    static let target = "iqn.2026-11.org.martlet:tgt"
    private static let startLimitSeconds = 20.0

    let url: LogicalUnitURL
    private let process: ChildProcess
    private let folder: TemporaryFolder
    private let controlPort: UInt16

    static var isUsable: Bool { geteuid() == 0 && ["tgtd", "tgtadm"].allSatisfy { path($0) != nil } }

    private static func path(_ program: String) -> String? {
        ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }

    /// Serves a file of `byteCount` zeroes as LUN 1; LUN 0 is tgt's controller.
    init(byteCount: Int) throws {
        guard let program = Self.path("tgtd") else { throw HarnessError("tgtd is not installed") }
        folder = try TemporaryFolder()
        let disk = try folder.write([], to: "disk.img")
        guard truncate(disk, byteCount) == 0 else { throw HarnessError("truncate", errno: errno) }
        let port = try FakePortal.freePort()
        // tgtd takes a number that fits in a short.
        controlPort = 1000 + port % 30000
        process = try ChildProcess(
            program, ["-f", "-C", "\(controlPort)", "--iscsi", "portal=127.0.0.1:\(port)"],
            errorPath: folder.file("standard-error"))
        guard let url = LogicalUnitURL("iscsi://127.0.0.1:\(port)/\(Self.target)/1") else {
            throw HarnessError("no URL")
        }
        self.url = url
        let deadline = Date(timeIntervalSinceNow: Self.startLimitSeconds)
        // Until tgtd listens at its control socket.
        while true {
            if try control("target", "new", ["--tid", "1", "-T", Self.target]).succeeded { break }
            guard deadline.timeIntervalSinceNow > 0 else { throw HarnessError("tgtd: \(process.standardError)") }
        }
        for (mode, operation, options) in [
            ("logicalunit", "new", ["--tid", "1", "--lun", "1", "-b", disk, "--bstype", "rdwr"]),
            ("target", "bind", ["--tid", "1", "-I", "ALL"]),
        ] {
            let result = try control(mode, operation, options)
            guard result.succeeded else { throw HarnessError("tgtadm: \(result.summary)") }
        }
    }

    deinit {
        process.send(SIGKILL)
        _ = try? process.wait(limitSeconds: Self.startLimitSeconds)
        // tgtd leaves these behind.
        for suffix in ["", ".lock"] { unlink("/var/run/tgtd/socket.\(controlPort)\(suffix)") }
    }

    @discardableResult
    func control(_ mode: String, _ operation: String, _ options: [String]) throws -> Program.Result {
        guard let program = Self.path("tgtadm") else { throw HarnessError("tgtadm is not installed") }
        return try Program.run(
            program, ["-C", "\(controlPort)", "--lld", "iscsi", "--mode", mode, "--op", operation] + options)
    }
}

/// A TCP port at which nobody speaks iSCSI.
final class FakePortal {
    let port: UInt16
    private let listener: Int32
    private let answer: [UInt8]

    /// Accepts connections. Sends `answer` to each once it has said something, and hears no more.
    init(answering answer: [UInt8]) throws {
        (listener, port) = try Self.bound()
        self.answer = answer
        guard listen(listener, 16) == 0 else { throw HarnessError("listen", errno: errno) }
    }

    deinit { close(listener) }

    /// Serves one connection; the thread ends with it.
    func serveOne() {
        let (listener, answer) = (self.listener, self.answer)
        Thread.detachNewThread {
            let peer = accept(listener, nil, nil)
            guard peer >= 0 else { return }
            var bytes = [UInt8](repeating: 0, count: 4096)
            guard read(peer, &bytes, bytes.count) > 0 else { return }
            if !answer.isEmpty { _ = send(peer, answer, answer.count, Int32(MSG_NOSIGNAL)) }
            // Until the other side has gone.
            while read(peer, &bytes, bytes.count) > 0 {}
            close(peer)
        }
    }

    /// A port that was free a moment ago.
    static func freePort() throws -> UInt16 {
        let (descriptor, port) = try bound()
        close(descriptor)
        return port
    }

    private static func bound() throws -> (Int32, UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw HarnessError("socket", errno: errno) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var byteCount = socklen_t(MemoryLayout<sockaddr_in>.size)
        let failure = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, byteCount) != 0 || getsockname(descriptor, $0, &byteCount) != 0
            }
        }
        guard !failure else {
            close(descriptor)
            throw HarnessError("bind", errno: errno)
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }
}
