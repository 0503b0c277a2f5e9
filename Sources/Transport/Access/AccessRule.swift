// SPDX-License-Identifier: Apache-2.0

/// One entry of `initiators`: whom it means, and what it grants them.
public struct AccessRule: Sendable, Equatable {
    public enum Verdict: String, Hashable, Sendable {
        case allow
        case deny
    }

    public var name = NamePattern.any
    /// Empty: from everywhere.
    public var addresses: [AddressRange] = []
    /// Target portal group tags of the portals that it is for; empty: all.
    public var portalGroupTags: Set<UInt16> = []
    public var verdict = Verdict.allow
    /// Logical units by number; nil: those of the target.
    public var luns: LUNView?
    /// Who authenticates whom it means; nil: as the target says.
    public var authentication: AuthenticationDemand?
    /// Where it stands: "martlet.yaml:17".
    public var origin: String

    public init(origin: String) { self.origin = origin }

    /// Two rules are the same when they say the same, wherever they stand.
    public static func == (left: AccessRule, right: AccessRule) -> Bool {
        left.name == right.name && left.addresses == right.addresses
            && left.portalGroupTags == right.portalGroupTags && left.verdict == right.verdict
            && left.luns == right.luns && left.authentication == right.authentication
    }

    /// Why a rule is not about a visitor.
    public enum Objection: Hashable, Sendable {
        case name
        case address
        case portalGroup
    }

    /// Nil: the rule is about `visitor`.
    public func objection(to visitor: Visitor) -> Objection? {
        guard name.matches(visitor.initiatorName) else { return .name }
        if !addresses.isEmpty {
            guard let address = visitor.address, addresses.contains(where: { $0.contains(address) }) else {
                return .address
            }
        }
        guard portalGroupTags.isEmpty || portalGroupTags.contains(visitor.portalGroupTag) else { return .portalGroup }
        return nil
    }

    /// Whether `later`, behind this rule, can never be the first that matches. True is certain.
    public func covers(_ later: AccessRule) -> Bool {
        guard name.covers(later.name) else { return false }
        guard
            portalGroupTags.isEmpty
                || !later.portalGroupTags.isEmpty && later.portalGroupTags.isSubset(of: portalGroupTags)
        else { return false }
        guard !addresses.isEmpty else { return true }
        return !later.addresses.isEmpty
            && later.addresses.allSatisfy { theirs in addresses.contains { $0.contains(theirs) } }
    }

    /// `objection` in words, for operators.
    public func words(for objection: Objection, to visitor: Visitor) -> String {
        switch objection {
        case .name: return "the name does not match \(name)"
        case .address:
            let ranges = addresses.map(\.description).joined(separator: ", ")
            guard let address = visitor.address else { return "it asks for an address in \(ranges)" }
            return "\(address) is not in \(ranges)"
        case .portalGroup:
            let tags = portalGroupTags.sorted().map(String.init).joined(separator: ", ")
            return "it is for portal group \(tags), not \(visitor.portalGroupTag)"
        }
    }
}

/// Logical units by number, as somebody is to see them.
public struct LUNView: Hashable, Sendable {
    public struct Unit: Hashable, Sendable {
        /// As the configuration calls the device.
        public var device: String
        public var isReadOnly: Bool

        public init(device: String, isReadOnly: Bool = false) {
            self.device = device
            self.isReadOnly = isReadOnly
        }
    }

    public var units: [Int: Unit]

    public init(_ units: [Int: Unit] = [:]) { self.units = units }
}

/// Rules in order: the first that matches decides.
public struct AccessRuleList: Sendable, Equatable {
    public var rules: [AccessRule] = []
    /// For whom no rule matches. Nil: allowed where there are no rules, denied where there are some.
    public var others: AccessRule.Verdict?

    public init() {}

    /// For whom no rule matches.
    public var verdictForOthers: AccessRule.Verdict { others ?? (rules.isEmpty ? .allow : .deny) }

    public func decision(for visitor: Visitor) -> AccessDecision {
        var passedOver: [AccessRule.Objection] = []
        for (index, rule) in rules.enumerated() {
            guard let objection = rule.objection(to: visitor) else {
                return AccessDecision(
                    isAllowed: rule.verdict == .allow, ground: .rule(index), passedOver: passedOver)
            }
            passedOver.append(objection)
        }
        return AccessDecision(
            isAllowed: verdictForOthers == .allow, ground: .noRuleMatches, passedOver: passedOver)
    }

    /// Rules that an earlier one keeps from ever being asked, with that one.
    public var unreachable: [(rule: AccessRule, behind: AccessRule)] {
        rules.indices.compactMap { index in
            rules[..<index].first { $0.covers(rules[index]) }.map { (rules[index], $0) }
        }
    }

    /// Why `decision` is as it is, for operators.
    public func words(for decision: AccessDecision) -> String {
        switch decision.ground {
        case .rule(let index):
            let rule = rules[index]
            return "\(rule.verdict == .allow ? "allowed" : "denied") by \(rule.origin) (\(rule.name))"
        case .noRuleMatches:
            if rules.isEmpty && others == nil { return "allowed: no rules restrict it" }
            let words = verdictForOthers == .allow ? "allowed" : "denied"
            let why = others == nil ? "where some are named, others may not log in" : "default: \(verdictForOthers)"
            return rules.isEmpty ? "\(words) (\(why))" : "\(words): no rule matches (\(why))"
        case .unknownTarget: return "there is no such target"
        case .otherPortal: return "denied: the target is not shown at this portal"
        }
    }
}

/// Whether somebody may log in, and why.
public struct AccessDecision: Hashable, Sendable {
    public enum Ground: Hashable, Sendable {
        /// The rule at this position is the first that matches.
        case rule(Int)
        case noRuleMatches
        case unknownTarget
        /// The target is not shown at the visitor's portal.
        case otherPortal
    }

    public var isAllowed: Bool
    public var ground: Ground
    /// Why each rule before did not match, in order.
    public var passedOver: [AccessRule.Objection] = []

    /// The rule that decided.
    public var ruleIndex: Int? {
        if case .rule(let index) = ground { index } else { nil }
    }
}
