// SPDX-License-Identifier: Apache-2.0

internal import CLinux
public import Logging
internal import TargetCore

/// The log: one line on standard error for each message, "2026-11-21T05:14:38.123Z warning message".
public enum Log {
    /// The words of `--log-level`, the most talkative first.
    public static let levels = Logger.Level.allCases.map(\.rawValue)

    /// Once in a process, before the first message.
    public static func start(level: Logger.Level) {
        LoggingSystem.bootstrap { _ in LogLine(logLevel: level) }
    }

    public static func level(named name: String) -> Logger.Level? { Logger.Level(rawValue: name) }

    /// One line of the log, with its end. What peers send may stand in a message: characters that would end the line or
    /// steer a terminal are written as escapes.
    public static func line(time: String, level: String, message: String) -> String {
        var line = "\(time) \(level) "
        for scalar in message.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .format:
                line += scalar.escaped(asASCII: true)
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line + "\n"
    }

    /// Takes in what the layers below have to say.
    static func diagnostics(_ logger: Logger) -> Diagnostics {
        Diagnostics(threshold: threshold(logger.logLevel)) { severity, message in
            logger.log(level: level(severity), "\(message)")
        }
    }

    private static func level(_ severity: Diagnostics.Severity) -> Logger.Level {
        switch severity {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }

    private static func threshold(_ level: Logger.Level) -> Diagnostics.Severity {
        switch level {
        case .trace, .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error, .critical: .error
        }
    }
}

/// swift-log's end of the log.
struct LogLine: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let line = Log.line(time: Self.now(), level: event.level.rawValue, message: event.message.description)
        StandardError.write(line)
    }

    /// UTC, milliseconds (RFC 3339).
    private static func now() -> String {
        var time = timespec()
        var parts = unsafe tm()
        var text = [CChar](repeating: 0, count: 32)
        // All three are ours; strftime keeps to the count it is given and ends the text with a zero.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        unsafe gmtime_r(&time.tv_sec, &parts)
        let count = unsafe strftime(&text, text.count, "%Y-%m-%dT%H:%M:%S.", &parts)
        let milliseconds = String(time.tv_nsec / 1_000_000)
        return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            + String(repeating: "0", count: 3 - milliseconds.count) + milliseconds + "Z"
    }
}
