// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// One change of a target's LUNs that an operator asks for by hand. It holds until the configuration file is applied
/// again, or the server ends.
public struct LUNChange: Equatable, Sendable {
    public enum Action: Equatable, Sendable {
        case add(device: String, isReadOnly: Bool)
        case remove
        /// Nil: as it is.
        case set(device: String?, isReadOnly: Bool?)
        /// The size of the device behind it, in bytes.
        case resize(byteCount: UInt64)
    }

    public var target: String
    public var lun: Int
    public var action: Action
    /// The name in the rule whose own LUNs are meant, as it stands there; nil: those of the target.
    public var initiator: String?

    public init(target: String, lun: Int, action: Action, initiator: String? = nil) throws(Failure) {
        guard (0...Configuration.maximumLUN).contains(lun) else {
            throw .usage("there is no LUN \(lun): they are numbered from 0 to \(Configuration.maximumLUN)")
        }
        self.target = target
        self.lun = lun
        self.action = action
        self.initiator = initiator
    }

    /// `configuration` with the change.
    package func applied(to configuration: Configuration) throws(Failure) -> Configuration {
        var configuration = configuration
        let position = try position(in: configuration)
        var access = configuration.targets[position].access
        if let rule = try rulePosition(in: access.list) {
            access.list.rules[rule].luns = try applied(to: access.list.rules[rule].luns ?? LUNView(), configuration)
        } else {
            access.luns = try applied(to: access.luns, configuration)
        }
        configuration.targets[position].access = access
        return configuration
    }

    /// The device behind the LUN that is meant, by its name.
    package func device(in configuration: Configuration) throws(Failure) -> String {
        let access = configuration.targets[try position(in: configuration)].access
        let view = try rulePosition(in: access.list).flatMap { access.list.rules[$0].luns } ?? access.luns
        guard let unit = view.units[lun] else { throw missing(view) }
        return unit.device
    }

    /// The rule whose own LUNs are meant: the only one of that name which has some. Nil: those of the target.
    private func rulePosition(in list: AccessRuleList) throws(Failure) -> Int? {
        guard let initiator else { return nil }
        let named = list.rules.indices.filter { list.rules[$0].name.description == initiator }
        guard !named.isEmpty else {
            let names = list.rules.map(\.name.description)
            throw .usage(
                "\(target) has no rule for \"\(initiator)\": "
                    + (names.isEmpty ? "it has none" : NearestKey.advice(initiator, among: names)))
        }
        let meant = named.filter { list.rules[$0].luns != nil }
        guard let first = meant.first else {
            throw .usage("the rule for \"\(initiator)\" has no LUNs of its own: leave --initiator out")
        }
        guard meant.count == 1 else {
            let places = meant.map { list.rules[$0].origin }.joined(separator: " and ")
            throw .usage(
                "\(target) has \(meant.count) rules for \"\(initiator)\" with LUNs of their own, at \(places): change "
                    + "the one that you mean in the file, and apply it")
        }
        return first
    }

    private func position(in configuration: Configuration) throws(Failure) -> Int {
        guard let position = configuration.targets.firstIndex(where: { $0.name == target }) else {
            throw .usage(
                "there is no target \"\(target)\": \(NearestKey.advice(target, among: configuration.targets.map(\.name)))"
            )
        }
        return position
    }

    private func applied(to view: LUNView, _ configuration: Configuration) throws(Failure) -> LUNView {
        var view = view
        switch action {
        case .add(let device, let isReadOnly):
            if let there = view.units[lun] {
                throw .usage("LUN \(lun) is \(there.device) already: remove it first, or choose another number")
            }
            try check(device, configuration)
            view.units[lun] = LUNView.Unit(device: device, isReadOnly: isReadOnly)
        case .remove:
            guard view.units[lun] != nil else { throw missing(view) }
            guard view.units.count > 1 else {
                throw .usage("LUN \(lun) is the only one: a target keeps at least one")
            }
            view.units[lun] = nil
        case .set(let device, let isReadOnly):
            guard var unit = view.units[lun] else { throw missing(view) }
            if let device {
                try check(device, configuration)
                unit.device = device
            }
            unit.isReadOnly = isReadOnly ?? unit.isReadOnly
            view.units[lun] = unit
        case .resize: break
        }
        return view
    }

    private func missing(_ view: LUNView) -> Failure {
        let numbers = view.units.keys.sorted().map(String.init).joined(separator: ", ")
        return .usage("there is no LUN \(lun) there: there are \(numbers)")
    }

    private func check(_ device: String, _ configuration: Configuration) throws(Failure) {
        let names = configuration.devices.map(\.name)
        guard names.contains(device) else {
            throw .usage("there is no device \"\(device)\": \(NearestKey.advice(device, among: names))")
        }
    }
}

// MARK: - On the way to the server

extension LUNChange {
    init?(query: [String: String]) {
        guard let target = query["target"], let lun = query["lun"].flatMap({ Int($0) }) else { return nil }
        let isReadOnly = query["readonly"].map { $0 == "yes" }
        let action: Action
        switch query["action"] {
        case "add":
            guard let device = query["device"] else { return nil }
            action = .add(device: device, isReadOnly: isReadOnly ?? false)
        case "remove": action = .remove
        case "set": action = .set(device: query["device"], isReadOnly: isReadOnly)
        case "resize":
            guard let byteCount = query["size"].flatMap({ UInt64($0) }) else { return nil }
            action = .resize(byteCount: byteCount)
        default: return nil
        }
        guard let change = try? LUNChange(target: target, lun: lun, action: action, initiator: query["initiator"])
        else { return nil }
        self = change
    }

    var query: [(String, String)] {
        var words = [("target", target), ("lun", "\(lun)")]
        func add(_ isReadOnly: Bool?) {
            if let isReadOnly { words.append(("readonly", isReadOnly ? "yes" : "no")) }
        }
        switch action {
        case .add(let device, let isReadOnly):
            words += [("action", "add"), ("device", device)]
            add(isReadOnly)
        case .remove: words.append(("action", "remove"))
        case .set(let device, let isReadOnly):
            words.append(("action", "set"))
            if let device { words.append(("device", device)) }
            add(isReadOnly)
        case .resize(let byteCount): words += [("action", "resize"), ("size", "\(byteCount)")]
        }
        if let initiator { words.append(("initiator", initiator)) }
        return words
    }
}
