// SPDX-License-Identifier: Apache-2.0

/// The table of keys (RFC 7143 12 and 13). A key that is not here is answered with NotUnderstood.
public enum NegotiationKeys {
    /// RFC 7143 13.12 to 13.14: bytes.
    private static let segmentLength = 512...0xFF_FFFF
    /// RFC 7143 13.2 and 13.17.
    private static let count = 1...65535
    /// RFC 7143 13.15 and 13.16.
    private static let seconds = 0...3600

    public static let all: [NegotiationKey] = [
        // Who talks to whom.
        NegotiationKey(Name.sessionType, .initiator, .leadingAnyStage, .declaredText),
        NegotiationKey(Name.initiatorName, .initiator, .login, .declaredText),
        NegotiationKey(Name.initiatorAlias, .initiator, .always, .declaredText),
        NegotiationKey(Name.targetName, .initiator, .login, .declaredText),
        NegotiationKey(Name.targetAlias, .target, .always, .ofTarget),
        NegotiationKey(Name.targetAddress, .target, .always, .ofTarget),
        NegotiationKey(Name.targetPortalGroupTag, .target, .login, .ofTarget),
        NegotiationKey("X#NodeArchitecture", .both, .leadingAnyStage, .declaredText),
        NegotiationKey(Name.sendTargets, .initiator, .fullFeature, .sendTargets),

        // Security (RFC 7143 12).
        NegotiationKey(Name.authMethod, .both, .security, .authentication),
        NegotiationKey("CHAP_A", .both, .security, .authentication),
        NegotiationKey("CHAP_I", .both, .security, .authentication),
        NegotiationKey("CHAP_C", .both, .security, .authentication),
        NegotiationKey("CHAP_N", .both, .security, .authentication),
        NegotiationKey("CHAP_R", .both, .security, .authentication),
        NegotiationKey("KRB_AP_REQ", .initiator, .security, .authentication),
        NegotiationKey("KRB_AP_REP", .target, .security, .authentication),
        NegotiationKey("SRP_GROUP", .both, .security, .authentication),
        NegotiationKey("SRP_A", .initiator, .security, .authentication),
        NegotiationKey("SRP_B", .target, .security, .authentication),
        NegotiationKey("SRP_M", .initiator, .security, .authentication),
        NegotiationKey("SRP_HM", .target, .security, .authentication),
        NegotiationKey("SRP_N", .target, .security, .authentication),
        NegotiationKey("SRP_g", .target, .security, .authentication),
        NegotiationKey("SRP_s", .target, .security, .authentication),
        NegotiationKey("SRP_U", .initiator, .security, .authentication),
        NegotiationKey("TargetAuth", .initiator, .security, .authentication),

        // Of the connection.
        NegotiationKey(
            "HeaderDigest", .both, .operational, .digest(\.hasHeaderDigest, \.acceptsHeaderDigest)),
        NegotiationKey(
            "DataDigest", .both, .operational, .digest(\.hasDataDigest, \.acceptsDataDigest)),
        NegotiationKey(
            Name.maxRecvDataSegmentLength, .both, .operationalAndFullFeature,
            .declaredNumber(segmentLength, \.maxSendDataSegmentLength)),

        // Of the session.
        NegotiationKey(
            "MaxConnections", .both, .leading,
            .minimum(count, \.session.maxConnections, \.session.maxConnections), irrelevantInDiscovery: true),
        NegotiationKey(
            "InitialR2T", .both, .leading, .or(\.session.initialR2T, \.session.initialR2T),
            irrelevantInDiscovery: true),
        NegotiationKey(
            "ImmediateData", .both, .leading, .and(\.session.immediateData, \.session.immediateData),
            irrelevantInDiscovery: true),
        NegotiationKey(
            "MaxBurstLength", .both, .leading,
            .minimum(segmentLength, \.session.maxBurstLength, \.session.maxBurstLength),
            irrelevantInDiscovery: true),
        NegotiationKey(
            Name.firstBurstLength, .both, .leading,
            .minimum(segmentLength, \.session.firstBurstLength, \.session.firstBurstLength),
            irrelevantInDiscovery: true, decidedLast: true),
        NegotiationKey(
            "DefaultTime2Wait", .both, .leading,
            .maximum(seconds, \.session.defaultTime2WaitSeconds, \.session.defaultTime2WaitSeconds)),
        NegotiationKey(
            Name.defaultTime2Retain, .both, .leading,
            .minimum(seconds, \.session.defaultTime2RetainSeconds, \.session.defaultTime2RetainSeconds),
            decidedLast: true),
        NegotiationKey(
            "MaxOutstandingR2T", .both, .leading,
            .minimum(count, \.session.maxOutstandingR2T, \.session.maxOutstandingR2T),
            irrelevantInDiscovery: true),
        NegotiationKey(
            "DataPDUInOrder", .both, .leading, .or(\.session.dataPDUInOrder, \.session.dataPDUInOrder),
            irrelevantInDiscovery: true),
        NegotiationKey(
            "DataSequenceInOrder", .both, .leading,
            .or(\.session.dataSequenceInOrder, \.session.dataSequenceInOrder), irrelevantInDiscovery: true),
        NegotiationKey(
            "ErrorRecoveryLevel", .both, .leading,
            .minimum(0...2, \.session.errorRecoveryLevel, \.session.errorRecoveryLevel)),
        NegotiationKey("TaskReporting", .both, .leading, .taskReporting, irrelevantInDiscovery: true),
        NegotiationKey(
            "iSCSIProtocolLevel", .both, .leading,
            .minimum(0...31, \.session.protocolLevel, \.session.protocolLevel), irrelevantInDiscovery: true),

        // Withdrawn.
        NegotiationKey("IFMarker", .both, .operational, .obsoleteBoolean),
        NegotiationKey("OFMarker", .both, .operational, .obsoleteBoolean),
        NegotiationKey("IFMarkInt", .both, .operational, .obsoleteRange),
        NegotiationKey("OFMarkInt", .both, .operational, .obsoleteRange),
    ]

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    public static func key(_ name: String) -> NegotiationKey? { byName[name] }

    /// Keys that the machines themselves look at.
    public enum Name {
        public static let sessionType = "SessionType"
        public static let initiatorName = "InitiatorName"
        public static let initiatorAlias = "InitiatorAlias"
        public static let targetName = "TargetName"
        public static let targetAlias = "TargetAlias"
        public static let targetAddress = "TargetAddress"
        public static let targetPortalGroupTag = "TargetPortalGroupTag"
        public static let sendTargets = "SendTargets"
        public static let authMethod = "AuthMethod"
        public static let maxRecvDataSegmentLength = "MaxRecvDataSegmentLength"
        public static let defaultTime2Retain = "DefaultTime2Retain"
        public static let firstBurstLength = "FirstBurstLength"
    }
}
