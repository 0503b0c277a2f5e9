// SPDX-License-Identifier: Apache-2.0

/// A portal as it is registered: the address that initiators reach, never a wildcard.
public struct ISNSPortal: Equatable, Sendable {
    /// 16 bytes; an IPv4 address is an IPv4-mapped IPv6 address (RFC 4171 6.3.1).
    public var address: [UInt8]
    /// TCP.
    public var port: UInt16
    public var groupTag: UInt16
    /// The TCP port, at the same address, where we accept the server's SCN and ESI messages; nil: none.
    public var notificationPort: UInt16?

    public init(address: [UInt8], port: UInt16, groupTag: UInt16, notificationPort: UInt16? = nil) {
        self.address = address
        self.port = port
        self.groupTag = groupTag
        self.notificationPort = notificationPort
    }
}

/// What a target has to tell a name server of itself: one Network Entity with its Portals, Storage Nodes and Portal
/// Groups.
public struct ISNSRegistration: Equatable, Sendable {
    public var entity: String
    /// Names of targets, in order. The first of them is the Source of all requests.
    public var targets: [String]
    public var portals: [ISNSPortal]
    /// Portal groups of the targets that are not on all portals.
    public var portalGroupTags: [String: Set<UInt16>]
    /// Seconds; asked for, the server may grant another (RFC 4171 6.2.6).
    public var periodSeconds: UInt32
    /// Ask for State Change Notifications.
    public var wantsChanges: Bool
    /// Seconds between Entity Status Inquiries that the server is asked for; nil: none.
    public var inquirySeconds: UInt32?

    public init(
        entity: String, targets: [String], portals: [ISNSPortal], portalGroupTags: [String: Set<UInt16>] = [:],
        periodSeconds: UInt32 = 300, wantsChanges: Bool = true, inquirySeconds: UInt32? = nil
    ) {
        self.entity = entity
        self.targets = targets
        self.portals = portals
        self.portalGroupTags = portalGroupTags
        self.periodSeconds = periodSeconds
        self.wantsChanges = wantsChanges
        self.inquirySeconds = inquirySeconds
    }

    /// Entity Protocol: iSCSI (6.2.2). iSCSI Node Type: target (6.4.2).
    private static let iscsiProtocol: UInt32 = 2
    private static let targetNode: UInt32 = 1

    /// A target cares for what happens to itself and to initiators. Nothing that a management node alone may ask for.
    public static let changesOfInterest: ISNSChanges = [
        .initiatorAndSelfOnly, .objectRemoved, .objectAdded, .objectUpdated,
    ]

    private var source: [ISNSAttribute] {
        targets.prefix(1).map { ISNSAttribute(tag: ISNSTag.iscsiName, text: $0) }
    }

    private var key: ISNSAttribute { ISNSAttribute(tag: ISNSTag.entityIdentifier, text: entity) }

    /// DevAttrReg (5.6.5.1): the entity, its portals, then each target with its portal groups. It takes the place of
    /// whatever the entity had registered before, or with `replaces` false refreshes it.
    public func registerRequest(transaction: UInt16, replaces: Bool) -> ISNSMessage {
        var attributes = source + [key, .delimiter, key]
        attributes.append(ISNSAttribute(tag: ISNSTag.entityProtocol, number: Self.iscsiProtocol))
        attributes.append(ISNSAttribute(tag: ISNSTag.registrationPeriod, number: periodSeconds))
        for portal in portals { attributes += portalAttributes(portal) }
        for target in targets {
            attributes.append(ISNSAttribute(tag: ISNSTag.iscsiName, text: target))
            attributes.append(ISNSAttribute(tag: ISNSTag.iscsiNodeType, number: Self.targetNode))
            attributes += portalGroupAttributes(target)
        }
        return .request(.devAttrReg, transaction: transaction, flags: replaces ? .replace : [], attributes)
    }

    private func portalAttributes(_ portal: ISNSPortal) -> [ISNSAttribute] {
        var attributes = [
            ISNSAttribute(tag: ISNSTag.portalAddress, value: portal.address),
            ISNSAttribute(tag: ISNSTag.portalPort, number: UInt32(portal.port)),
        ]
        guard let port = portal.notificationPort else { return attributes }
        if let inquirySeconds {
            attributes.append(ISNSAttribute(tag: ISNSTag.esiInterval, number: inquirySeconds))
            attributes.append(ISNSAttribute(tag: ISNSTag.esiPort, number: UInt32(port)))
        }
        if wantsChanges { attributes.append(ISNSAttribute(tag: ISNSTag.scnPort, number: UInt32(port))) }
        return attributes
    }

    /// Of one target: each tag, followed by the portals that have it. Portals on which the target is not have no tag
    /// (a zero-length one): otherwise they would be its portals with the tag 1.
    private func portalGroupAttributes(_ target: String) -> [ISNSAttribute] {
        let shown = portalGroupTags[target]
        return Set(portals.map(\.groupTag)).sorted().flatMap { tag in
            let isShown = shown?.contains(tag) ?? true
            return [
                isShown
                    ? ISNSAttribute(tag: ISNSTag.portalGroupTag, number: UInt32(tag))
                    : ISNSAttribute(tag: ISNSTag.portalGroupTag)
            ]
                + portals.filter { $0.groupTag == tag }.flatMap { portal in
                    [
                        ISNSAttribute(tag: ISNSTag.portalGroupAddress, value: portal.address),
                        ISNSAttribute(tag: ISNSTag.portalGroupPort, number: UInt32(portal.port)),
                    ]
                }
        }
    }

    /// Whether SCNReg can succeed: without a portal that has an SCN Port it must be rejected (5.6.5.5).
    public var canSubscribe: Bool { wantsChanges && portals.contains { $0.notificationPort != nil } }

    /// SCNReg (5.6.5.5) for one of the targets.
    public func subscribeRequest(transaction: UInt16, target: String) -> ISNSMessage {
        let name = ISNSAttribute(tag: ISNSTag.iscsiName, text: target)
        return .request(
            .scnReg, transaction: transaction,
            source + [
                name, .delimiter,
                ISNSAttribute(tag: ISNSTag.iscsiSCNBitmap, number: Self.changesOfInterest.rawValue),
            ])
    }

    /// DevAttrQry (5.6.5.2) for our own entity: it refreshes the registration, and tells whether it is still there.
    public func queryRequest(transaction: UInt16) -> ISNSMessage {
        .request(
            .devAttrQry, transaction: transaction,
            source + [
                key, .delimiter, ISNSAttribute(tag: ISNSTag.entityIdentifier),
                ISNSAttribute(tag: ISNSTag.registrationPeriod),
            ])
    }

    /// DevDereg (5.6.5.4) of the entity and of all that it contains.
    public func deregisterRequest(transaction: UInt16) -> ISNSMessage {
        .request(.devDereg, transaction: transaction, source + [.delimiter, key])
    }
}
