// SPDX-License-Identifier: Apache-2.0

public import Transport

/// The section "isns": the name server that targets are registered with (RFC 4171).
public struct ISNSSettings: Equatable, Sendable {
    public static let defaultPort: UInt16 = 3205
    public static let defaultPeriodSeconds: UInt32 = 300
    /// A shorter period would be refreshed more than once a second; a longer one than a day leaves ghosts.
    static let periods: ClosedRange<UInt32> = 3...86400
    static let inquiries: ClosedRange<UInt32> = 1...86400
    /// With its zero byte, an Entity Identifier has at most 256 bytes (RFC 4171 6.2.1).
    static let maximumEntityByteCount = 255

    public var server: PortalAddress
    /// Entity Identifier; nil: the name of the first target.
    public var entity: String?
    /// Ask for State Change Notifications.
    public var wantsChanges = true
    /// The Registration Period that is asked for.
    public var periodSeconds = defaultPeriodSeconds
    /// The ESI Interval that is asked for; nil: the server is not to inquire.
    public var inquirySeconds: UInt32?

    public init(server: PortalAddress) { self.server = server }
}

extension ISNSSettings {
    private static let keys = ["server", "entity", "scn", "period", "esi"]

    static func read(_ value: YAMLValue) throws(Failure) -> ISNSSettings {
        let entries = try value.entries(known: keys)
        guard let server = entries["server"] else { throw value.failure("isns needs server: \"ADDR:PORT\"") }
        var settings = ISNSSettings(server: try readServer(server))
        if let entity = entries["entity"] { settings.entity = try readEntity(entity) }
        if let scn = entries["scn"] {
            switch try scn.text() {
            case "yes", "on", "true": settings.wantsChanges = true
            case "no", "off", "false": settings.wantsChanges = false
            case let text: throw scn.failure("scn cannot be \"\(text)\": write yes or no")
            }
        }
        if let period = entries["period"] { settings.periodSeconds = try readSeconds(period, periods) }
        if let esi = entries["esi"] {
            settings.inquirySeconds =
                ["no", "off", "false"].contains(try esi.text()) ? nil : try readSeconds(esi, inquiries)
        }
        return settings
    }

    /// Without a port: that of iSNS, not that of iSCSI.
    private static func readServer(_ value: YAMLValue) throws(Failure) -> PortalAddress {
        let text = try value.text()
        let hasPort = text.hasPrefix("[") ? !text.hasSuffix("]") : text.contains(":")
        guard let address = PortalAddress(text), !address.isWildcard, address.port != 0 else {
            throw value.failure(
                "server cannot be \"\(text)\": write a numeric address, such as \"192.0.2.9:3205\" or \"[2001:db8::9]\""
            )
        }
        return hasPort ? address : PortalAddress(host: address.host, port: defaultPort)
    }

    private static func readEntity(_ value: YAMLValue) throws(Failure) -> String {
        let text = try value.text()
        guard text.utf8.count <= maximumEntityByteCount, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw value.failure(
                "entity cannot be \"\(text)\": write 1 to \(maximumEntityByteCount) printable ASCII characters without "
                    + "spaces, such as the name of this machine")
        }
        return text
    }

    private static func readSeconds(_ value: YAMLValue, _ range: ClosedRange<UInt32>) throws(Failure) -> UInt32 {
        let text = try value.text()
        guard let number = UInt32(text.hasSuffix("s") ? String(text.dropLast()) : text), range.contains(number) else {
            throw value.failure(
                "\(value.path) cannot be \"\(text)\": write seconds from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
