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

    @Test("The zone of an address is this machine's own")
    func zone() {
        let bound = PortalAddress(host: "fe80::1%eth0", port: 3260)
        let portal = ServedPortal(bound: bound, settings: PortalSettings(listen: bound))
        #expect(portal.told(toPeerAt: nil)?.description == "[fe80::1]:3260")
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
