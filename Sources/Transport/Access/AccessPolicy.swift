// SPDX-License-Identifier: Apache-2.0

/// Where a target, or all behind a portal, is to be found instead (RFC 7143 11.13.5, status 0101h and 0102h).
public struct Redirection: Hashable, Sendable {
    /// As TargetAddress writes them (RFC 7143 13.8): "host[:port][,portal-group-tag]".
    public var addresses: [String]
    public var isPermanent: Bool

    public init(addresses: [String], isPermanent: Bool = false) {
        self.addresses = addresses
        self.isPermanent = isPermanent
    }
}

/// Who may log in to one target, and what they see there.
public struct TargetAccess: Sendable, Equatable {
    public var targetName: String
    public var list = AccessRuleList()
    /// Target portal group tags of the portals that show the target; empty: all.
    public var portalGroupTags: Set<UInt16> = []
    /// Where all who may log in are to go instead.
    public var redirection: Redirection?
    /// For whom no rule says otherwise.
    public var luns: LUNView
    public var authentication = AuthenticationDemand.none

    public init(targetName: String, luns: LUNView = LUNView()) {
        self.targetName = targetName
        self.luns = luns
    }

    public func isShown(atTag tag: UInt16) -> Bool { portalGroupTags.isEmpty || portalGroupTags.contains(tag) }

    public func decision(for visitor: Visitor) -> AccessDecision {
        guard isShown(atTag: visitor.portalGroupTag) else {
            return AccessDecision(isAllowed: false, ground: .otherPortal)
        }
        return list.decision(for: visitor)
    }

    /// What a visitor sees who was let in by `decision`.
    public func luns(by decision: AccessDecision) -> LUNView {
        decision.ruleIndex.flatMap { list.rules[$0].luns } ?? luns
    }

    public func authentication(by decision: AccessDecision) -> AuthenticationDemand {
        decision.ruleIndex.flatMap { list.rules[$0].authentication } ?? authentication
    }

    public func words(for decision: AccessDecision) -> String { list.words(for: decision) }

    /// Every number that somebody sees, with what is behind it: for most, where that differs.
    public var everyUnit: [Int: LUNView.Unit] {
        list.rules.compactMap(\.luns).reduce(luns.units) { $0.merging($1.units) { first, _ in first } }
    }

    /// Every number with each device that somebody finds behind it: ascending, and first what most find there.
    public var everyNumberAndDevice: [(number: Int, device: String)] {
        var devices: [Int: [String]] = [:]
        for view in [luns] + list.rules.compactMap(\.luns) {
            for (number, unit) in view.units where devices[number]?.contains(unit.device) != true {
                devices[number, default: []].append(unit.device)
            }
        }
        return devices.sorted { $0.key < $1.key }.flatMap { number, names in names.map { (number, $0) } }
    }

    /// All devices that anybody can see.
    public var devices: Set<String> {
        Set(([luns] + list.rules.compactMap(\.luns)).flatMap { $0.units.values.map(\.device) })
    }
}

/// Who may do what at this server. A value: asked at login and at discovery, never by a command.
public struct AccessPolicy: Sendable, Equatable {
    /// In the order in which SendTargets lists them.
    public private(set) var targets: [TargetAccess]
    /// Who may ask for the targets.
    public var discovery = AccessRuleList()
    public var discoveryAuthentication = AuthenticationDemand.none
    /// Where all logins that come to a portal are to go instead.
    public var portalRedirections: [PortalIndex: Redirection] = [:]
    private let positions: [String: Int]

    public init(targets: [TargetAccess] = []) {
        self.targets = targets
        positions = Dictionary(targets.enumerated().map { ($1.targetName, $0) }) { first, _ in first }
    }

    public func target(_ name: String) -> TargetAccess? { positions[name].map { targets[$0] } }

    public func decision(for visitor: Visitor, target name: String) -> AccessDecision {
        target(name)?.decision(for: visitor) ?? AccessDecision(isAllowed: false, ground: .unknownTarget)
    }

    public func discoveryDecision(for visitor: Visitor) -> AccessDecision { discovery.decision(for: visitor) }

    /// By what `visitor` must prove who it is; `targetName` nil: for discovery. Nil: there is no such target.
    public func demand(on visitor: Visitor, targetName: String?) -> AuthenticationDemand? {
        guard let targetName else { return discoveryAuthentication }
        return target(targetName).map { $0.authentication(by: $0.decision(for: visitor)) }
    }

    /// The target's own counts more than the portal's.
    public func redirection(for visitor: Visitor, target name: String) -> Redirection? {
        target(name)?.redirection ?? portalRedirections[visitor.portal]
    }
}
