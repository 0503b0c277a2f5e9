// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What processes have, and may have.
enum ProcessLimits {
    static func residentByteCount(_ process: pid_t) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8).split(separator: " ")
        return (Int(status[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE))
    }

    /// Lets this process have so many descriptors.
    static func raiseDescriptors(to count: Int) throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard limit.rlim_max >= count else { throw HarnessError("only \(limit.rlim_max) descriptors are allowed") }
        limit.rlim_cur = max(limit.rlim_cur, rlim_t(count))
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
