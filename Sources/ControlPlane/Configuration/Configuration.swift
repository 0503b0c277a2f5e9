// SPDX-License-Identifier: Apache-2.0

public import Transport

/// What a server is to be: the contents of a configuration file, of the command line, or of both together.
public struct Configuration: Equatable, Sendable {
    /// One portal: where it listens, what it tells initiators, and perhaps where it sends them.
    public struct Portal: Equatable, Sendable {
        public var settings: PortalSettings
        /// Where all who log in here are to go instead.
        public var redirection: Redirection?

        public var listen: PortalAddress { settings.listen }
        public var advertise: PortalAddress? { settings.advertise }

        public init(
            listen: PortalAddress, advertise: PortalAddress? = nil,
            portalGroupTag: UInt16 = PortalSettings.defaultPortalGroupTag, redirection: Redirection? = nil
        ) {
            settings = PortalSettings(listen: listen, advertise: advertise, portalGroupTag: portalGroupTag)
            self.redirection = redirection
        }
    }

    public struct Device: Equatable, Sendable {
        public var name: String
        public var settings: DeviceSettings
        /// Where it was asked for, to begin a sentence with: "/etc/martlet.yaml:4", or "LUN 2".
        public var origin: String

        public init(name: String, settings: DeviceSettings, origin: String) {
            self.name = name
            self.settings = settings
            self.origin = origin
        }
    }

    public struct Target: Equatable, Sendable {
        public var name: String { access.targetName }
        /// Logical unit numbers and the names of their devices, for whom no rule says otherwise.
        public var luns: [Int: String] { access.luns.units.mapValues(\.device) }
        /// Who may log in, and what they see.
        public var access: TargetAccess
        /// TARGET PORT GROUP of the target's port; nil: not said.
        public var portGroup: UInt16?
        /// By what initiators must prove who they are; nil: not said, and nobody is asked.
        public var auth: AuthenticationSettings?
        /// The same for those whom a rule of `access` means, by its position.
        public var ruleAuths: [Int: AuthenticationSettings] = [:]

        public init(access: TargetAccess, portGroup: UInt16? = nil, auth: AuthenticationSettings? = nil) {
            self.access = access
            self.portGroup = portGroup
            self.auth = auth
        }

        public init(
            name: String, luns: [Int: String], portGroup: UInt16? = nil, auth: AuthenticationSettings? = nil
        ) {
            self.init(
                access: TargetAccess(targetName: name, luns: LUNView(luns.mapValues { LUNView.Unit(device: $0) })),
                portGroup: portGroup, auth: auth)
        }
    }

    /// Flat space addressing's last number (SAM-5 4.7).
    public static let maximumLUN = 16383
    public static let defaultPortal = PortalAddress(host: "127.0.0.1", port: PortalAddress.defaultPort)
    public static let defaultPortGroup: UInt16 = 1
    public static let defaultTargetName = "iqn.2026-11.org.martlet:default"

    public var portals: [Portal] = []
    /// In the order of the file, then of the command line.
    public var devices: [Device] = []
    public var targets: [Target] = []
    /// Whom no rule of a target means that does not say; nil: not said.
    public var others: AccessRule.Verdict?
    /// Who may ask for the targets.
    public var discovery = AccessRuleList()
    /// By what those must prove who they are; nil: not said, and nobody is asked.
    public var discoveryAuth: AuthenticationSettings?
    public var portGroups = PortGroupSettings()
    public var performance = PerformanceSettings()
    /// How long task management waits for a handler's commands; 0: as long as it takes.
    public var abortSeconds = ServeOptions.defaultAbortSeconds
    /// Paths of handlers that do not tell their generation, and which the operator vouches for.
    public var trustedHandlers: [String] = []
    public var limits = LimitSettings()
    /// Nil: no name server is told.
    public var isns: ISNSSettings?

    /// What is legal and probably not meant, each a sentence with its place.
    public var warnings: [String] = []

    public init() {}
}
