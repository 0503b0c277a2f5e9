// SPDX-License-Identifier: Apache-2.0

public import Transport

/// What a server is to be: the contents of a configuration file, of the command line, or of both together.
public struct Configuration: Equatable, Sendable {
    /// One portal: where it listens, and what it tells initiators.
    public struct Portal: Equatable, Sendable {
        public var listen: PortalAddress
        /// The address that SendTargets tells instead.
        public var advertise: PortalAddress?

        public init(listen: PortalAddress, advertise: PortalAddress? = nil) {
            self.listen = listen
            self.advertise = advertise
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
        public var name: String
        /// Logical unit numbers and the names of their devices.
        public var luns: [Int: String]
        /// TARGET PORT GROUP of the target's port; nil: not said.
        public var portGroup: UInt16?
        /// Who may log in; nil: not said, and nobody is asked.
        public var auth: AuthenticationSettings?

        public init(
            name: String, luns: [Int: String], portGroup: UInt16? = nil, auth: AuthenticationSettings? = nil
        ) {
            self.name = name
            self.luns = luns
            self.portGroup = portGroup
            self.auth = auth
        }
    }

    /// Flat space addressing's last number (SAM-5 4.7).
    public static let maximumLUN = 16383
    public static let defaultPortal = PortalAddress(host: "127.0.0.1", port: PortalAddress.defaultPort)
    public static let defaultPortGroup: UInt16 = 1
    public static let defaultTargetName = "iqn.2026-11.org.martlet:default"

    public var portals: [Portal] = []
    /// Target portal group tag of all portals (RFC 7143 13.9).
    public var portalGroupTag: UInt16 = 1
    /// In the order of the file, then of the command line.
    public var devices: [Device] = []
    public var targets: [Target] = []
    /// Who may ask for the list of targets; nil: not said, and nobody is asked.
    public var discoveryAuth: AuthenticationSettings?
    public var portGroups = PortGroupSettings()
    public var performance = PerformanceSettings()
    /// How long task management waits for a handler's commands; 0: as long as it takes.
    public var abortSeconds = ServeOptions.defaultAbortSeconds
    /// Paths of handlers that do not tell their generation, and which the operator vouches for.
    public var trustedHandlers: [String] = []

    public init() {}
}
