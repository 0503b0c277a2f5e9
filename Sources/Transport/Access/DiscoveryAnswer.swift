// SPDX-License-Identifier: Apache-2.0

package import ISCSI

/// What SendTargets tells one visitor (RFC 7143 appendix C): the targets that it may log in to, each with the portals
/// at which it may. A target that has moved is told where it was: its login says where it is.
package enum DiscoveryAnswer {
    /// `local` is where the peer reached this machine.
    package static func records(
        _ scope: SendTargets.Scope, for visitor: Visitor, policy: AccessPolicy, portals: [ServedPortal],
        local: PortalAddress?
    ) -> [SendTargets.Record] {
        let targets =
            switch scope {
            case .all: policy.targets
            case .target(let name): policy.target(name).map { [$0] } ?? []
            }
        return targets.compactMap { target in
            let addresses = self.portals(of: target, for: visitor, portals, local)
            guard !addresses.isEmpty else { return nil }
            return SendTargets.Record(targetName: target.targetName, portals: addresses)
        }
    }

    private static func portals(
        of target: TargetAccess, for visitor: Visitor, _ portals: [ServedPortal], _ local: PortalAddress?
    ) -> [SendTargets.Portal] {
        var result: [SendTargets.Portal] = []
        for (position, portal) in portals.enumerated() {
            var visitorThere = visitor
            visitorThere.portal = PortalIndex(position)
            visitorThere.portalGroupTag = portal.settings.portalGroupTag
            guard target.decision(for: visitorThere).isAllowed, let address = portal.told(toPeerAt: local) else {
                continue
            }
            let told = SendTargets.Portal(
                address: address.description, portalGroupTag: portal.settings.portalGroupTag)
            if !result.contains(told) { result.append(told) }
        }
        return result
    }
}
