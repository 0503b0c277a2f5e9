// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The one-node Ceph of `make interop` (scripts/ceph-rig).
enum Ceph {
    /// Its ceph.conf; nil: there is none, and what needs one is skipped.
    static let conf = ProcessInfo.processInfo.environment["MARTLET_CEPH_CONF"]

    /// Runs one of Ceph's programs against it, to a good end.
    @discardableResult
    static func run(_ program: String, _ arguments: [String]) throws -> String {
        let path = "/usr/bin/\(program)"
        let result = try Program.run(path, ["--conf", try #require(conf)] + arguments, limitSeconds: 60)
        guard result.succeeded else { throw HarnessError("\(program) \(arguments): \(result.summary)") }
        return result.output
    }

    @discardableResult
    static func rbd(_ arguments: String...) throws -> String { try run("rbd", arguments) }

    /// The addresses of clients that the cluster refuses.
    static func blocklist() throws -> String { try run("ceph", ["osd", "blocklist", "ls"]) }

    /// scripts/ceph-rig on this cluster.
    @discardableResult
    static func rig(_ verb: String) throws -> String {
        let script = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../scripts/ceph-rig").standardized
        let folder = URL(fileURLWithPath: try #require(conf)).deletingLastPathComponent().path
        let result = try Program.run(script.path, [verb], environment: ["CEPH_RIG_DIR": folder], limitSeconds: 90)
        guard result.succeeded else { throw HarnessError("ceph-rig \(verb): \(result.summary)") }
        return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    static func osd() throws -> pid_t {
        guard let pid = pid_t(try rig("osd-pid")) else { throw HarnessError("ceph-rig tells no OSD") }
        return pid
    }
}

extension Trait where Self == ConditionTrait {
    static var needsCeph: Self { .enabled(if: Ceph.conf != nil, "MARTLET_CEPH_CONF is not set; make interop sets it") }
}

/// An image of one test's own in the pool "rbd". It stays until the cluster goes: Ceph removes none that a server which
/// was killed may still watch.
struct CephImage {
    /// "rbd/NAME" or "rbd/NAMESPACE/NAME".
    let path: String

    init(megabytes: Int = 64, namespace: String? = nil, features: String? = nil) throws {
        let name = "t\(UInt32.random(in: 0...UInt32.max))"
        path = "rbd/" + (namespace.map { "\($0)/" } ?? "") + name
        var arguments = ["create", path, "--size", "\(megabytes)M"]
        if let features { arguments += ["--image-feature", features] }
        try Ceph.run("rbd", arguments)
    }

    /// The LUN-SPEC of the image, or of a snapshot of it; `options` each with its semicolon.
    func unit(_ options: String = "", snapshot: String = "", attributes: String = "") throws -> String {
        "rbd/\(path)\(snapshot);conf=\(try #require(Ceph.conf))\(options)\(attributes)"
    }

    /// Bytes that the image takes in the cluster.
    func usedByteCount() throws -> Int {
        struct Usage: Decodable { let images: [Image] }
        struct Image: Decodable {
            let usedSize: Int
            enum CodingKeys: String, CodingKey { case usedSize = "used_size" }
        }
        let text = try Ceph.rbd("du", "--format", "json", path)
        return try JSONDecoder().decode(Usage.self, from: Data(text.utf8)).images.map(\.usedSize).reduce(0, +)
    }
}

extension MartletServer {
    /// Waits until the log holds `words`; throws at the limit.
    func waitForLog(_ words: String, limitSeconds: Double = 30) throws {
        let watch = inotify_init1(Int32(IN_CLOEXEC))
        guard watch >= 0 else { throw HarnessError("inotify_init1", errno: errno) }
        defer { close(watch) }
        guard inotify_add_watch(watch, logPath, UInt32(IN_MODIFY)) >= 0 else {
            throw HarnessError("inotify_add_watch", errno: errno)
        }
        let deadline = Date(timeIntervalSinceNow: limitSeconds)
        while !standardError.contains(words) {
            var entry = pollfd(fd: watch, events: Int16(POLLIN), revents: 0)
            let remaining = deadline.timeIntervalSinceNow
            guard remaining > 0, poll(&entry, 1, Int32(remaining * 1000) + 1) > 0 else {
                throw HarnessError("the log does not say \"\(words)\" in \(limitSeconds) s: \(standardError)")
            }
            var events = [UInt8](repeating: 0, count: 4096)
            _ = read(watch, &events, events.count)
        }
    }
}

/// Something that runs in a thread of its own meanwhile.
final class InBackground: @unchecked Sendable {  // `failure` is written before, and read after, the semaphore
    private let isOver = DispatchSemaphore(value: 0)
    private var failure: (any Error)?

    init(_ body: @escaping @Sendable () throws -> Void) {
        Thread.detachNewThread { [self] in
            do { try body() } catch { failure = error }
            isOver.signal()
        }
    }

    /// Waits for its end, and throws what it threw.
    func wait() throws {
        isOver.wait()
        if let failure { throw failure }
    }
}

/// Stops a process with all its threads, and returns when none runs any more: kill(2) alone returns before.
func stopProcess(_ identifier: pid_t) throws {
    kill(identifier, SIGSTOP)
    let folder = "/proc/\(identifier)/task"
    let deadline = Date(timeIntervalSinceNow: 20)
    while true {
        let tasks = try FileManager.default.contentsOfDirectory(atPath: folder)
        let isStopped = tasks.allSatisfy { task in
            // "NUMBER (NAME) STATE ..."; a thread that ended meanwhile has no file.
            guard let text = try? String(contentsOfFile: "\(folder)/\(task)/stat", encoding: .utf8) else { return true }
            return text.split(separator: ")").last?.hasPrefix(" T") == true
        }
        if isStopped { return }
        guard Date() < deadline else { throw HarnessError("process \(identifier) does not stop") }
        sched_yield()
    }
}
