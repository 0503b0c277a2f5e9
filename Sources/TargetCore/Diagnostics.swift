// SPDX-License-Identifier: Apache-2.0

/// Where the layers below the control plane leave word for the operator. They know no logging library.
public struct Diagnostics: Sendable {
    public enum Severity: Int, Sendable, Comparable {
        case debug, info, notice, warning, error

        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    public let threshold: Severity
    private let sink: @Sendable (Severity, String) -> Void

    public init(threshold: Severity, sink: @escaping @Sendable (Severity, String) -> Void) {
        self.threshold = threshold
        self.sink = sink
    }

    /// Says nothing.
    public static let silent = Diagnostics(threshold: .error) { _, _ in }

    /// `message` is made only when somebody listens. Never called per command.
    public func report(_ severity: Severity, _ message: @autoclosure () -> String) {
        if severity >= threshold { sink(severity, message()) }
    }
}
