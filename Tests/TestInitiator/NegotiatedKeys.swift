// SPDX-License-Identifier: Apache-2.0

/// What a login has led to, by this initiator's own reading of RFC 7143 13: offers, answers, and defaults.
package struct NegotiatedKeys: Equatable, Sendable {
    package var headerDigest = false
    package var dataDigest = false
    package var maxConnections = 1
    package var initialR2T = true
    package var immediateData = true
    /// Bytes of the longest data segment that the target takes.
    package var targetMaxRecvDataSegmentLength = 8192
    package var firstBurstLength = 65536
    package var maxBurstLength = 262_144
    package var maxOutstandingR2T = 1
    package var time2WaitSeconds = 2
    package var time2RetainSeconds = 20
    package var errorRecoveryLevel = 0

    /// Sets what one login says. `offered` are our keys, `said` is all that the target said.
    mutating func apply(offered: TextKeys, said: TextKeys) throws {
        var answers: [String: String] = [:]
        for (key, value) in said where key != "TargetAddress" {
            guard answers.updateValue(value, forKey: key) == nil || Self.mayRepeat(key) else {
                throw InitiatorFailure.violation("the target said \(key) twice")
            }
        }
        for (key, offer) in offered {
            let answer = answers[key]
            switch key {
            case "HeaderDigest": headerDigest = try Self.list(key, offer, answer) == "CRC32C"
            case "DataDigest": dataDigest = try Self.list(key, offer, answer) == "CRC32C"
            case "InitialR2T": initialR2T = try Self.boolean(key, offer, answer, decisive: true)
            case "ImmediateData": immediateData = try Self.boolean(key, offer, answer, decisive: false)
            case "MaxConnections": maxConnections = try Self.least(key, offer, answer)
            case "FirstBurstLength" where answer == "Irrelevant":
                // RFC 7143 13.14: without unsolicited data of any kind.
                guard answers["InitialR2T"] != "No", answers["ImmediateData"] == "No" || isWithoutImmediate(offered)
                else { throw InitiatorFailure.violation("FirstBurstLength is not irrelevant") }
            case "FirstBurstLength": firstBurstLength = try Self.least(key, offer, answer)
            case "MaxBurstLength": maxBurstLength = try Self.least(key, offer, answer)
            case "MaxOutstandingR2T": maxOutstandingR2T = try Self.least(key, offer, answer)
            case "DefaultTime2Retain": time2RetainSeconds = try Self.least(key, offer, answer)
            case "ErrorRecoveryLevel": errorRecoveryLevel = try Self.least(key, offer, answer)
            case "DefaultTime2Wait": time2WaitSeconds = try Self.greatest(key, offer, answer)
            default: continue
            }
        }
        if let declared = answers["MaxRecvDataSegmentLength"] {
            guard let count = Int(declared), (512...16_777_215).contains(count) else {
                throw InitiatorFailure.violation("MaxRecvDataSegmentLength=\(declared)")
            }
            targetMaxRecvDataSegmentLength = count
        }
        guard firstBurstLength <= maxBurstLength || answers["FirstBurstLength"] == "Irrelevant" else {
            throw InitiatorFailure.violation(
                "FirstBurstLength \(firstBurstLength) beyond MaxBurstLength \(maxBurstLength)")
        }
    }

    private func isWithoutImmediate(_ offered: TextKeys) -> Bool {
        offered.contains { $0.key == "ImmediateData" && $0.value == "No" }
    }

    /// Keys of an authentication come more than once.
    private static func mayRepeat(_ key: String) -> Bool { key.hasPrefix("CHAP_") }

    private static func answered(_ key: String, _ answer: String?) throws -> String {
        guard let answer else { throw InitiatorFailure.violation("the target did not answer \(key)") }
        return answer
    }

    private static func list(_ key: String, _ offer: String, _ answer: String?) throws -> String {
        let answer = try answered(key, answer)
        guard offer.split(separator: ",").contains(Substring(answer)) else {
            throw InitiatorFailure.violation("\(key)=\(offer) was answered with \(answer)")
        }
        return answer
    }

    /// AND (decisive value No) and OR (decisive value Yes). A decisive offer needs no answer (RFC 7143 6.2.2).
    private static func boolean(_ key: String, _ offer: String, _ answer: String?, decisive: Bool) throws -> Bool {
        let offered = offer == "Yes"
        if offered == decisive {
            guard answer == nil || answer == offer else {
                throw InitiatorFailure.violation("\(key)=\(offer) was answered with \(answer!)")
            }
            return decisive
        }
        let answer = try answered(key, answer)
        guard answer == "Yes" || answer == "No" else {
            throw InitiatorFailure.violation("\(key) was answered with \(answer)")
        }
        return answer == "Yes"
    }

    private static func least(_ key: String, _ offer: String, _ answer: String?) throws -> Int {
        let answer = try answered(key, answer)
        guard let number = Int(answer), let offered = Int(offer), number <= offered, number >= 0 else {
            throw InitiatorFailure.violation("\(key)=\(offer) was answered with \(answer)")
        }
        return number
    }

    private static func greatest(_ key: String, _ offer: String, _ answer: String?) throws -> Int {
        let answer = try answered(key, answer)
        guard let number = Int(answer), let offered = Int(offer), number >= offered else {
            throw InitiatorFailure.violation("\(key)=\(offer) was answered with \(answer)")
        }
        return number
    }
}
