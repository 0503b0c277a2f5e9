// SPDX-License-Identifier: Apache-2.0

internal import SCSI
public import TargetCore

/// What the file says of asymmetric logical unit access: `alua` and `port-groups`.
public struct PortGroupSettings: Equatable, Sendable {
    /// Who changes the states of target port groups.
    public enum Mode: String, Sendable, CaseIterable {
        /// Initiators are told of no groups.
        case off
        /// The server.
        case implicit
        /// Initiators, by SET TARGET PORT GROUPS.
        case explicit
        case both
    }

    /// Nil: not said.
    public var mode: Mode?
    public var groups: [UInt16: AsymmetricAccessOptions.Group] = [:]

    public init() {}

    /// The words for states, here and at the control socket.
    static let states: [(word: String, state: AsymmetricAccessState)] = [
        ("active/optimized", .activeOptimized), ("active/non-optimized", .activeNonOptimized), ("standby", .standby),
        ("unavailable", .unavailable), ("transitioning", .transitioning),
    ]

    static func state(_ word: String) -> AsymmetricAccessState? { states.first { $0.word == word }?.state }

    static func word(_ state: AsymmetricAccessState) -> String { states.first { $0.state == state }?.word ?? "offline" }

    /// Groups that somebody names are told of, unless `alua` says otherwise.
    func options(isAnyNamed: Bool) -> AsymmetricAccessOptions {
        var options = AsymmetricAccessOptions()
        options.groups = groups
        switch mode ?? (isAnyNamed || !groups.isEmpty ? .implicit : .off) {
        case .off: options.support = .none
        case .implicit: options.support = .implicit
        case .explicit: options.support = .explicit
        case .both: options.support = .implicitAndExplicit
        }
        return options
    }
}

extension PortGroupSettings {
    private static let groupKeys = ["state", "preferred"]

    mutating func readMode(_ value: YAMLValue) throws(Failure) {
        let text = try value.text()
        // YAML's own words for a switch that is off.
        guard let mode = Mode(rawValue: ["no", "false"].contains(text) ? Mode.off.rawValue : text) else {
            throw value.failure(
                "alua cannot be \"\(text)\": \(NearestKey.advice(text, among: Mode.allCases.map(\.rawValue)))")
        }
        self.mode = mode
    }

    mutating func readGroups(_ value: YAMLValue) throws(Failure) {
        for (key, name, group) in try value.entries() {
            guard let number = Self.number(name) else { throw key.failure(Self.numberDefect(name)) }
            guard groups[number] == nil else { throw key.failure("port group \(number) stands here twice") }
            let keys = try group.entries(known: Self.groupKeys)
            var settings = AsymmetricAccessOptions.Group()
            if let state = keys["state"] {
                let word = try state.text()
                guard let known = Self.state(word) else {
                    throw state.failure(
                        "state cannot be \"\(word)\": \(NearestKey.advice(word, among: Self.states.map(\.word)))")
                }
                settings.state = known
            }
            if let preferred = keys["preferred"] {
                switch try preferred.text() {
                case "yes", "on", "true": settings.isPreferred = true
                case "no", "off", "false": settings.isPreferred = false
                case let text: throw preferred.failure("preferred cannot be \"\(text)\": write yes or no")
                }
            }
            groups[number] = settings
        }
    }

    static func readNumber(_ value: YAMLValue) throws(Failure) -> UInt16 {
        let text = try value.text()
        guard let number = number(text) else { throw value.failure(numberDefect(text)) }
        return number
    }

    private static func number(_ text: String) -> UInt16? { UInt16(text).flatMap { $0 > 0 ? $0 : nil } }

    private static func numberDefect(_ text: String) -> String {
        "\"\(text)\" is no port group: write a number from 1 to \(UInt16.max)"
    }

    /// Every group that has a section must be some target's.
    func check(_ targets: [Configuration.Target], _ section: YAMLValue) throws(Failure) {
        let used = Set(targets.map { $0.portGroup ?? Configuration.defaultPortGroup })
        for number in groups.keys.sorted() where !used.contains(number) {
            throw section.failure(
                "port group \(number) is that of no target: give a target port-group: \(number), or take it out")
        }
    }
}
