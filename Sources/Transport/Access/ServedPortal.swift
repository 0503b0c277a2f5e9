// SPDX-License-Identifier: Apache-2.0

/// One portal as the configuration has it: where it listens, and what initiators are told of it.
public struct PortalSettings: Hashable, Sendable {
    public var listen: PortalAddress
    /// What SendTargets tells instead, for initiators behind an address translation; nil: the real address.
    public var advertise: PortalAddress?
    /// Target portal group tag (RFC 7143 13.9).
    public var portalGroupTag: UInt16

    public static let defaultPortalGroupTag: UInt16 = 1

    public init(
        listen: PortalAddress, advertise: PortalAddress? = nil, portalGroupTag: UInt16 = defaultPortalGroupTag
    ) {
        self.listen = listen
        self.advertise = advertise
        self.portalGroupTag = portalGroupTag
    }
}

/// A portal at work.
package struct ServedPortal: Sendable {
    /// With its real port.
    package let bound: PortalAddress
    package let settings: PortalSettings

    package init(bound: PortalAddress, settings: PortalSettings) {
        self.bound = bound
        self.settings = settings
    }

    /// What SendTargets tells a peer that reached this machine at `local`: never a wildcard address, never a zone,
    /// which means something on one machine only. Nil: there is nothing that the peer could use.
    package func told(toPeerAt local: PortalAddress?) -> PortalAddress? {
        if let advertised = settings.advertise { return advertised }
        guard bound.isWildcard else { return isInReach(ofPeerAt: local) ? Self.withoutZone(bound) : nil }
        guard let local, local.isIPv6 == bound.isIPv6, !local.isWildcard else { return nil }
        return Self.withoutZone(PortalAddress(host: local.host, port: bound.port))
    }

    /// A loopback address is for those who are on this machine. A link-local one is for those on its link, and they
    /// alone know by which zone they reach it: who has just done so.
    private func isInReach(ofPeerAt local: PortalAddress?) -> Bool {
        guard let local else { return true }
        if bound.isLoopback { return local.isLoopback }
        return !bound.isIPv6LinkLocal || bound.host == local.host
    }

    private static func withoutZone(_ address: PortalAddress) -> PortalAddress {
        PortalAddress(host: String(address.host.prefix { $0 != "%" }), port: address.port)
    }
}
