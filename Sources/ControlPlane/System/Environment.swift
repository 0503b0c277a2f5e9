// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Foundation

/// What the process finds around it.
enum Environment {
    static func value(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }

    static var processorCount: Int { max(1, ProcessInfo.processInfo.activeProcessorCount) }

    static var processIdentifier: Int { Int(getpid()) }

    /// The folder of the running executable, without links; nil when /proc is not mounted.
    static var executableFolder: String? {
        guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
            let slash = path.lastIndex(of: "/")
        else { return nil }
        return String(path[..<slash])
    }

    /// Tells this machine from others (machine-id(5)); empty where nothing does.
    static var machineIdentity: String {
        for path in ["/etc/machine-id", "/var/lib/dbus/machine-id"] {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { continue }
            let word = text.trimmingCharacters(in: .whitespacesAndNewlines)
            if !word.isEmpty { return word }
        }
        return ProcessInfo.processInfo.hostName
    }

    static func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// `path` without links and dots, as far as it is there.
    static func realPath(_ path: String) -> String {
        URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
    }

    static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        // FileManager writes one truth value of ours.
        return unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    /// Seconds of a clock that nobody sets.
    static var monotonicSeconds: Double { Double(clinux_monotonic_nanoseconds()) / 1e9 }

    /// Milliseconds since 1970-01-01 UT.
    static var wallMilliseconds: UInt64 {
        var time = timespec()
        // A whole timespec of our own.
        guard unsafe clock_gettime(CLOCK_REALTIME, &time) == 0, time.tv_sec >= 0 else { return 0 }
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    /// User and system seconds of processor time of the process so far.
    static var processorSeconds: Double {
        var time = timespec()
        // A whole timespec of our own.
        guard unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
