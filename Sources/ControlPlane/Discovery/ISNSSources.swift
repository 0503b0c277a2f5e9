// SPDX-License-Identifier: Apache-2.0

internal import ISNS
package import Transport

/// What the server knows of itself, before it is known by which address it reaches the name server.
package struct ISNSSources: Equatable, Sendable {
    package struct Portal: Equatable, Sendable {
        /// As bound, with its real port.
        package var bound: PortalAddress
        /// What initiators are told instead.
        package var advertised: PortalAddress?
        package var groupTag: UInt16

        package init(bound: PortalAddress, advertised: PortalAddress? = nil, groupTag: UInt16 = 1) {
            self.bound = bound
            self.advertised = advertised
            self.groupTag = groupTag
        }
    }

    package var targets: [String]
    package var portals: [Portal]
    /// Portal groups of the targets that are not on all portals.
    package var portalGroupTags: [String: Set<UInt16>]

    package init(targets: [String], portals: [Portal], portalGroupTags: [String: Set<UInt16>] = [:]) {
        self.targets = targets
        self.portalGroupTags = portalGroupTags
        self.portals = portals
    }

    /// A portal as initiators are to find it; nil when they cannot: a wildcard of another family, an address of one link,
    /// or loopback with a name server elsewhere. `local` is our end of the connection to the name server at `server`.
    private static func address(_ portal: Portal, local: String, server: PortalAddress) -> PortalAddress? {
        var address = portal.advertised ?? portal.bound
        if address.isWildcard {
            guard address.isIPv6 == local.contains(":") else { return nil }
            address = PortalAddress(host: local, port: address.port)
        }
        if portal.advertised == nil, address.isIPv6LinkLocal { return nil }
        return address.isLoopback && !server.isLoopback ? nil : address
    }

    /// Where notifications can reach us: the first portal that is told by the address that it has.
    func notificationHost(local: String, server: PortalAddress) -> String? {
        portals.lazy.filter { $0.advertised == nil }
            .compactMap { Self.address($0, local: local, server: server)?.host }.first
    }

    func registration(
        _ settings: ISNSSettings, entity: String, local: String, listener: (host: String, port: UInt16)?
    ) -> ISNSRegistration {
        var seen: Set<PortalAddress> = []
        let portals = portals.compactMap { portal -> ISNSPortal? in
            guard let address = Self.address(portal, local: local, server: settings.server),
                seen.insert(address).inserted, let bytes = InternetAddress(address)?.bytes
            else { return nil }
            let isReachable = portal.advertised == nil && address.host == listener?.host
            return ISNSPortal(
                address: bytes, port: address.port, groupTag: portal.groupTag,
                notificationPort: isReachable ? listener?.port : nil)
        }
        return ISNSRegistration(
            entity: entity, targets: targets, portals: portals, portalGroupTags: portalGroupTags,
            periodSeconds: settings.periodSeconds, wantsChanges: settings.wantsChanges,
            inquirySeconds: settings.inquirySeconds)
    }
}
