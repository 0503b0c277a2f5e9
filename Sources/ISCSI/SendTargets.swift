// SPDX-License-Identifier: Apache-2.0

/// The answer to SendTargets (RFC 7143 appendix C).
public enum SendTargets {
    /// One target and where it can be reached.
    public struct Record: Equatable, Sendable {
        public var targetName: String
        public var portals: [Portal]

        public init(targetName: String, portals: [Portal]) {
            self.targetName = targetName
            self.portals = portals
        }
    }

    public struct Portal: Equatable, Sendable {
        /// "192.0.2.1:3260" or "[2001:db8::1]:3260".
        public var address: String
        public var portalGroupTag: UInt16

        public init(address: String, portalGroupTag: UInt16) {
            self.address = address
            self.portalGroupTag = portalGroupTag
        }
    }

    /// What is asked for.
    public enum Scope: Equatable, Sendable {
        case all
        case target(String)
    }

    /// Value that asks for all targets.
    static let all = "All"

    /// What `value` asks for in a session; nil when the session may not ask it. A normal session may ask about the
    /// target that it is logged in to, a discovery session about any and all.
    static func scope(_ value: String, sessionTarget: String?) -> Scope? {
        guard let sessionTarget else {
            if value.isEmpty { return nil }
            return value == all ? .all : .target(value)
        }
        return value.isEmpty || value == sessionTarget ? .target(sessionTarget) : nil
    }

    /// TargetName, then a TargetAddress for each portal.
    static func append(_ records: [Record], to text: inout TextParameters) {
        for record in records {
            text.append(NegotiationKeys.Name.targetName, record.targetName)
            for portal in record.portals {
                text.append(NegotiationKeys.Name.targetAddress, "\(portal.address),\(portal.portalGroupTag)")
            }
        }
    }
}
