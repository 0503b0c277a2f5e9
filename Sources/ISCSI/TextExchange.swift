// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// The target's part of a Text Response; sequence numbers are filled in when it is sent.
public struct TextAnswer: Equatable, Sendable {
    public var isFinal: Bool
    public var continues: Bool
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    public var targetTransferTag: UInt32
    /// The data segment.
    public var text: [UInt8]

    public func pdu(_ numbers: SequenceNumbers) -> TextResponsePDU {
        TextResponsePDU(
            isFinal: isFinal, continues: continues, lun: lun, initiatorTaskTag: initiatorTaskTag,
            targetTransferTag: targetTransferTag, numbers: numbers, dataSegmentLength: UInt32(text.count))
    }
}

/// Text negotiation in the full feature phase (RFC 7143 6.4 and 11.10): one exchange at a time on a connection.
public struct TextExchange: Equatable, Sendable {
    /// Text Requests that one exchange may take.
    public static let requestLimit = 128

    /// An exchange that has begun.
    private struct Open: Equatable, Sendable {
        let initiatorTaskTag: UInt32
        let targetTransferTag: UInt32
        var requestCount = 0
        var incoming = IncomingText()
        var outgoing = OutgoingText()
        /// Keys that have had their turn: each has one in an exchange.
        var settled: Set<String> = []
        /// Takes effect with the last response.
        var maxSendDataSegmentLength: Int?
    }

    private var open: Open?
    private var nextTag: UInt32 = 0

    public init() {}

    /// One Text Request; `text` is its data segment.
    /// - Parameters:
    ///   - parameters: the connection's; changed when the exchange ends.
    ///   - sessionTarget: the target of a normal session; nil for discovery.
    ///   - targets: what this initiator may be told about.
    public mutating func receive(
        _ request: TextRequestPDU, text: [UInt8], parameters: inout NegotiatedParameters, sessionTarget: String?,
        targets: (SendTargets.Scope) -> [SendTargets.Record]
    ) throws(PDUError) -> TextAnswer {
        var exchange = try exchange(of: request)
        do throws(PDUError) {
            try take(request, text, into: &exchange, parameters, sessionTarget, targets)
        } catch {
            open = nil
            throw error
        }
        let piece = exchange.outgoing.nextPiece(maxByteCount: parameters.maxSendDataSegmentLength)
        let continues = !exchange.outgoing.isEmpty
        let isFinal = request.isFinal && !continues
        if isFinal {
            if let byteCount = exchange.maxSendDataSegmentLength { parameters.maxSendDataSegmentLength = byteCount }
            open = nil
        } else {
            open = exchange
        }
        return TextAnswer(
            isFinal: isFinal, continues: continues, lun: request.lun, initiatorTaskTag: request.initiatorTaskTag,
            targetTransferTag: isFinal ? BasicHeaderSegment.reservedTag : exchange.targetTransferTag, text: piece)
    }

    /// The exchange that a request goes on with, or a new one in place of any that had begun (RFC 7143 11.10.4).
    private mutating func exchange(of request: TextRequestPDU) throws(PDUError) -> Open {
        guard request.targetTransferTag == BasicHeaderSegment.reservedTag else {
            guard let open, open.targetTransferTag == request.targetTransferTag,
                open.initiatorTaskTag == request.initiatorTaskTag
            else { throw .reject(.protocolError) }
            return open
        }
        let tag = nextTag
        nextTag = (nextTag &+ 1) & 0x7FFF_FFFF
        return Open(initiatorTaskTag: request.initiatorTaskTag, targetTransferTag: tag)
    }

    private func take(
        _ request: TextRequestPDU, _ text: [UInt8], into exchange: inout Open, _ parameters: NegotiatedParameters,
        _ sessionTarget: String?, _ targets: (SendTargets.Scope) -> [SendTargets.Record]
    ) throws(PDUError) {
        exchange.requestCount += 1
        guard exchange.requestCount <= Self.requestLimit || !exchange.outgoing.isEmpty else {
            throw .reject(.longOperationReject)
        }
        if !exchange.outgoing.isEmpty {
            // Our own text goes on: the initiator may only ask for more of it.
            guard text.isEmpty, !request.continues else { throw .reject(.protocolError) }
            return
        }
        let whole: TextParameters
        do throws(TextError) {
            try exchange.incoming.append(text)
            if request.continues { return }
            whole = try exchange.incoming.take()
        } catch {
            throw .reject(error == .tooLong ? .longOperationReject : .protocolError)
        }
        for pair in whole.pairs {
            guard exchange.settled.insert(pair.key).inserted else { throw .reject(.protocolError) }
        }
        exchange.outgoing = OutgoingText(answer(whole, &exchange, parameters, sessionTarget, targets))
    }

    private func answer(
        _ text: TextParameters, _ exchange: inout Open, _ parameters: NegotiatedParameters, _ sessionTarget: String?,
        _ targets: (SendTargets.Scope) -> [SendTargets.Record]
    ) -> TextParameters {
        var answers = TextParameters()
        var negotiation = Negotiation(local: LocalParameters(), parameters: parameters)
        for pair in text.pairs where !NegotiationKey.Answer.isRefusal(pair.value) {
            guard let key = NegotiationKeys.key(pair.key) else {
                answers.append(pair.key, NegotiationKey.Answer.notUnderstood)
                continue
            }
            guard key.sender != .target, Negotiation.allows(key, in: .fullFeature, isLeading: false) else {
                answers.append(key.name, NegotiationKey.Answer.reject)
                continue
            }
            if case .sendTargets = key.rule {
                if let scope = SendTargets.scope(pair.value, sessionTarget: sessionTarget) {
                    SendTargets.append(targets(scope), to: &answers)
                } else {
                    answers.append(key.name, NegotiationKey.Answer.reject)
                }
            } else if let answer = negotiation.answer(key, pair.value) {
                answers.append(key.name, answer)
            }
        }
        if negotiation.parameters.maxSendDataSegmentLength != parameters.maxSendDataSegmentLength {
            exchange.maxSendDataSegmentLength = negotiation.parameters.maxSendDataSegmentLength
        }
        return answers
    }
}
