// SPDX-License-Identifier: Apache-2.0

/// Which portal a connection came to: its position in the configuration.
public struct PortalIndex: Hashable, Sendable {
    public let position: Int

    public init(_ position: Int) { self.position = position }
}

/// Who logs in, from where and to which portal: all that access depends on.
public struct Visitor: Hashable, Sendable {
    /// As the initiator gives it.
    public var initiatorName: String
    /// Nil: not known. A rule for addresses does not match then.
    public var address: IPAddress?
    public var portal: PortalIndex
    /// Target portal group tag of that portal.
    public var portalGroupTag: UInt16

    public init(initiatorName: String, address: IPAddress?, portal: PortalIndex, portalGroupTag: UInt16) {
        self.initiatorName = initiatorName
        self.address = address
        self.portal = portal
        self.portalGroupTag = portalGroupTag
    }
}
