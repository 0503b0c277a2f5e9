// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// The section "limits": how much peers may make the server hold, and for how long. Nil: the server's own choice.
public struct LimitSettings: Equatable, Sendable {
    public var connections: Int?
    public var connectionsPerAddress: Int?
    public var halfOpen: Int?
    public var halfOpenPerAddress: Int?
    public var sessionsPerTarget: Int?
    /// MaxConnections that is offered (RFC 7143 13.2).
    public var connectionsPerSession: Int?
    /// ErrorRecoveryLevel that is offered (RFC 7143 13.20).
    public var errorRecoveryLevel: Int?
    public var loginSeconds: Int?
    /// Silence before a NOP-In; 0 for none.
    public var keepaliveSeconds: Int?
    /// Silence after it before the connection is dropped.
    public var keepaliveAnswerSeconds: Int?
    /// For initiators to log out once the server is to stop; 0 asks none of them.
    public var logoutSeconds: Int?

    public init() {}
}

/// The keys of the section "limits".
enum LimitKey: String, CaseIterable, Sendable {
    case connections
    case connectionsPerAddress = "connections-per-address"
    case halfOpen = "half-open"
    case halfOpenPerAddress = "half-open-per-address"
    case sessionsPerTarget = "sessions-per-target"
    case connectionsPerSession = "connections-per-session"
    case errorRecoveryLevel = "error-recovery-level"
    case loginTimeout = "login-timeout"
    case keepaliveInterval = "keepalive-interval"
    case keepaliveTimeout = "keepalive-timeout"
    case logoutWait = "logout-wait"

    /// Each connection is a descriptor and some memory: more help nobody.
    private static let counts = 1...1_048_576
    /// TSIHs have 16 bits (RFC 7143 11.12.5).
    private static let sessions = 1...65_535
    private static let seconds = 1...3600

    private var range: ClosedRange<Int> {
        switch self {
        case .connections, .connectionsPerAddress, .halfOpen, .halfOpenPerAddress: Self.counts
        case .sessionsPerTarget: Self.sessions
        case .connectionsPerSession: ISCSIServerConfiguration.sessionConnectionLimits
        case .errorRecoveryLevel: ISCSIServerConfiguration.errorRecoveryLevels
        case .loginTimeout, .keepaliveTimeout: Self.seconds
        case .keepaliveInterval: 0...Self.seconds.upperBound
        case .logoutWait: 0...60
        }
    }

    private var place: WritableKeyPath<LimitSettings, Int?> {
        switch self {
        case .connections: \.connections
        case .connectionsPerAddress: \.connectionsPerAddress
        case .halfOpen: \.halfOpen
        case .halfOpenPerAddress: \.halfOpenPerAddress
        case .sessionsPerTarget: \.sessionsPerTarget
        case .connectionsPerSession: \.connectionsPerSession
        case .errorRecoveryLevel: \.errorRecoveryLevel
        case .loginTimeout: \.loginSeconds
        case .keepaliveInterval: \.keepaliveSeconds
        case .keepaliveTimeout: \.keepaliveAnswerSeconds
        case .logoutWait: \.logoutSeconds
        }
    }

    private var isTime: Bool {
        switch self {
        case .loginTimeout, .keepaliveInterval, .keepaliveTimeout, .logoutWait: true
        default: false
        }
    }

    private func number(_ text: String) -> Int? {
        let digits = isTime && text.hasSuffix("s") ? text.dropLast() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits),
            range.contains(number)
        else { return nil }
        return number
    }

    static func read(_ value: YAMLValue) throws(Failure) -> LimitSettings {
        var settings = LimitSettings()
        let entries = try value.entries(known: allCases.map(\.rawValue))
        for key in allCases {
            guard let value = entries[key.rawValue] else { continue }
            let text = try value.text()
            guard let number = key.number(text) else {
                let unit = key.isTime ? "seconds" : "a number"
                throw value.failure(
                    "\(key.rawValue) cannot be \"\(text)\": write \(unit) from \(key.range.lowerBound) to \(key.range.upperBound)"
                )
            }
            settings[keyPath: key.place] = number
        }
        return settings
    }
}

extension LimitSettings {
    func apply(to settings: inout ISCSIServerConfiguration) {
        settings.connectionLimit = connections ?? settings.connectionLimit
        settings.addressConnectionLimit = connectionsPerAddress ?? settings.addressConnectionLimit
        settings.halfOpenLimit = halfOpen ?? settings.halfOpenLimit
        settings.addressHalfOpenLimit = halfOpenPerAddress ?? settings.addressHalfOpenLimit
        settings.targetSessionLimit = sessionsPerTarget ?? settings.targetSessionLimit
        settings.sessionConnectionLimit = connectionsPerSession ?? settings.sessionConnectionLimit
        settings.errorRecoveryLevel = errorRecoveryLevel ?? settings.errorRecoveryLevel
        set(&settings.loginTimeoutMilliseconds, loginSeconds)
        set(&settings.keepaliveMilliseconds, keepaliveSeconds)
        set(&settings.keepaliveAnswerMilliseconds, keepaliveAnswerSeconds)
        set(&settings.logoutWaitMilliseconds, logoutSeconds)
        // What is under way has as long again as the logouts.
        settings.stopTimeoutMilliseconds = max(settings.stopTimeoutMilliseconds, settings.logoutWaitMilliseconds * 2)
    }

    private func set(_ milliseconds: inout UInt64, _ seconds: Int?) {
        if let seconds { milliseconds = UInt64(seconds) * 1000 }
    }
}
