// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop

/// What a process has cost so far, from the operating system's own accounting.
struct ProcessCost: Sendable, Equatable {
    /// User plus system time of all its threads, those that have ended included.
    var cpuNanoseconds: UInt64 = 0
    /// Voluntary and involuntary ones, of the threads alive now.
    var contextSwitches: UInt64 = 0

    /// This process's time, without its switches.
    static func own() -> ProcessCost {
        ProcessCost(cpuNanoseconds: nanoseconds(of: CLOCK_PROCESS_CPUTIME_ID) ?? 0)
    }

    /// Of any process that this user may look at.
    static func of(_ process: pid_t) throws(LoadFailure) -> ProcessCost {
        // The process's clock counts nanoseconds; /proc/PID/stat only ticks of 10 ms.
        var clock = clockid_t()
        let code = unsafe clock_getcpuclockid(process, &clock)
        guard code == 0, let used = nanoseconds(of: clock) else {
            throw .runTime(
                "the CPU time of process \(process) cannot be read: "
                    + (code == ESRCH || code == 0 ? "there is no such process" : SystemError.text(of: code)))
        }
        return ProcessCost(cpuNanoseconds: used, contextSwitches: try switches(of: process))
    }

    private static func nanoseconds(of clock: clockid_t) -> UInt64? {
        var time = timespec()
        // `time` is ours, and written by the call alone.
        guard unsafe clock_gettime(clock, &time) == 0 else { return nil }
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func switches(of process: pid_t) throws(LoadFailure) -> UInt64 {
        let folder = "/proc/\(process)/task"
        guard let tasks = unsafe opendir(folder) else {
            throw .runTime("\(folder) cannot be read: \(SystemError.text(of: clinux_errno()))")
        }
        defer { unsafe _ = closedir(tasks) }
        var sum: UInt64 = 0
        while let entry = unsafe readdir(tasks) {
            let name = unsafe String(cString: clinux_directory_entry_name(entry))
            guard name.first != "." else { continue }
            // A thread that has just ended has none.
            sum += ProcessStatus.contextSwitches(in: text("\(folder)/\(name)/status"))
        }
        return sum
    }

    /// A file of /proc: empty when it has gone.
    private static func text(_ path: String) -> String {
        let descriptor = unsafe clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 8192)
        let count = unsafe read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}

/// /proc/PID/task/TID/status (proc(5)).
package enum ProcessStatus {
    /// The sum of both kinds; lines that are not there count nothing.
    package static func contextSwitches(in text: String) -> UInt64 {
        var sum: UInt64 = 0
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0] == "voluntary_ctxt_switches" || parts[0] == "nonvoluntary_ctxt_switches"
            else { continue }
            sum += UInt64(parts[1].drop { $0 == " " || $0 == "\t" }) ?? 0
        }
        return sum
    }
}
