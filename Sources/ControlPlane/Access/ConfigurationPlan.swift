// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// What a server that runs would have to do to follow another configuration: what can be done, and what cannot.
package struct ConfigurationPlan {
    /// One line each.
    package private(set) var steps: [String] = []
    /// What cannot be changed while the server runs, each a sentence.
    package private(set) var refusals: [String] = []

    package init(from old: Configuration, to new: Configuration) {
        compareFixed(old, new)
        compareDevices(old, new)
        compareTargets(old, new)
        if old.discovery != new.discovery { steps.append("~ discovery: who may ask for the targets") }
        if old.discoveryAuth != new.discoveryAuth {
            steps.append("~ discovery: authentication is \(new.discoveryAuth?.summary ?? "none")")
        }
    }

    // MARK: What is fixed

    private mutating func compareFixed(_ old: Configuration, _ new: Configuration) {
        func fix(_ what: String) {
            refusals.append("\(what) cannot change while the server runs: put it back, or stop and start the server")
        }
        if old.portals.map(\.settings) != new.portals.map(\.settings) { fix("portals (listen, advertise, tag)") }
        if old.performance != new.performance { fix("performance") }
        if old.portGroups != new.portGroups { fix("alua and port-groups") }
        if old.limits != new.limits { fix("limits") }
        if old.isns != new.isns { fix("isns") }
        if old.trustedHandlers != new.trustedHandlers { fix("trusted-handlers") }
        for (index, pair) in zip(old.portals, new.portals).enumerated()
        where pair.0.redirection != pair.1.redirection {
            let words = pair.1.redirection?.words ?? "takes logins itself again"
            steps.append("~ portal \(new.portals[index].listen): \(words)")
        }
    }

    // MARK: Devices

    private mutating func compareDevices(_ old: Configuration, _ new: Configuration) {
        let before = old.openDevices
        let after = new.openDevices
        var names = Dictionary(
            before.values.compactMap { device in device.settings.store.map { ($0, device.name) } }
        ) { first, second in min(first, second) }
        for device in new.devices where after[device.name] != nil {
            guard let earlier = before[device.name] else {
                if let store = device.settings.store {
                    if let name = names[store] { refuse(device, openAs: name, isNew: before[name] == nil) }
                    names[store] = names[store] ?? device.name
                }
                steps.append("+ device \(device.name) (\(device.settings.chain)) is opened")
                continue
            }
            guard !earlier.settings.isSame(as: device.settings) else { continue }
            refusals.append(
                "\(device.origin): the device \(device.name) is open with other attributes, which cannot change while "
                    + "it is: give it another name, put them back (martlet lun resize changes a size), or stop and "
                    + "start the server")
        }
        for device in old.devices where before[device.name] != nil && after[device.name] == nil {
            steps.append("- device \(device.name) (\(device.settings.chain)) is closed when its commands have ended")
        }
    }

    /// The store of a device has another device's name already.
    private mutating func refuse(_ device: Configuration.Device, openAs name: String, isNew: Bool) {
        let store = "\(device.origin): the store \(device.settings.backstore) of the device \(device.name)"
        guard !isNew else {
            refusals.append("\(store) is that of the device \(name), too, and is opened once: leave one of them out")
            return
        }
        refusals.append(
            "\(store) is open as the device \(name), and is not opened twice: keep that name, or take \(name) out of "
                + "all targets by a change of its own before this one")
    }

    // MARK: Targets

    private mutating func compareTargets(_ old: Configuration, _ new: Configuration) {
        let before = Dictionary(old.targets.map { ($0.name, $0) }) { first, _ in first }
        let after = Set(new.targets.map(\.name))
        for target in new.targets {
            guard let earlier = before[target.name] else {
                steps.append("+ target \(target.name)")
                continue
            }
            compare(earlier, target, tags: new.portalGroupTags)
        }
        for target in old.targets where !after.contains(target.name) {
            steps.append("- target \(target.name): its sessions end")
        }
    }

    private mutating func compare(_ old: Configuration.Target, _ new: Configuration.Target, tags: [UInt16]) {
        let name = new.name
        if old.portGroup != new.portGroup {
            refusals.append("the port-group of \(name) cannot change while the server runs: put it back")
        }
        if let tag = tags.first(where: { new.access.isShown(atTag: $0) && !old.access.isShown(atTag: $0) }) {
            refusals.append(
                "\(name) has no target port for portal group \(tag), and cannot get one while the server runs: take "
                    + "the tag out, or stop and start the server")
        } else if old.access.portalGroupTags != new.access.portalGroupTags {
            steps.append("~ target \(name): the portals that show it")
        }
        if old.access.redirection != new.access.redirection {
            steps.append("~ target \(name): \(new.access.redirection?.words ?? "takes logins itself again")")
        }
        if old.auth != new.auth || old.ruleAuths != new.ruleAuths {
            steps.append("~ target \(name): authentication of new logins")
        }
        steps += Self.changes(old.access.luns, new.access.luns).map { "~ target \(name): \($0)" }
        compareRules(old.access.list, new.access.list, name)
    }

    private mutating func compareRules(_ old: AccessRuleList, _ new: AccessRuleList, _ name: String) {
        if old.verdictForOthers != new.verdictForOthers {
            steps.append(
                "~ target \(name): whom no rule means is \(new.verdictForOthers == .allow ? "allowed" : "denied")")
        }
        let isSameButForLUNs = old.rules.map(\.withoutLUNs) == new.rules.map(\.withoutLUNs)
        guard isSameButForLUNs else {
            for rule in new.rules where !old.rules.contains(rule) {
                steps.append(
                    "~ target \(name): the rule at \(rule.origin) (\(rule.name), \(rule.verdict)) is new or another")
            }
            for rule in old.rules where !new.rules.contains(rule) {
                steps.append("~ target \(name): the rule \(rule.name) (\(rule.verdict)) is gone or another")
            }
            if old.rules.count == new.rules.count, old.rules != new.rules, old.rules.allSatisfy(new.rules.contains) {
                steps.append("~ target \(name): the order of its rules")
            }
            return
        }
        for (earlier, rule) in zip(old.rules, new.rules) where earlier.luns != rule.luns {
            guard let before = earlier.luns, let after = rule.luns else {
                steps.append(
                    "~ target \(name), \(rule.name): "
                        + (rule.luns == nil ? "sees the target's LUNs" : "has LUNs of its own"))
                continue
            }
            steps += Self.changes(before, after).map { "~ target \(name), \(rule.name): \($0)" }
        }
    }

    private static func changes(_ old: LUNView, _ new: LUNView) -> [String] {
        Set(old.units.keys).union(new.units.keys).sorted().compactMap { number in
            switch (old.units[number], new.units[number]) {
            case (let before?, let after?) where before == after: nil
            case (let before?, let after?) where before.device == after.device:
                "LUN \(number) (\(after.device)) \(after.isReadOnly ? "can only be read" : "can be written again")"
            case (let before?, let after?): "LUN \(number) is \(after.words) instead of \(before.words)"
            case (let before?, nil): "LUN \(number) (\(before.device)) is removed"
            case (nil, let after?): "LUN \(number) (\(after.words)) is added"
            case (nil, nil): nil
            }
        }
    }
}

extension DeviceSettings {
    /// A size that is not said is the store's own, whatever it was set to.
    fileprivate func isSame(as other: DeviceSettings) -> Bool {
        var (left, right) = (self, other)
        if left.byteCount == nil || right.byteCount == nil { (left.byteCount, right.byteCount) = (nil, nil) }
        return left == right
    }
}

extension LUNView.Unit {
    fileprivate var words: String { isReadOnly ? "\(device), read-only" : device }
}

extension Redirection {
    fileprivate var words: String {
        "sends logins to \(addresses.joined(separator: ", ")) \(isPermanent ? "for good" : "for now")"
    }
}

extension AccessRule {
    fileprivate var withoutLUNs: AccessRule {
        var rule = self
        rule.luns = nil
        return rule
    }
}

extension Configuration {
    /// Those that are open, by name.
    fileprivate var openDevices: [String: Device] {
        let used = usedDevices
        return Dictionary(devices.filter { used.contains($0.name) }.map { ($0.name, $0) }) { first, _ in first }
    }
}
