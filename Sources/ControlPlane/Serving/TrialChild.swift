// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import TargetCore

/// The process of a handler's trial, and what it reported.
final class TrialChild {
    enum Ending: Equatable {
        case exit(Int32)
        case signal(Int32)
        case timeOut
    }

    private let process: pid_t
    /// The reading end of the report's pipe: non-blocking.
    private let pipe: CInt
    private(set) var report: [UInt8] = []

    /// More than any handler says while it starts; what is beyond is not read.
    private static let reportByteLimit = 1 << 20
    /// Where the kernel has no pidfd_open(2), the child is looked at so often.
    private static let lookMilliseconds: Int32 = 20

    private init(process: pid_t, pipe: CInt) {
        self.process = process
        self.pipe = pipe
    }

    deinit { _ = close(pipe) }

    static func start(_ arguments: [String]) -> Result<TrialChild, SystemError> {
        var ends: [CInt] = [-1, -1]
        // Two descriptors of our own are written.
        guard unsafe clinux_pipe(&ends) == 0 else { return .failure(SystemError.last("pipe2")) }
        defer { _ = close(ends[1]) }
        _ = clinux_set_nonblocking(ends[0])
        var words: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
        unsafe words.append(nil)
        // The words live until they are freed below: posix_spawn(3) has copied them by then.
        let process = unsafe clinux_start_again(&words, ends[1])
        for index in unsafe words.indices { unsafe free(words[index]) }
        guard process > 0 else {
            _ = close(ends[0])
            return .failure(SystemError(call: "posix_spawn", code: -process))
        }
        return .success(TrialChild(process: process, pipe: ends[0]))
    }

    /// Waits for the end, and brings it about after `seconds`. Once.
    func wait(seconds: Int) -> Ending {
        let deadline = clinux_monotonic_nanoseconds() + UInt64(seconds) * 1_000_000_000
        let descriptor = clinux_open_child(process)
        defer { if descriptor >= 0 { _ = close(descriptor) } }
        var status: CInt = 0
        while true {
            readReport()
            // Only this object waits for the process, and once.
            let ended = unsafe waitpid(process, &status, clinux_wait_no_hang)
            // A parent that ignores SIGCHLD has its children's endings thrown away: then the report alone tells.
            if ended == process || ended < 0 && clinux_errno() == ECHILD { break }
            let now = clinux_monotonic_nanoseconds()
            guard now < deadline else {
                endGroup()
                unsafe _ = waitpid(process, &status, 0)
                return .timeOut
            }
            waitForNews(descriptor, milliseconds: (deadline - now) / 1_000_000 + 1)
        }
        readReport()
        // What the handler itself has started goes too.
        endGroup()
        if clinux_has_exited(status) { return .exit(clinux_exit_status(status)) }
        return .signal(clinux_ending_signal(status))
    }

    private func endGroup() { _ = kill(-process, SIGKILL) }

    /// Until the child has ended, or has written.
    private func waitForNews(_ descriptor: CInt, milliseconds: UInt64) {
        var watched = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
        if report.count < Self.reportByteLimit, !isReportEnded {
            watched.append(pollfd(fd: pipe, events: Int16(POLLIN), revents: 0))
        }
        let limit = descriptor >= 0 ? Int32(clamping: milliseconds) : Self.lookMilliseconds
        // The array is ours; negative descriptors are passed over.
        unsafe _ = poll(&watched, nfds_t(watched.count), limit)
    }

    private var isReportEnded = false

    private func readReport() {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while report.count < Self.reportByteLimit {
            // The chunk is ours and as long as it says.
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe readBytes(pipe, $0.baseAddress, $0.count) }
            guard count > 0 else {
                isReportEnded = count == 0
                return
            }
            report += chunk[..<count]
        }
    }
}

private func readBytes(_ descriptor: CInt, _ buffer: UnsafeMutableRawPointer?, _ byteCount: Int) -> Int {
    unsafe read(descriptor, buffer, byteCount)
}

/// What the child says to its parent: a line for each message of the handler's, and at the end one for the verdict.
struct TrialReport {
    enum Line {
        case message(Diagnostics.Severity, String)
        case refusal(String)
        case taken
    }

    private(set) var isTaken = false
    private(set) var refusal: String?
    private(set) var messages: [(Diagnostics.Severity, String)] = []

    private static let taken = "taken"
    private static let refused = "refused "
    private static let message = "message "

    init(_ bytes: [UInt8]) {
        for line in bytes.split(separator: UInt8(ascii: "\n")) { add(String(decoding: line, as: UTF8.self)) }
        // The child's registry tells of the refusal as well.
        if let refusal { messages.removeAll { $0.1 == refusal } }
    }

    private mutating func add(_ line: String) {
        if line == Self.taken {
            isTaken = true
        } else if line.hasPrefix(Self.refused) {
            refusal = String(line.dropFirst(Self.refused.count))
        } else if line.hasPrefix(Self.message) {
            let rest = line.dropFirst(Self.message.count)
            guard let space = rest.firstIndex(of: " "), let number = Int(rest[..<space]),
                let severity = Diagnostics.Severity(rawValue: number)
            else { return }
            messages.append((severity, String(rest[rest.index(after: space)...])))
        }
    }

    /// Writes `line`, in one piece where the pipe takes it.
    static func write(_ line: Line, to descriptor: CInt) {
        let text =
            switch line {
            case .message(let severity, let text): "\(message)\(severity.rawValue) \(oneLine(text))\n"
            case .refusal(let text): "\(refused)\(oneLine(text))\n"
            case .taken: "\(taken)\n"
            }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            // The slice lives for the call and is as long as it says.
            let count = unsafe rest.withUnsafeBytes { unsafe writeBytes(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    private static func oneLine(_ text: String) -> String { text.replacing("\n", with: " ") }
}

private func writeBytes(_ descriptor: CInt, _ buffer: UnsafeRawPointer?, _ byteCount: Int) -> Int {
    unsafe write(descriptor, buffer, byteCount)
}
