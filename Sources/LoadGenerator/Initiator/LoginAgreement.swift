// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// What we offer in the operational stage, and what the target's answers make of it (RFC 7143 13).
struct LoginAgreement: Sendable {
    private let proposal: LoginRequester.Proposal
    private(set) var parameters = NegotiatedParameters()

    private typealias Answer = NegotiationKey.Answer

    /// RFC 7143 13.12 to 13.14: bytes.
    private static let lengths = 512...0xFF_FFFF
    private static let crc32c = "CRC32C"

    init(_ proposal: LoginRequester.Proposal) {
        self.proposal = proposal
        parameters.maxReceiveDataSegmentLength = proposal.maxReceiveDataSegmentLength
    }

    var offer: [TextParameters.Pair] {
        [
            .init("HeaderDigest", proposal.digests.hasHeader ? "\(Self.crc32c),\(Answer.none)" : Answer.none),
            .init("DataDigest", proposal.digests.hasData ? "\(Self.crc32c),\(Answer.none)" : Answer.none),
            .init("InitialR2T", proposal.initialR2T ? Answer.yes : Answer.no),
            .init("ImmediateData", proposal.immediateData ? Answer.yes : Answer.no),
            .init("MaxRecvDataSegmentLength", "\(proposal.maxReceiveDataSegmentLength)"),
            .init("MaxBurstLength", "\(proposal.maxBurstLength)"),
            .init("FirstBurstLength", "\(proposal.firstBurstLength)"),
            .init("MaxConnections", "1"),
            .init("MaxOutstandingR2T", "1"),
            .init("DefaultTime2Wait", "2"),
            .init("DefaultTime2Retain", "0"),
            .init("ErrorRecoveryLevel", "0"),
            .init("DataPDUInOrder", Answer.yes),
            .init("DataSequenceInOrder", Answer.yes),
        ]
    }

    /// A key of the target. What to answer, for a key that it brings up itself.
    mutating func take(_ pair: TextParameters.Pair) throws(LoadFailure) -> String? {
        let value = pair.value
        switch pair.key {
        case "AuthMethod":
            guard value == Answer.none else {
                throw .runTime(
                    "the target wants authentication (AuthMethod=\(value)), and a bench has none to give: "
                        + "let the initiator \(proposal.initiatorName) in without it")
            }
        case "HeaderDigest":
            parameters.hasHeaderDigest = try digest(pair, wasOffered: proposal.digests.hasHeader)
        case "DataDigest":
            parameters.hasDataDigest = try digest(pair, wasOffered: proposal.digests.hasData)
        case "InitialR2T":
            // Yes when either says Yes.
            parameters.session.initialR2T = try boolean(pair) || proposal.initialR2T
        case "ImmediateData":
            parameters.session.immediateData = try boolean(pair) && proposal.immediateData
        case "MaxRecvDataSegmentLength":
            parameters.maxSendDataSegmentLength = try number(pair, Self.lengths)
        case "MaxBurstLength":
            parameters.session.maxBurstLength = try number(pair, Self.lengths.lowerBound...proposal.maxBurstLength)
        case "FirstBurstLength":
            parameters.session.firstBurstLength = try number(
                pair, Self.lengths.lowerBound...proposal.firstBurstLength)
        case "MaxConnections", "MaxOutstandingR2T":
            _ = try number(pair, 1...1)
        case "ErrorRecoveryLevel":
            _ = try number(pair, 0...0)
        case "DefaultTime2Wait", "DefaultTime2Retain":
            _ = try number(pair, 0...3600)
        case "DataPDUInOrder", "DataSequenceInOrder":
            guard try boolean(pair) else { throw defect(pair, "Yes was asked for") }
        case "TargetAlias", "TargetAddress", "TargetPortalGroupTag":
            // It tells, and wants no answer.
            return nil
        default:
            return NegotiationKeys.key(pair.key) == nil ? Answer.notUnderstood : Answer.reject
        }
        return nil
    }

    /// Once all is said.
    func check() throws(LoadFailure) {
        guard parameters.hasHeaderDigest == proposal.digests.hasHeader else {
            throw .runTime("the target does not agree to header digests: leave them out with --digests")
        }
        guard parameters.hasDataDigest == proposal.digests.hasData else {
            throw .runTime("the target does not agree to data digests: leave them out with --digests")
        }
    }

    private func boolean(_ pair: TextParameters.Pair) throws(LoadFailure) -> Bool {
        switch pair.value {
        case Answer.yes: return true
        case Answer.no: return false
        default: throw defect(pair, "Yes or No was due")
        }
    }

    private func number(_ pair: TextParameters.Pair, _ range: ClosedRange<Int>) throws(LoadFailure) -> Int {
        let digits = pair.value.hasPrefix("0x") || pair.value.hasPrefix("0X") ? pair.value.dropFirst(2) : nil
        let number = digits.map { Int($0, radix: 16) } ?? Int(pair.value)
        guard let number, range.contains(number) else {
            throw defect(pair, "a number from \(range.lowerBound) to \(range.upperBound) was due")
        }
        return number
    }

    private func digest(_ pair: TextParameters.Pair, wasOffered: Bool) throws(LoadFailure) -> Bool {
        switch pair.value {
        case Self.crc32c where wasOffered: return true
        case Answer.none: return false
        default: throw defect(pair, wasOffered ? "CRC32C or None was offered" : "None was offered")
        }
    }

    private func defect(_ pair: TextParameters.Pair, _ why: String) -> LoadFailure {
        .runTime("the target answers \(pair.key)=\(pair.value.prefix(80)) in the login, where \(why)")
    }
}
