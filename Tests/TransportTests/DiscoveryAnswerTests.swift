// SPDX-License-Identifier: Apache-2.0
import ISCSI
import Testing
import Transport

@Suite("The answer to SendTargets")
struct DiscoveryAnswerTests {
    private static func portal(_ bound: String, tag: UInt16 = 1, advertise: String? = nil) -> ServedPortal {
        let address = PortalAddress(bound)!
        return ServedPortal(
            bound: address,
            settings: PortalSettings(
                listen: address, advertise: advertise.flatMap { PortalAddress($0) }, portalGroupTag: tag))
    }

    @Test(
        "A portal is told where the peer can reach it, and never as a wildcard or with a zone",
        arguments: [
            ("192.0.2.1:3260", nil, "192.0.2.9:3260", "192.0.2.1:3260"),
            ("192.0.2.1:3260", "203.0.113.1:4000", "192.0.2.9:3260", "203.0.113.1:4000"),
            ("0.0.0.0:3260", nil, "192.0.2.9:3260", "192.0.2.9:3260"),
            ("0.0.0.0:3261", nil, "192.0.2.9:3260", "192.0.2.9:3261"),
            ("0.0.0.0:3260", "203.0.113.1", "[::1]:3260", "203.0.113.1:3260"),
            ("0.0.0.0:3260", nil, "[::1]:3260", nil), ("[::]:3260", nil, "192.0.2.9:3260", nil),
            ("[::]:3260", nil, "[2001:db8::1]:3260", "[2001:db8::1]:3260"), ("0.0.0.0:3260", nil, nil, nil),
        ] as [(String, String?, String?, String?)])
    func told(bound: String, advertise: String?, local: String?, told: String?) {
        let portal = Self.portal(bound, advertise: advertise)
        #expect(portal.told(toPeerAt: local.flatMap { PortalAddress($0) })?.description == told)
    }

    @Test(
        "Addresses of this machine, and of one link, are told to those who can use them",
        arguments: [
            ("127.0.0.1", "127.0.0.1", "127.0.0.1:3260"), ("127.0.0.2", "127.0.0.1", "127.0.0.2:3260"),
            ("::1", "127.0.0.1", "[::1]:3260"), ("192.0.2.1", "127.0.0.1", "192.0.2.1:3260"),
            ("127.0.0.1", "192.0.2.1", nil), ("::1", "2001:db8::1", nil), ("::1", "192.0.2.1", nil),
            ("127.0.0.1", "fe80::1%eth0", nil), ("2001:db8::1", "192.0.2.1", "[2001:db8::1]:3260"),
            // Its zone means something on this machine only: who has come by it knows another.
            ("fe80::1%eth0", "fe80::1%eth0", "[fe80::1]:3260"), ("febf::1%eth0", "fe80::1%eth0", nil),
            ("fe80::1%eth1", "fe80::1%eth0", nil), ("fe80::2%eth0", "fe80::1%eth0", nil),
            ("fe80::1%eth0", "2001:db8::1", nil), ("fe80::1%eth0", "::1", nil), ("fe80::1%eth0", "192.0.2.1", nil),
            ("fec0::1", "192.0.2.1", "[fec0::1]:3260"), ("::", "fe80::1%eth0", "[fe80::1]:3260"),
        ] as [(String, String, String?)])
    func reach(bound: String, local: String, told: String?) {
        let bound = PortalAddress(host: bound, port: 3260)
        let portal = ServedPortal(bound: bound, settings: PortalSettings(listen: bound))
        #expect(portal.told(toPeerAt: PortalAddress(host: local, port: 3260))?.description == told)
    }

    @Test("A target with portals that the visitor cannot reach is told with the others, or not at all")
    func unreachablePortals() {
        let policy = AccessPolicy(targets: [TargetAccess(targetName: Self.names.open)])
        func told(_ portals: [ServedPortal]) -> [[String]] {
            DiscoveryAnswer.records(
                .all, for: AccessRuleTests.visitor(AccessRuleTests.other), policy: policy, portals: portals,
                local: PortalAddress("192.0.2.1:3260")
            ).map { $0.portals.map(\.address) }
        }
        let inner = [Self.portal("127.0.0.1:3260"), Self.portal("[::1]:3260")]
        #expect(told(inner + [Self.portal("192.0.2.1:3260")]) == [["192.0.2.1:3260"]])
        #expect(told(inner) == [])
        #expect(told([Self.portal("127.0.0.1:3260", advertise: "192.0.2.7:860")]) == [["192.0.2.7:860"]])
    }

    private static let names = (
        open: "iqn.a:open", closed: "iqn.a:closed", second: "iqn.a:second", inner: "iqn.a:inner"
    )

    /// An open target, one for Debian hosts, one at the portals of group 2 alone, one for addresses in 10/8 at group 1.
    private static func policy() throws -> AccessPolicy {
        var closed = TargetAccess(targetName: names.closed)
        closed.list.rules = [try AccessRuleTests.rule("iqn.1993-08.org.debian:*")]
        var second = TargetAccess(targetName: names.second)
        second.portalGroupTags = [2]
        var inner = TargetAccess(targetName: names.inner)
        inner.list.rules = [try AccessRuleTests.rule("*", ["10.0.0.0/8"], tags: [1])]
        return AccessPolicy(targets: [TargetAccess(targetName: names.open), closed, second, inner])
    }

    private static func answer(_ scope: SendTargets.Scope, _ visitor: Visitor) throws -> [String] {
        let portals = [portal("192.0.2.1:3260"), portal("192.0.2.2:3260"), portal("[2001:db8::1]:3260", tag: 2)]
        let records = DiscoveryAnswer.records(
            scope, for: visitor, policy: try policy(), portals: portals, local: PortalAddress("192.0.2.1:3260"))
        return records.map { record in
            "\(record.targetName) "
                + record.portals.map { "\($0.address),\($0.portalGroupTag)" }.joined(separator: " ")
        }
    }

    private static let first = "192.0.2.1:3260,1 192.0.2.2:3260,1"
    private static let second = "[2001:db8::1]:3260,2"

    @Test("Only targets and portals that the visitor may use are told, each portal with its own tag")
    func records() throws {
        let open = "\(Self.names.open) \(Self.first) \(Self.second)"
        let closed = "\(Self.names.closed) \(Self.first) \(Self.second)"
        let second = "\(Self.names.second) \(Self.second)"
        let inner = "\(Self.names.inner) \(Self.first)"
        let debian = AccessRuleTests.debian
        #expect(try Self.answer(.all, AccessRuleTests.visitor(debian)) == [open, closed, second, inner])
        #expect(try Self.answer(.all, AccessRuleTests.visitor(debian, "192.0.2.9", tag: 2)) == [open, closed, second])
        #expect(try Self.answer(.all, AccessRuleTests.visitor(AccessRuleTests.other, "::1")) == [open, second])
    }

    @Test("One target is told under the same rules")
    func oneTarget() throws {
        let stranger = AccessRuleTests.visitor(AccessRuleTests.other, "192.0.2.9")
        #expect(try Self.answer(.target(Self.names.second), stranger) == ["\(Self.names.second) \(Self.second)"])
        #expect(try Self.answer(.target(Self.names.closed), stranger) == [])
        #expect(try Self.answer(.target("iqn.a:nowhere"), stranger) == [])
    }
}
