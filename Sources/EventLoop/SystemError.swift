// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// A system call that failed: what was tried, and the kernel's reason.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The call, by its manual page's name, with its object where that helps: "bind 127.0.0.1:3260".
    public let call: String
    /// errno.
    public let code: CInt

    public init(call: String, code: CInt) {
        self.call = call
        self.code = code
    }

    /// The failure of the call that has just returned: reads errno.
    @inline(never)
    public static func last(_ call: String) -> SystemError {
        SystemError(call: call, code: clinux_errno())
    }

    public var description: String { "\(call): \(Self.text(of: code))" }

    /// The kernel's words for an errno.
    public static func text(of code: CInt) -> String {
        guard let words = unsafe strerror(code) else { return "error \(code)" }
        return unsafe String(cString: words)
    }
}
