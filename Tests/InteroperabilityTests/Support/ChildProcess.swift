// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A child process whose standard output is a pipe and whose standard error is a file.
///
/// The pipe doubles as the sign of its end: the child alone holds the other side, so end-of-file means that it ended.
/// Every wait has a limit.
final class ChildProcess {
    enum Ending: Equatable {
        case exit(Int32)
        case signal(Int32)
    }

    let identifier: pid_t
    private let output: Int32
    private let errorPath: String
    private var outputBytes: [UInt8] = []
    private var outputEnded = false
    private var ending: Ending?

    /// Starts `path`; `environment` is added to this process's own.
    init(_ path: String, _ arguments: [String], environment: [String: String] = [:], errorPath: String) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw HarnessError("pipe", errno: errno) }
        // A child that another thread starts meanwhile must not hold the pipe.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errorPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        for descriptor in Self.openDescriptors() where descriptor > STDERR_FILENO {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }
        // A test may run on a thread that blocks signals, or in a process that ignores some; its children must not.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let merged = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        var identifier: pid_t = 0
        let failure = Self.withCStrings([path] + arguments) { argv in
            Self.withCStrings(merged.map { "\($0)=\($1)" }) { envp in
                posix_spawn(&identifier, path, &actions, &attributes, argv, envp)
            }
        }
        close(ends[1])
        guard failure == 0 else {
            close(ends[0])
            throw HarnessError("cannot start \(path)", errno: failure)
        }
        self.identifier = identifier
        output = ends[0]
        self.errorPath = errorPath
    }

    deinit {
        if ending == nil {
            send(SIGKILL)
            _ = reap()
        }
        close(output)
    }

    var standardOutput: String { String(decoding: outputBytes, as: UTF8.self) }

    var standardError: String {
        guard let data = FileManager.default.contents(atPath: errorPath) else { return "" }
        return String(decoding: data, as: UTF8.self)
    }

    func send(_ signal: Int32) { kill(identifier, signal) }

    /// Reads standard output until `isEnough` is true of it, the child ends, or the limit passes (then throws).
    func readOutput(limitSeconds: Double, until isEnough: (String) -> Bool) throws {
        let deadline = Date(timeIntervalSinceNow: limitSeconds)
        while !outputEnded, !isEnough(standardOutput) {
            let remaining = deadline.timeIntervalSinceNow
            guard remaining > 0 else {
                throw HarnessError(
                    "process \(identifier) said too little in \(limitSeconds) s: \(standardOutput)\(standardError)")
            }
            var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, Int32(remaining * 1000) + 1) > 0 else { continue }
            var chunk = [UInt8](repeating: 0, count: 65536)
            let count = read(output, &chunk, chunk.count)
            if count > 0 { outputBytes += chunk[..<count] } else { outputEnded = true }
        }
    }

    /// How the child ended; throws when it is still running at the limit.
    func wait(limitSeconds: Double) throws -> Ending {
        try readOutput(limitSeconds: limitSeconds) { _ in false }
        return reap()
    }

    private func reap() -> Ending {
        if let ending { return ending }
        var status: Int32 = 0
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        let result: Ending = signal == 0 ? .exit((status >> 8) & 0xFF) : .signal(signal)
        ending = result
        return result
    }

    /// Everything that is open here; no child shall hold a socket or pipe of another test.
    private static func openDescriptors() -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.compactMap { Int32($0) }
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}
