// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// The section "limits": how much peers may make the server hold. Nil: the server's own choice.
public struct LimitSettings: Equatable, Sendable {
    public var connections: Int?
    public var connectionsPerAddress: Int?
    public var halfOpen: Int?
    public var halfOpenPerAddress: Int?
    public var sessionsPerTarget: Int?
    public var loginSeconds: Int?

    public init() {}
}

/// The keys of the section "limits".
enum LimitKey: String, CaseIterable, Sendable {
    case connections
    case connectionsPerAddress = "connections-per-address"
    case halfOpen = "half-open"
    case halfOpenPerAddress = "half-open-per-address"
    case sessionsPerTarget = "sessions-per-target"
    case loginTimeout = "login-timeout"

    /// Each connection is a descriptor and some memory: more help nobody.
    private static let counts = 1...1_048_576
    /// TSIHs have 16 bits (RFC 7143 11.12.5).
    private static let sessions = 1...65_535
    private static let seconds = 1...3600

    private var range: ClosedRange<Int> {
        switch self {
        case .connections, .connectionsPerAddress, .halfOpen, .halfOpenPerAddress: Self.counts
        case .sessionsPerTarget: Self.sessions
        case .loginTimeout: Self.seconds
        }
    }

    private var place: WritableKeyPath<LimitSettings, Int?> {
        switch self {
        case .connections: \.connections
        case .connectionsPerAddress: \.connectionsPerAddress
        case .halfOpen: \.halfOpen
        case .halfOpenPerAddress: \.halfOpenPerAddress
        case .sessionsPerTarget: \.sessionsPerTarget
        case .loginTimeout: \.loginSeconds
        }
    }

    private func number(_ text: String) -> Int? {
        let digits = self == .loginTimeout && text.hasSuffix("s") ? text.dropLast() : text[...]
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
                let unit = key == .loginTimeout ? "seconds" : "a number"
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
        settings.loginTimeoutMilliseconds = loginSeconds.map { UInt64($0) * 1000 } ?? settings.loginTimeoutMilliseconds
    }
}
