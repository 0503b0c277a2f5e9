// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// Standard output: what a verb answers. Unbuffered: each text is out when the call returns.
public enum StandardOutput {
    /// False when nobody can read it any more.
    @discardableResult
    public static func write(_ text: String) -> Bool { writeAll(text, to: STDOUT_FILENO) }
}

/// Standard error: logs, and the one sentence of a failure.
public enum StandardError {
    public static func write(_ text: String) { _ = writeAll(text, to: STDERR_FILENO) }
}

/// One write(2) where the kernel allows, so that lines of several threads do not mix.
private func writeAll(_ text: String, to descriptor: CInt) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { buffer in
            // The buffer lives for the call and is as long as it says.
            unsafe write(descriptor, buffer.baseAddress, buffer.count)
        }
        guard count > 0 else {
            if clinux_errno() == EINTR { continue }
            return false
        }
        rest = rest.dropFirst(count)
    }
    return true
}
