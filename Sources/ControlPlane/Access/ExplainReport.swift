// SPDX-License-Identifier: Apache-2.0

public import Transport

/// What an initiator sees of a server, and why: the answer of `martlet explain`.
public struct ExplainReport: Codable, Equatable, Sendable {
    /// A rule that was asked and did not match.
    public struct PassedOver: Codable, Equatable, Sendable {
        public var rule = ""
        public var reason = ""
    }

    public struct LUN: Codable, Equatable, Sendable {
        public var lun = 0
        public var device = ""
        public var isReadOnly = false
        /// Why it is seen so.
        public var reason = ""

        enum CodingKeys: String, CodingKey {
            case lun, device
            case isReadOnly = "readonly"
            case reason
        }
    }

    /// One target at one or more portals where the same holds.
    public struct Target: Codable, Equatable, Sendable {
        public var target = ""
        /// "127.0.0.1:3260,1": address and portal group tag.
        public var portals: [String] = []
        /// SendTargets tells of it at these portals.
        public var isSeen = false
        public var mayLogIn = false
        public var reason = ""
        /// Where the rule stands that decided; nil: none did.
        public var rule: String?
        public var passedOver: [PassedOver] = []
        public var authentication = ""
        /// Where logins are sent instead.
        public var redirectedTo: [String]?
        public var isRedirectedForGood: Bool?
        public var luns: [LUN] = []
    }

    public struct Discovery: Codable, Equatable, Sendable {
        public var portals: [String] = []
        public var isAllowed = false
        public var reason = ""
        public var passedOver: [PassedOver] = []
        public var authentication = ""
    }

    public var initiator = ""
    /// Nil: not said, so that rules for addresses do not match.
    public var address: String?
    public var discovery: [Discovery] = []
    public var targets: [Target] = []

    public init() {}
}

/// Who is to be explained.
public struct ExplainQuestion: Equatable, Sendable {
    public var initiatorName: String
    public var address: IPAddress?
    /// Nil: at all portals.
    public var portal: PortalAddress?

    public init(initiatorName: String, address: String? = nil, portal: String? = nil) throws(Failure) {
        guard !initiatorName.isEmpty, initiatorName.utf8.count <= ISCSIName.maximumByteCount else {
            throw .usage("an initiator name has 1 to \(ISCSIName.maximumByteCount) bytes")
        }
        self.initiatorName = initiatorName
        if let address {
            guard let known = IPAddress(address) else {
                throw .usage("--from \"\(address)\" is no address: write one such as 192.0.2.7 or 2001:db8::7")
            }
            self.address = known
        }
        if let portal {
            guard let known = PortalAddress(portal) else {
                throw .usage("--portal \"\(portal)\" is no address: write one such as 127.0.0.1:3260 or [::1]:3260")
            }
            self.portal = known
        }
    }
}

extension ExplainReport {
    public func text() -> String {
        var lines = ["\(initiator)\(address.map { " from \($0)" } ?? "")"]
        for each in discovery {
            lines.append(
                "discovery at \(each.portals.joined(separator: " ")): \(each.reason)"
                    + (each.isAllowed ? "; authentication: \(each.authentication)" : ""))
            lines += Self.lines(each.passedOver)
        }
        for each in targets {
            lines.append("\(each.target) at \(each.portals.joined(separator: " "))")
            lines.append("  login: \(each.reason)")
            lines += Self.lines(each.passedOver)
            lines.append("  discovery: \(each.isSeen ? "shown" : "not shown")")
            guard each.mayLogIn else { continue }
            if let to = each.redirectedTo {
                let words = each.isRedirectedForGood == true ? "for good" : "for now"
                lines.append("  redirected \(words) to \(to.joined(separator: " "))")
            }
            lines.append("  authentication: \(each.authentication)")
            lines += each.luns.map { lun in
                "  LUN \(lun.lun): \(lun.device), \(lun.isReadOnly ? "read-only" : "read and write") (\(lun.reason))"
            }
        }
        return lines.map(TextTable.line).joined()
    }

    private static func lines(_ passedOver: [PassedOver]) -> [String] {
        passedOver.map { "  passed over \($0.rule): \($0.reason)" }
    }
}
