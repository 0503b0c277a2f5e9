// SPDX-License-Identifier: Apache-2.0

import Glibc
import HandlerKit

/// A number of errno.
struct SystemError: Error {
    let code: Int32

    /// The calling thread's last one.
    @inline(never)
    static func last() -> SystemError { SystemError(code: errno) }

    var isLackOfSpace: Bool { code == ENOSPC || code == EDQUOT || code == EFBIG }

    /// The store, or the file system, has no such operation.
    var isUnsupported: Bool { code == EOPNOTSUPP || code == EINVAL || code == ENOSYS }

    /// "what: the system's words".
    func words(_ what: StaticString) -> String { "\(what): \(description)" }

    /// "what path: the system's words".
    func refusal(_ what: StaticString, _ path: String) -> HandlerRefusal {
        HandlerRefusal(code: code, reason: "\(what) \(path): \(description)")
    }

    private var description: String {
        // A text of the C library's, for this thread until it asks again.
        unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    }
}
