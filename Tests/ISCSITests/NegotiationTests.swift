// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("Negotiation, key by key")
struct NegotiationTests {
    /// A key, what the initiator says, what it hears (nil: nothing), and the value that is then in force.
    struct Row: Sendable {
        let key: String
        let value: String
        let answer: String?
        let result: String

        init(_ key: String, _ value: String, _ answer: String?, _ result: String) {
            self.key = key
            self.value = value
            self.answer = answer
            self.result = result
        }
    }

    /// The values in force, by key, as text.
    static func inForce(_ key: String, _ parameters: NegotiatedParameters) -> String {
        let session = parameters.session
        func yesNo(_ value: Bool) -> String { value ? "Yes" : "No" }
        func digest(_ value: Bool) -> String { value ? "CRC32C" : "None" }
        return switch key {
        case "HeaderDigest": digest(parameters.hasHeaderDigest)
        case "DataDigest": digest(parameters.hasDataDigest)
        case "MaxRecvDataSegmentLength": String(parameters.maxSendDataSegmentLength)
        case "MaxConnections": String(session.maxConnections)
        case "InitialR2T": yesNo(session.initialR2T)
        case "ImmediateData": yesNo(session.immediateData)
        case "MaxBurstLength": String(session.maxBurstLength)
        case "FirstBurstLength": String(session.firstBurstLength)
        case "DefaultTime2Wait": String(session.defaultTime2WaitSeconds)
        case "DefaultTime2Retain": String(session.defaultTime2RetainSeconds)
        case "MaxOutstandingR2T": String(session.maxOutstandingR2T)
        case "DataPDUInOrder": yesNo(session.dataPDUInOrder)
        case "DataSequenceInOrder": yesNo(session.dataSequenceInOrder)
        case "ErrorRecoveryLevel": String(session.errorRecoveryLevel)
        case "TaskReporting": session.taskReporting.rawValue
        case "iSCSIProtocolLevel": String(session.protocolLevel)
        default: ""
        }
    }

    static let legal: [Row] = [
        Row("HeaderDigest", "None", "None", "None"), Row("HeaderDigest", "CRC32C", "CRC32C", "CRC32C"),
        Row("HeaderDigest", "CRC32C,None", "CRC32C", "CRC32C"), Row("HeaderDigest", "None,CRC32C", "None", "None"),
        Row("HeaderDigest", "X-other,CRC32C", "CRC32C", "CRC32C"),
        Row("DataDigest", "None", "None", "None"), Row("DataDigest", "CRC32C,None", "CRC32C", "CRC32C"),
        Row("MaxRecvDataSegmentLength", "512", nil, "512"),
        Row("MaxRecvDataSegmentLength", "16777215", nil, "16777215"),
        Row("MaxRecvDataSegmentLength", "0x10000", nil, "65536"),
        Row("MaxConnections", "1", "1", "1"), Row("MaxConnections", "65535", "8", "8"),
        Row("InitialR2T", "Yes", "Yes", "Yes"), Row("InitialR2T", "No", "No", "No"),
        Row("ImmediateData", "Yes", "Yes", "Yes"), Row("ImmediateData", "No", "No", "No"),
        Row("MaxBurstLength", "512", "512", "512"), Row("MaxBurstLength", "16777215", "1048576", "1048576"),
        Row("MaxBurstLength", "0X400", "1024", "1024"),
        Row("FirstBurstLength", "512", "512", "512"), Row("FirstBurstLength", "262144", "262144", "262144"),
        Row("FirstBurstLength", "16777215", "262144", "262144"),
        Row("DefaultTime2Wait", "0", "0", "0"), Row("DefaultTime2Wait", "3600", "3600", "3600"),
        Row("DefaultTime2Retain", "3600", "0", "0"), Row("DefaultTime2Retain", "0", "0", "0"),
        Row("MaxOutstandingR2T", "1", "1", "1"), Row("MaxOutstandingR2T", "65535", "8", "8"),
        Row("DataPDUInOrder", "Yes", "Yes", "Yes"), Row("DataPDUInOrder", "No", "Yes", "Yes"),
        Row("DataSequenceInOrder", "Yes", "Yes", "Yes"), Row("DataSequenceInOrder", "No", "Yes", "Yes"),
        Row("ErrorRecoveryLevel", "0", "0", "0"), Row("ErrorRecoveryLevel", "2", "2", "2"),
        Row("TaskReporting", "RFC3720", "RFC3720", "RFC3720"),
        Row("TaskReporting", "FastAbort,ResponseFence,RFC3720", "RFC3720", "RFC3720"),
        Row("iSCSIProtocolLevel", "0", "0", "0"), Row("iSCSIProtocolLevel", "1", "1", "1"),
        Row("iSCSIProtocolLevel", "31", "1", "1"),
        Row("IFMarker", "No", "No", ""), Row("IFMarker", "Yes", "No", ""), Row("OFMarker", "Yes", "No", ""),
        Row("OFMarkInt", "2048~4096", "Reject", ""), Row("IFMarkInt", "2048", "Reject", ""),
        Row("X-com.example.key", "value", "NotUnderstood", ""), Row("NoSuchKey", "", "NotUnderstood", ""),
        Row("NoSuchKey", "NotUnderstood", nil, ""), Row("NoSuchKey", "Reject", nil, ""),
        Row("TargetAlias", "NotUnderstood", nil, ""), Row("TargetPortalGroupTag", "Irrelevant", nil, ""),
        Row("InitiatorAlias", "", nil, ""), Row("X#NodeArchitecture", "x86-64", nil, ""),
    ]

    /// Values that are no values: the answer is Reject and the default stays.
    static let illegal: [(key: String, values: [String])] = [
        ("HeaderDigest", ["", "crc32c", "CRC32C,", ",None", "MD5"]), ("DataDigest", ["", "none", "CRC32C,,None"]),
        (
            "MaxConnections",
            ["0", "65536", "+1", "-1", "one", "0x", "0x1FFFFFFFFFFFFFFFFF", "99999999999999999999", "01", "1 ", "1k"]
        ),
        ("InitialR2T", ["yes", "YES", "", "1", "Yes,No"]),
        ("ImmediateData", ["no", "", "True"]), ("MaxBurstLength", ["0", "511", "16777216", "1e6"]),
        ("FirstBurstLength", ["511", "16777216", " 512"]), ("DefaultTime2Wait", ["3601", "-1", ""]),
        ("DefaultTime2Retain", ["3601", "0x"]), ("MaxOutstandingR2T", ["0", "65536", ""]),
        ("DataPDUInOrder", ["", "maybe"]), ("DataSequenceInOrder", ["", "n"]),
        ("ErrorRecoveryLevel", ["3", "-1", "", "00"]), ("TaskReporting", ["", "FastAbort", "RFC3720,", "rfc3720"]),
        ("iSCSIProtocolLevel", ["32", "-1", ""]), ("IFMarker", ["", "no"]), ("OFMarker", ["0"]),
    ]

    private func negotiate(_ text: String) -> (keys: TextParameters, parameters: NegotiatedParameters?, LoginStep) {
        var talk = LoginTalk()
        let step = talk.send(LoginTalk.names + "|" + text, from: LoginTalk.operational, to: LoginTalk.fullFeature)
        guard let outcome = step.outcome else { return (step.keys, nil, step) }
        let text = talk.machine.established(tsih: 1).text
        return ((try? TextParameters(parsing: text)) ?? TextParameters(), outcome.parameters, step)
    }

    @Test("Legal values are answered by the key's rule", arguments: legal)
    func legalValues(row: Row) throws {
        let (keys, parameters, _) = negotiate("\(row.key)=\(row.value)")
        let inForce = Self.inForce(row.key, try #require(parameters))
        #expect(inForce == row.result)
        if row.answer == nil && ["MaxRecvDataSegmentLength", "TargetAlias", "TargetPortalGroupTag"].contains(row.key) {
            // What stands there is our own declaration.
            #expect(keys[row.key] != row.value)
        } else {
            #expect(keys[row.key] == row.answer)
        }
    }

    @Test("Illegal values are rejected and change nothing", arguments: illegal.indices)
    func rejected(index: Int) throws {
        let (key, values) = Self.illegal[index]
        for value in values {
            let (keys, parameters, _) = negotiate("\(key)=\(value)")
            #expect(keys.pairs.contains(.init(key, "Reject")), "\(key)=\(value)")
            #expect(Self.inForce(key, try #require(parameters)) == Self.inForce(key, NegotiatedParameters()))
        }
    }

    @Test(
        "A declaration that is no number of its range ends the login",
        arguments: ["", "511", "16777216", "-1", "0x", "99999999999999999999", "08192", "Reject"])
    func declaration(value: String) {
        let (_, parameters, step) = negotiate("MaxRecvDataSegmentLength=\(value)")
        #expect(parameters == nil)
        #expect(step.refusal == .initiatorError)
    }

    @Test("Every key of the table that is negotiated in the operational stage has its rows")
    func complete() {
        let tested = Set(Self.legal.map(\.key))
        for key in NegotiationKeys.all {
            switch key.use {
            case .operational, .leading, .operationalAndFullFeature: #expect(tested.contains(key.name), "\(key.name)")
            case .security, .login, .leadingAnyStage, .always, .fullFeature: break
            }
        }
    }

    @Test("Digests that we do not want are not chosen")
    func unwantedDigests() throws {
        var local = LocalParameters()
        local.acceptsHeaderDigest = false
        local.acceptsDataDigest = false
        var talk = LoginTalk(local: local)
        let step = talk.send(
            LoginTalk.names + "|HeaderDigest=CRC32C|DataDigest=CRC32C,None", from: LoginTalk.operational)
        #expect(step.keys["HeaderDigest"] == "Reject")
        #expect(step.keys["DataDigest"] == "None")
    }

    @Test("What we prefer has its weight")
    func preferences() {
        var local = LocalParameters()
        local.session.initialR2T = true
        local.session.immediateData = false
        var talk = LoginTalk(local: local)
        let step = talk.send(
            LoginTalk.names + "|FirstBurstLength=4096|InitialR2T=No|ImmediateData=Yes", from: LoginTalk.operational)
        #expect(step.keys["InitialR2T"] == "Yes")
        #expect(step.keys["ImmediateData"] == "No")
        #expect(step.keys["FirstBurstLength"] == "Irrelevant")
    }

    @Test("FirstBurstLength does not exceed MaxBurstLength, in whatever order they come")
    func burstLengths() throws {
        for text in ["FirstBurstLength=65536|MaxBurstLength=4096", "MaxBurstLength=4096|FirstBurstLength=65536"] {
            let (keys, parameters, _) = negotiate(text)
            #expect(keys["FirstBurstLength"] == "4096")
            #expect(try #require(parameters).session.firstBurstLength == 4096)
        }
    }

    @Test("Keys of no use to discovery are irrelevant there")
    func irrelevant() {
        let irrelevant = [
            "MaxConnections=1", "InitialR2T=Yes", "ImmediateData=Yes", "MaxBurstLength=512", "FirstBurstLength=512",
            "MaxOutstandingR2T=1", "DataPDUInOrder=Yes", "DataSequenceInOrder=Yes", "TaskReporting=RFC3720",
            "iSCSIProtocolLevel=1",
        ]
        var talk = LoginTalk()
        let step = talk.send(
            "InitiatorName=a|SessionType=Discovery|ErrorRecoveryLevel=0|HeaderDigest=CRC32C|"
                + irrelevant.joined(separator: "|"), from: LoginTalk.operational)
        for pair in irrelevant {
            #expect(step.keys[String(pair.prefix { $0 != "=" })] == "Irrelevant", "\(pair)")
        }
        #expect(step.keys["ErrorRecoveryLevel"] == "0")
        #expect(step.keys["HeaderDigest"] == "CRC32C")
    }

    @Test("A key is negotiated once in a login")
    func once() {
        for key in NegotiationKeys.all {
            switch key.use {
            case .operational, .leading, .operationalAndFullFeature: break
            case .security, .login, .leadingAnyStage, .always, .fullFeature: continue
            }
            var talk = LoginTalk()
            #expect(talk.send(LoginTalk.names + "|\(key.name)=512", from: LoginTalk.operational).refusal == nil)
            #expect(talk.send("\(key.name)=512", from: LoginTalk.operational).refusal == .initiatorError, "\(key.name)")
        }
        var unknown = LoginTalk()
        _ = unknown.send(LoginTalk.names + "|X-a=1", from: LoginTalk.operational)
        #expect(unknown.send("X-a=1", from: LoginTalk.operational).refusal == .initiatorError)
    }

    @Test("Keys have their stage: in another the login is refused")
    func stages() {
        for key in NegotiationKeys.all where key.sender != .target {
            let value =
                switch key.name {
                case "SessionType": "Normal"
                case "MaxRecvDataSegmentLength": "512"
                default: "None"
                }
            func refusal(_ stage: LoginStage, tsih: UInt16 = 0) -> LoginStatus? {
                var talk = LoginTalk(tsih: tsih)
                if LoginTalk.names.contains(key.name + "=") { return talk.send(LoginTalk.names, from: stage).refusal }
                return talk.send(LoginTalk.names + "|\(key.name)=\(value)", from: stage).refusal
            }
            let inSecurity = refusal(LoginTalk.security)
            let inOperational = refusal(LoginTalk.operational)
            let inFurther = refusal(LoginTalk.operational, tsih: 1)
            switch key.use {
            case .security:
                #expect(inOperational == .initiatorError, "\(key.name)")
            case .login, .always:
                #expect(inSecurity == nil && inOperational == nil && inFurther == nil, "\(key.name)")
            case .operational, .operationalAndFullFeature:
                #expect(inSecurity == .initiatorError && inOperational == nil && inFurther == nil, "\(key.name)")
            case .leading:
                #expect(inSecurity == .initiatorError && inOperational == nil, "\(key.name)")
                #expect(inFurther == .initiatorError, "\(key.name)")
            case .leadingAnyStage:
                #expect(inSecurity == nil && inOperational == nil && inFurther == .initiatorError, "\(key.name)")
            case .fullFeature:
                #expect(inSecurity == .initiatorError && inOperational == .initiatorError, "\(key.name)")
            }
        }
    }

    @Test("Keys that only a target may send are refused from an initiator")
    func senders() {
        for key in NegotiationKeys.all where key.sender == .target {
            for stage in [LoginTalk.security, LoginTalk.operational] {
                var talk = LoginTalk()
                let step = talk.send(LoginTalk.names + "|\(key.name)=1", from: stage)
                #expect(step.refusal == .initiatorError, "\(key.name)")
            }
        }
    }

    @Test("Without a word the standard's defaults are in force")
    func defaults() throws {
        let (_, parameters, _) = negotiate("")
        let inForce = try #require(parameters)
        #expect(inForce.session == SessionParameters())
        #expect(inForce.maxSendDataSegmentLength == 8192)
        let session = inForce.session
        #expect(session.initialR2T && session.immediateData)
        #expect(session.firstBurstLength == 65536 && session.maxBurstLength == 262_144)
        #expect(session.maxOutstandingR2T == 1 && session.maxConnections == 1 && session.errorRecoveryLevel == 0)
        #expect(session.defaultTime2WaitSeconds == 2 && session.defaultTime2RetainSeconds == 20)
        #expect(session.dataPDUInOrder && session.dataSequenceInOrder)
    }

    @Test("What libiscsi and open-iscsi say in their operational stage is agreed as they expect")
    func initiatorsInUse() throws {
        let (keys, parameters, _) = negotiate(
            """
            HeaderDigest=None,CRC32C|DataDigest=None|InitialR2T=No|ImmediateData=Yes|MaxBurstLength=16776192|\
            FirstBurstLength=262144|MaxRecvDataSegmentLength=262144|DefaultTime2Wait=2|DefaultTime2Retain=0|\
            MaxConnections=1|MaxOutstandingR2T=1|ErrorRecoveryLevel=0|IFMarker=No|OFMarker=No|DataPDUInOrder=Yes|\
            DataSequenceInOrder=Yes
            """)
        let session = try #require(parameters).session
        #expect(!session.initialR2T && session.immediateData)
        #expect(session.maxBurstLength == 1_048_576 && session.firstBurstLength == 262_144)
        #expect(keys["OFMarker"] == "No" && keys["HeaderDigest"] == "None")
    }
}
