// SPDX-License-Identifier: Apache-2.0
import Testing
import Transport

@Suite("Access rules")
struct AccessRuleTests {
    static let debian = "iqn.1993-08.org.debian:01:a"
    static let other = "iqn.2026-11.org.example:b"

    static func visitor(_ name: String, _ address: String? = "10.0.0.1", tag: UInt16 = 1) -> Visitor {
        Visitor(
            initiatorName: name, address: address.flatMap { IPAddress($0) }, portal: PortalIndex(Int(tag) - 1),
            portalGroupTag: tag)
    }

    static func rule(
        _ name: String = "*", _ addresses: [String] = [], tags: Set<UInt16> = [],
        _ verdict: AccessRule.Verdict = .allow, line: Int = 1
    ) throws -> AccessRule {
        var rule = AccessRule(origin: "m.yaml:\(line)")
        rule.name = try NamePattern(name)
        rule.addresses = try addresses.map { try AddressRange($0) }
        rule.portalGroupTags = tags
        rule.verdict = verdict
        return rule
    }

    static func list(_ rules: [AccessRule], others: AccessRule.Verdict? = nil) -> AccessRuleList {
        var list = AccessRuleList()
        list.rules = rules
        list.others = others
        return list
    }

    @Test(
        "Without rules all may log in, with some nobody else may, unless it is said otherwise",
        arguments: [
            (false, nil, true), (false, .allow, true), (false, .deny, false),
            (true, nil, false), (true, .allow, true), (true, .deny, false),
        ] as [(Bool, AccessRule.Verdict?, Bool)])
    func others(hasRules: Bool, others: AccessRule.Verdict?, isAllowed: Bool) throws {
        let list = Self.list(hasRules ? [try Self.rule("iqn.1993-08.org.debian:*")] : [], others: others)
        let decision = list.decision(for: Self.visitor(Self.other))
        #expect(decision.isAllowed == isAllowed)
        #expect(decision.ground == .noRuleMatches)
        #expect(decision.passedOver == (hasRules ? [.name] : []))
    }

    @Test("The first rule that matches decides, and those before say why they did not")
    func order() throws {
        let list = Self.list([
            try Self.rule("iqn.2026-11.*", line: 1), try Self.rule("*", ["192.0.2.0/24"], line: 2),
            try Self.rule("*", tags: [2], line: 3), try Self.rule(Self.debian, [], .deny, line: 4),
            try Self.rule("*", line: 5),
        ])
        let denied = list.decision(for: Self.visitor(Self.debian))
        #expect(!denied.isAllowed)
        #expect(denied.ground == .rule(3))
        #expect(denied.passedOver == [.name, .address, .portalGroup])
        #expect(list.decision(for: Self.visitor(Self.debian, tag: 2)).ground == .rule(2))
        #expect(list.decision(for: Self.visitor(Self.debian, "192.0.2.9", tag: 2)).ground == .rule(1))
        #expect(list.decision(for: Self.visitor(Self.other)).ground == .rule(0))
        #expect(list.decision(for: Self.visitor("iqn.1993-08.org.debian:02")).ground == .rule(4))
    }

    @Test("A rule for addresses is about nobody whose address is not known")
    func unknownAddress() throws {
        let rule = try Self.rule("*", ["0.0.0.0/0", "::/0"])
        #expect(rule.objection(to: Self.visitor(Self.debian, nil)) == .address)
        #expect(rule.objection(to: Self.visitor(Self.debian, "::1")) == nil)
        #expect(try Self.rule().objection(to: Self.visitor(Self.debian, nil)) == nil)
    }

    @Test("A rule behind one that covers it can never match, and only such a rule is told")
    func unreachable() throws {
        func isTold(_ first: AccessRule, _ second: AccessRule) -> Bool {
            !Self.list([first, second]).unreachable.isEmpty
        }
        #expect(isTold(try Self.rule(), try Self.rule("iqn.a")))
        #expect(isTold(try Self.rule("iqn.*"), try Self.rule("iqn.a*", ["10.0.0.0/8"], tags: [3])))
        #expect(isTold(try Self.rule("*", ["10.0.0.0/8"]), try Self.rule("*", ["10.1.0.0/16", "10.9.9.9"])))
        #expect(isTold(try Self.rule("*", tags: [1, 2]), try Self.rule("*", tags: [2])))
        #expect(!isTold(try Self.rule("iqn.a*"), try Self.rule("iqn.*")))
        #expect(!isTold(try Self.rule("*", ["10.0.0.0/8"]), try Self.rule("*", ["10.1.0.0/16", "11.0.0.1"])))
        #expect(!isTold(try Self.rule("*", ["10.0.0.0/8"]), try Self.rule("*")))
        #expect(!isTold(try Self.rule("*", tags: [1]), try Self.rule("*", tags: [1, 2])))
        #expect(!isTold(try Self.rule("*", tags: [1]), try Self.rule("*")))
    }

    @Test("What a visitor sees and how it is authenticated is the rule's, and the target's where the rule is silent")
    func grants() throws {
        var narrow = try Self.rule(Self.debian)
        narrow.luns = LUNView([3: .init(device: "b", isReadOnly: true)])
        narrow.authentication = AuthenticationDemand(policy: nil, summary: "CHAP as a")
        var target = TargetAccess(targetName: "iqn.2026-11.a.b:t", luns: LUNView([0: .init(device: "a")]))
        target.list = Self.list([narrow, try Self.rule()])
        let first = target.decision(for: Self.visitor(Self.debian))
        #expect(target.luns(by: first).units == [3: .init(device: "b", isReadOnly: true)])
        #expect(target.authentication(by: first).summary == "CHAP as a")
        let second = target.decision(for: Self.visitor(Self.other))
        #expect(target.luns(by: second).units == [0: .init(device: "a")])
        #expect(target.authentication(by: second).summary == "none")
    }

    @Test("A target that a portal does not show denies all who come there, whatever its rules say")
    func shownAt() throws {
        var target = TargetAccess(targetName: "iqn.2026-11.a.b:t")
        target.portalGroupTags = [2]
        #expect(target.decision(for: Self.visitor(Self.debian)).ground == .otherPortal)
        #expect(target.decision(for: Self.visitor(Self.debian, tag: 2)).isAllowed)
        let policy = AccessPolicy(targets: [target])
        #expect(policy.decision(for: Self.visitor(Self.debian), target: "iqn.x").ground == .unknownTarget)
    }

    @Test("A target's own redirection counts more than its portal's")
    func redirection() {
        let own = Redirection(addresses: ["192.0.2.1:3260"], isPermanent: true)
        let portals = Redirection(addresses: ["192.0.2.2:3260"])
        var moved = TargetAccess(targetName: "moved")
        moved.redirection = own
        var policy = AccessPolicy(targets: [moved, TargetAccess(targetName: "stays")])
        policy.portalRedirections[PortalIndex(1)] = portals
        #expect(policy.redirection(for: Self.visitor(Self.debian), target: "moved") == own)
        #expect(policy.redirection(for: Self.visitor(Self.debian, tag: 2), target: "moved") == own)
        #expect(policy.redirection(for: Self.visitor(Self.debian), target: "stays") == nil)
        #expect(policy.redirection(for: Self.visitor(Self.debian, tag: 2), target: "stays") == portals)
    }
}
