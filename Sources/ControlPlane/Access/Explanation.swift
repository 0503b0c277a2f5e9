// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// Answers what an initiator sees, from the very rules that logins are decided by.
struct Explanation {
    let policy: AccessPolicy
    /// With their real ports.
    let portals: [ServedPortal]
    /// Devices that nobody can write to.
    let readOnlyDevices: Set<String>

    func report(_ question: ExplainQuestion) throws(Failure) -> ExplainReport {
        var report = ExplainReport()
        report.initiator = question.initiatorName
        report.address = question.address?.description
        let visitors = try visitors(question)
        for (portal, visitor) in visitors {
            report.discovery.merge(discovery(visitor), portal)
        }
        for target in policy.targets {
            var here: [ExplainReport.Target] = []
            for (portal, visitor) in visitors { here.merge(explain(target, visitor, visitors.map(\.1)), portal) }
            report.targets += here
        }
        return report
    }

    /// The initiator at each portal in question, with the portal's words.
    private func visitors(_ question: ExplainQuestion) throws(Failure) -> [(String, Visitor)] {
        let all = portals.enumerated().filter { _, portal in
            question.portal == nil || question.portal == portal.bound || question.portal == portal.settings.listen
                || question.portal == portal.settings.advertise
        }
        guard !all.isEmpty else {
            let known = portals.map(\.bound.description).joined(separator: ", ")
            throw .usage("there is no portal \(question.portal?.description ?? ""): the portals are \(known)")
        }
        return all.map { position, portal in
            let visitor = Visitor(
                initiatorName: question.initiatorName, address: question.address, portal: PortalIndex(position),
                portalGroupTag: portal.settings.portalGroupTag)
            return ("\(portal.bound),\(portal.settings.portalGroupTag)", visitor)
        }
    }

    private func discovery(_ visitor: Visitor) -> ExplainReport.Discovery {
        let decision = policy.discoveryDecision(for: visitor)
        var result = ExplainReport.Discovery()
        result.isAllowed = decision.isAllowed
        result.reason = policy.discovery.words(for: decision)
        result.passedOver = passedOver(policy.discovery, decision, visitor)
        result.authentication = policy.discoveryAuthentication.summary
        return result
    }

    /// `visitors`: the initiator at every portal in question, where it may ask for the targets.
    private func explain(
        _ target: TargetAccess, _ visitor: Visitor, _ visitors: [Visitor]
    ) -> ExplainReport.Target {
        let decision = target.decision(for: visitor)
        var result = ExplainReport.Target()
        result.target = target.targetName
        result.mayLogIn = decision.isAllowed
        result.isSeen = decision.isAllowed && visitors.contains { isTold(portals[visitor.portal.position], $0) }
        result.reason = target.words(for: decision)
        result.rule = decision.ruleIndex.map { target.list.rules[$0].origin }
        result.passedOver = passedOver(target.list, decision, visitor)
        result.authentication = target.authentication(by: decision).summary
        guard decision.isAllowed else { return result }
        if let redirection = policy.redirection(for: visitor, target: target.targetName) {
            result.redirectedTo = redirection.addresses
            result.isRedirectedForGood = redirection.isPermanent
        }
        let source = decision.ruleIndex.flatMap { index in
            target.list.rules[index].luns.map { _ in target.list.rules[index].origin }
        }
        result.luns = target.luns(by: decision).units.sorted { $0.key < $1.key }.map { number, unit in
            lun(number, unit, source: source ?? "the target's LUNs")
        }
        return result
    }

    /// Whether SendTargets tells `visitor` of a portal: it asks where it comes in, and is told of all portals.
    private func isTold(_ portal: ServedPortal, _ visitor: Visitor) -> Bool {
        policy.discoveryDecision(for: visitor).isAllowed && portal.told(toPeerAt: local(visitor)) != nil
    }

    /// Where `visitor` reaches this machine; at a wildcard portal some address of its family.
    private func local(_ visitor: Visitor) -> PortalAddress {
        let bound = portals[visitor.portal.position].bound
        guard bound.isWildcard else { return bound }
        let isHere = visitor.address.map { PortalAddress(host: "\($0)", port: 0).isLoopback } ?? false
        // Addresses for documentation (RFC 5737, RFC 3849): one that is not loopback is like another.
        let host = bound.isIPv6 ? (isHere ? "::1" : "2001:db8::1") : (isHere ? "127.0.0.1" : "192.0.2.1")
        return PortalAddress(host: host, port: bound.port)
    }

    private func lun(_ number: Int, _ unit: LUNView.Unit, source: String) -> ExplainReport.LUN {
        var lun = ExplainReport.LUN()
        lun.lun = number
        lun.device = unit.device
        lun.isReadOnly = unit.isReadOnly || readOnlyDevices.contains(unit.device)
        lun.reason = source
        if unit.isReadOnly {
            lun.reason += ": read-only there"
        } else if lun.isReadOnly {
            lun.reason += "; the device can only be read"
        }
        return lun
    }

    private func passedOver(
        _ list: AccessRuleList, _ decision: AccessDecision, _ visitor: Visitor
    ) -> [ExplainReport.PassedOver] {
        zip(list.rules, decision.passedOver).map { rule, objection in
            var passed = ExplainReport.PassedOver()
            passed.rule = rule.origin
            passed.reason = rule.words(for: objection, to: visitor)
            return passed
        }
    }
}

extension [ExplainReport.Target] {
    /// Portals where the same holds are told together.
    fileprivate mutating func merge(_ target: ExplainReport.Target, _ portal: String) {
        if let index = firstIndex(where: { each in
            var same = each
            same.portals = []
            return same == target
        }) {
            self[index].portals.append(portal)
        } else {
            var target = target
            target.portals = [portal]
            append(target)
        }
    }
}

extension [ExplainReport.Discovery] {
    fileprivate mutating func merge(_ discovery: ExplainReport.Discovery, _ portal: String) {
        if let index = firstIndex(where: { each in
            var same = each
            same.portals = []
            return same == discovery
        }) {
            self[index].portals.append(portal)
        } else {
            var discovery = discovery
            discovery.portals = [portal]
            append(discovery)
        }
    }
}

extension ConfigurationFile {
    /// What `martlet explain` answers of a file that nobody serves. No secret is read.
    public static func explain(_ path: String, _ question: ExplainQuestion) throws(Failure) -> ExplainReport {
        var configuration = try read(path)
        if configuration.portals.isEmpty { configuration.portals = [.init(listen: Configuration.defaultPortal)] }
        return try Explanation(
            policy: configuration.policy(nil),
            portals: configuration.portals.map { ServedPortal(bound: $0.listen, settings: $0.settings) },
            readOnlyDevices: Set(configuration.devices.filter(\.settings.isReadOnly).map(\.name))
        ).report(question)
    }
}
