// SPDX-License-Identifier: Apache-2.0

/// Keys of a login or text negotiation, in the order in which they stand on the wire.
package typealias TextKeys = [(key: String, value: String)]

/// An address to connect to: an IPv4 or IPv6 address, without brackets.
package struct Portal: Equatable, Sendable {
    package var host: String
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// From a TargetAddress value: "host[:port][,portal-group-tag]" (RFC 7143 13.8).
    package init?(targetAddress: String) {
        var text = Substring(targetAddress.prefix { $0 != "," })
        port = 3260
        if let colon = text.lastIndex(of: ":"), !text[colon...].contains("]") {
            guard let number = UInt16(text[text.index(after: colon)...]) else { return nil }
            port = number
            text = text[..<colon]
        }
        if text.hasPrefix("["), text.hasSuffix("]") { text = text.dropFirst().dropLast() }
        host = String(text)
    }
}

/// What a session offers in its login, and how the initiator behaves in it.
package struct SessionOptions {
    package var initiatorName = "iqn.2026-11.org.martlet:test-initiator"
    /// Nil makes a discovery session.
    package var targetName: String?
    /// Six bytes (RFC 7143 11.12.5): type 10b, random, unless the test says otherwise.
    package var isid: UInt64 = 0x8012_3456_0001
    /// The CID of the first connection.
    package var cid: UInt16 = 0
    /// The CmdSN of the login, and so of the first command.
    package var firstCmdSN: UInt32 = 1
    /// The logical unit of commands that name none.
    package var lun = 0

    // What is offered (RFC 7143 13). Lengths in bytes.
    package var headerDigest = "None"
    package var dataDigest = "None"
    package var maxConnections = 1
    package var initialR2T = false
    package var immediateData = true
    package var maxRecvDataSegmentLength = 65536
    package var firstBurstLength = 65536
    package var maxBurstLength = 262_144
    package var maxOutstandingR2T = 1
    package var time2WaitSeconds = 2
    package var time2RetainSeconds = 20
    package var errorRecoveryLevel = 0
    /// Keys that are said besides, and keys that are not said at all.
    package var furtherKeys: TextKeys = []
    package var omittedKeys: Set<String> = []

    // How the login goes.
    /// Begin with the security stage; without it the first request is in the operational stage.
    package var beginsWithSecurity = false
    /// Values of AuthMethod in the security stage.
    package var authMethod = "None"
    /// Takes the target's keys and gives the next ones to say, or nil when it has no more to say.
    /// `CHAPInitiator` makes one.
    package var authenticate: ((TextKeys) throws -> TextKeys?)?
    /// Cuts login texts into pieces of so many bytes, each but the last with the C bit.
    package var textPieceByteCount = 8192
    /// Redirections that are followed, one after another; one more is a refusal.
    package var redirectionLimit = 0

    // Waiting.
    /// Whatever is awaited must come within this time.
    package var timeoutSeconds = 20.0
    /// At error recovery level 1 and 2: after so long without a PDU, ask for what the target may have sent.
    package var quietMilliseconds = 50
    /// Answer NOP-Ins that ask for it.
    package var answersPings = true
    /// Called whenever the initiator is about to wait: where a scripted target in the same thread has its turn.
    package var beforeWaiting: (() throws -> Void)?

    package init(targetName: String?) { self.targetName = targetName }

    /// InitiatorName, SessionType, TargetName. SessionType belongs to the leading connection (RFC 7143 13.21: LO).
    package func names(isLeading: Bool) -> TextKeys {
        var keys: TextKeys = [("InitiatorName", initiatorName)]
        if isLeading { keys.append(("SessionType", targetName == nil ? "Discovery" : "Normal")) }
        if let targetName { keys.append(("TargetName", targetName)) }
        return keys.filter { !omittedKeys.contains($0.key) }
    }

    /// Keys of the operational stage. A connection that joins a session speaks of itself alone (RFC 7143 6.3.1: keys
    /// marked LO belong to the leading connection).
    package func operationalKeys(isLeading: Bool) -> TextKeys {
        func boolean(_ value: Bool) -> String { value ? "Yes" : "No" }
        var keys: TextKeys = [
            ("HeaderDigest", headerDigest), ("DataDigest", dataDigest),
            ("MaxRecvDataSegmentLength", "\(maxRecvDataSegmentLength)"),
        ]
        if isLeading {
            keys += [
                ("DefaultTime2Wait", "\(time2WaitSeconds)"), ("DefaultTime2Retain", "\(time2RetainSeconds)"),
                ("ErrorRecoveryLevel", "\(errorRecoveryLevel)"),
            ]
        }
        if isLeading && targetName != nil {
            keys += [
                ("MaxConnections", "\(maxConnections)"), ("InitialR2T", boolean(initialR2T)),
                ("ImmediateData", boolean(immediateData)), ("FirstBurstLength", "\(firstBurstLength)"),
                ("MaxBurstLength", "\(maxBurstLength)"), ("MaxOutstandingR2T", "\(maxOutstandingR2T)"),
                ("DataPDUInOrder", "Yes"), ("DataSequenceInOrder", "Yes"),
            ]
        }
        return (keys + furtherKeys).filter { !omittedKeys.contains($0.key) }
    }
}
