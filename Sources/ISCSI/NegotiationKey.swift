// SPDX-License-Identifier: Apache-2.0

/// What the target brings to a negotiation: its limits and preferences.
public struct LocalParameters: Equatable, Sendable {
    /// What we would have if the initiator asked for anything.
    public var session: SessionParameters
    /// Bytes of the longest data segment that we take in the full feature phase.
    public var maxReceiveDataSegmentLength = 262_144
    public var acceptsHeaderDigest = true
    public var acceptsDataDigest = true

    public init() {
        session = SessionParameters()
        session.initialR2T = false
        session.immediateData = true
        session.firstBurstLength = 262_144
        session.maxBurstLength = 1_048_576
        session.maxOutstandingR2T = WriteTransfer.outstandingR2TLimit
        // We need no wait; the initiator may ask for one.
        session.defaultTime2WaitSeconds = 0
        session.defaultTime2RetainSeconds = 20
        session.errorRecoveryLevel = 2
        session.maxConnections = 8
    }
}

/// One row of the table of keys: everything that the standards say about a key.
public struct NegotiationKey: Sendable {
    /// When a key may be sent: RFC 7143 13's "Use", by stage.
    public enum Use: Sendable {
        /// Security stage only.
        case security
        /// Initialize only: any stage of any login.
        case login
        /// Initialize only, and not in the security stage.
        case operational
        /// Leading only: operational stage of a session's first login.
        case leading
        /// Any stage of the leading login.
        case leadingAnyStage
        /// Operational stage of any login, and the full feature phase.
        case operationalAndFullFeature
        /// Any stage of a login, and the full feature phase.
        case always
        case fullFeature
    }

    public enum Sender: Sendable {
        case initiator, target, both
    }

    public typealias Path<Value> = any WritableKeyPath<NegotiatedParameters, Value> & Sendable
    public typealias Offer<Value> = any KeyPath<LocalParameters, Value> & Sendable

    /// How the result comes about.
    public enum Rule: Sendable {
        /// Yes when either says Yes.
        case or(Path<Bool>, Offer<Bool>)
        /// Yes when both say Yes.
        case and(Path<Bool>, Offer<Bool>)
        /// The lesser number.
        case minimum(ClosedRange<Int>, Path<Int>, Offer<Int>)
        /// The greater number.
        case maximum(ClosedRange<Int>, Path<Int>, Offer<Int>)
        /// A digest: the first of the initiator's list that we know.
        case digest(Path<Bool>, Offer<Bool>)
        /// TaskReporting: the same, of RFC3720 alone.
        case taskReporting
        /// No negotiation: a number that the initiator tells, and that is not answered.
        case declaredNumber(ClosedRange<Int>, Path<Int>)
        /// No negotiation: text that the initiator tells. The machine that asked looks at it.
        case declaredText
        /// AuthMethod and what follows from it: for the authenticator.
        case authentication
        /// A question, not a parameter.
        case sendTargets
        /// Told by the target only.
        case ofTarget
        /// Markers of RFC 3720: always No (RFC 7143 13.25).
        case obsoleteBoolean
        /// Marker intervals of RFC 3720: always Reject (RFC 7143 13.25).
        case obsoleteRange
    }

    public let name: String
    public let sender: Sender
    public let use: Use
    public let rule: Rule
    /// "Irrelevant when: SessionType=Discovery".
    public let isIrrelevantInDiscovery: Bool
    /// Depends on what becomes of other keys in the same text: it is looked at last.
    public let isDecidedLast: Bool

    init(
        _ name: String, _ sender: Sender, _ use: Use, _ rule: Rule, irrelevantInDiscovery: Bool = false,
        decidedLast: Bool = false
    ) {
        self.name = name
        self.sender = sender
        self.use = use
        self.rule = rule
        isIrrelevantInDiscovery = irrelevantInDiscovery
        isDecidedLast = decidedLast
    }

    /// Values that stand for no value (RFC 7143 6.2).
    public enum Answer {
        public static let notUnderstood = "NotUnderstood"
        public static let irrelevant = "Irrelevant"
        public static let reject = "Reject"
        public static let yes = "Yes"
        public static let no = "No"
        public static let none = "None"

        /// Whether `value` says that a key of ours was not taken.
        static func isRefusal(_ value: String) -> Bool {
            value == notUnderstood || value == irrelevant || value == reject
        }
    }
}
