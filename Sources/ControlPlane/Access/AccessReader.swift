// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// Reads who may log in: `initiators`, `default`, `portals`, `auth` and `redirect`, of a target, and of discovery.
struct AccessReader {
    let devices: [Configuration.Device]
    let portals: [Configuration.Portal]
    /// By the command line: they are not those that the file has.
    let portalsAreReplaced: Bool
    /// What holds where a target does not say.
    var others: AccessRule.Verdict?
    /// What is legal, and probably not meant.
    private(set) var warnings: [String] = []

    private static let keys = ["initiators", "default"]
    static let targetKeys = keys + ["auth", "portals", "redirect"]
    private static let ruleKeys = ["name", "addresses", "portals", "deny"]
    private static let targetRuleKeys = ruleKeys + ["luns", "auth"]

    init(devices: [Configuration.Device], portals: [Configuration.Portal], portalsAreReplaced: Bool) {
        self.devices = devices
        self.portals = portals
        self.portalsAreReplaced = portalsAreReplaced
    }

    /// What `keys` of the target at `place` say of access; its LUNs are there already.
    mutating func readTarget(
        _ keys: [String: YAMLValue], into target: inout Configuration.Target, place: YAMLValue
    ) throws(Failure) {
        target.access.list = try readList(keys, ruleKeys: Self.targetRuleKeys, place: place)
        for (index, value) in try (keys["initiators"]?.list() ?? []).enumerated() {
            guard let auth = try value.entries(known: Self.targetRuleKeys)["auth"] else { continue }
            target.ruleAuths[index] = try AuthenticationSettings.read(auth)
        }
        if let tags = keys["portals"] { target.access.portalGroupTags = try readTags(tags) }
        if let redirect = keys["redirect"] {
            let redirection = try RedirectionReader.read(redirect)
            try RedirectionReader.check(redirection, redirect, portals: portals)
            target.access.redirection = redirection
        }
    }

    /// The section `discovery`.
    mutating func readDiscovery(_ value: YAMLValue) throws(Failure) -> AccessRuleList {
        try readList(try value.entries(known: Self.keys), ruleKeys: Self.ruleKeys, place: value)
    }

    static func readVerdict(_ value: YAMLValue) throws(Failure) -> AccessRule.Verdict {
        let text = try value.text()
        guard let verdict = AccessRule.Verdict(rawValue: text) else {
            throw value.failure("\(value.path) cannot be \"\(text)\": write allow or deny")
        }
        return verdict
    }

    // MARK: Rules

    private mutating func readList(
        _ keys: [String: YAMLValue], ruleKeys: [String], place: YAMLValue
    ) throws(Failure) -> AccessRuleList {
        var list = AccessRuleList()
        list.others = try keys["default"].map(Self.readVerdict) ?? others
        for value in try keys["initiators"]?.list() ?? [] { list.rules.append(try readRule(value, known: ruleKeys)) }
        for (rule, earlier) in list.unreachable {
            warnings.append(
                "\(rule.origin): this rule can never match, because \(earlier.origin) (\(earlier.name)) matches all "
                    + "that it does: put it before that one, or take it out")
        }
        if list.verdictForOthers == .deny, !list.rules.contains(where: { $0.verdict == .allow }) {
            warnings.append(
                "\(keys["initiators"]?.place ?? place.place): nobody may log in: add a rule that allows somebody, or "
                    + "default: allow")
        }
        return list
    }

    private mutating func readRule(_ value: YAMLValue, known: [String]) throws(Failure) -> AccessRule {
        let keys = try value.entries(known: known)
        guard keys["name"] != nil || keys["addresses"] != nil || keys["portals"] != nil else {
            throw value.failure(
                "this entry says nothing of whom it means: give it a name, such as name: \"iqn.1993-08.org.debian:*\", "
                    + "addresses or portals")
        }
        var rule = AccessRule(origin: value.place)
        if let name = keys["name"] { rule.name = try Self.readPattern(name) }
        for each in try keys["addresses"]?.list() ?? [] { rule.addresses.append(try Self.readRange(each)) }
        if let addresses = keys["addresses"], rule.addresses.isEmpty {
            throw addresses.failure("addresses names none: name one, or leave it out")
        }
        if let tags = keys["portals"] { rule.portalGroupTags = try readTags(tags) }
        if try keys["deny"]?.truth() ?? false {
            for name in ["luns", "auth"] {
                guard let useless = keys[name] else { continue }
                throw useless.failure("whoever is denied is granted nothing: take \(name) out, or deny")
            }
            rule.verdict = .deny
        }
        if let luns = keys["luns"] {
            rule.luns = try LUNViewReader(devices: devices).read(luns)
            guard rule.luns?.units.isEmpty == false else {
                throw luns.failure("this initiator would see no LUN: name one, or write deny: yes")
            }
        }
        return rule
    }

    private static func readPattern(_ value: YAMLValue) throws(Failure) -> NamePattern {
        let text = try value.text()
        do throws(NamePattern.Defect) {
            return try NamePattern(text)
        } catch {
            throw value.failure("the initiator name \"\(text)\" \(words(for: error))")
        }
    }

    private static func words(for defect: NamePattern.Defect) -> String {
        switch defect {
        case .empty: "is empty: write a name, or * for all"
        case .tooLong(let maximum): "is longer than the \(maximum) bytes that an iSCSI name may have: shorten it"
        case .badCharacter(let character):
            "holds \"\(character)\", which stands in no iSCSI name: use letters, digits, dash, dot and colon, and the "
                + "wildcards * and ?"
        case .noName:
            "can match no iSCSI name: they begin with iqn., eui. or naa., such as iqn.1993-08.org.debian:*"
        }
    }

    private static func readRange(_ value: YAMLValue) throws(Failure) -> AddressRange {
        let text = try value.text()
        do throws(AddressRange.Defect) {
            return try AddressRange(text)
        } catch {
            switch error {
            case .noAddress:
                throw value.failure(
                    "\"\(text)\" is no address: write one such as 192.0.2.7 or 2001:db8::7, or a range such as "
                        + "10.0.0.0/8")
            case .badLength(let minimum, let maximum):
                throw value.failure("\"\(text)\" needs a number from \(minimum) to \(maximum) after its slash")
            case .hostBits(let meant):
                throw value.failure(
                    "\"\(text)\" has bits set behind its prefix: write \(meant), or the prefix that you mean")
            }
        }
    }

    private func readTags(_ value: YAMLValue) throws(Failure) -> Set<UInt16> {
        var tags: Set<UInt16> = []
        let known = Set(portals.map(\.settings.portalGroupTag))
        for each in try value.list() {
            let text = try each.text()
            guard let tag = UInt16(text), known.contains(tag) else {
                let words = known.sorted().map(String.init).joined(separator: ", ")
                throw each.failure(
                    portalsAreReplaced
                        ? "\"\(text)\" is the tag of no portal: those of --portal, which take the place of the "
                            + "file's, have \(words): leave --portal out, or take the tag out"
                        : "\"\(text)\" is the tag of no portal: the portals have \(words)")
            }
            tags.insert(tag)
        }
        guard !tags.isEmpty else { throw value.failure("\(value.path) names no portal: name a tag, or leave it out") }
        return tags
    }
}
