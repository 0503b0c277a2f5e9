// SPDX-License-Identifier: Apache-2.0

/// One iSNSP message: what its PDUs carry together (RFC 4171 5.2).
public struct ISNSMessage: Equatable, Sendable {
    /// The number, since a server may send functions that we do not know.
    public var function: UInt16
    /// Without the first and last flags, which belong to PDUs.
    public var flags: ISNSFlags
    public var transaction: UInt16
    public var payload: [UInt8]

    public init(function: UInt16, flags: ISNSFlags, transaction: UInt16, payload: [UInt8]) {
        self.function = function
        self.flags = flags
        self.transaction = transaction
        self.payload = payload
    }

    public var knownFunction: ISNSFunction? { ISNSFunction(rawValue: function) }

    /// A request of a client (5.6).
    public static func request(
        _ function: ISNSFunction, transaction: UInt16, flags: ISNSFlags = [], _ attributes: [ISNSAttribute]
    ) -> ISNSMessage {
        ISNSMessage(
            function: function.rawValue, flags: flags.union(.client), transaction: transaction,
            payload: attributes.flatMap(\.bytes))
    }

    /// The client's answer to a server's SCN or ESI (5.7.5.8, 5.7.5.13): the status, then the Destination Attribute of
    /// the SCN, or all attributes of the ESI. Nil for messages that have no answer.
    public func answered() -> ISNSMessage? {
        guard let function = knownFunction, let response = function.response else { return nil }
        var status = ISNSStatus.successful
        var attributes: [ISNSAttribute] = []
        switch function {
        case .scn, .esi:
            do throws(ISNSError) {
                attributes = try ISNSAttribute.list(payload[...])
                if function == .scn { attributes = Array(attributes.prefix(1)) }
            } catch {
                status = .messageFormatError
            }
        default: status = .messageNotSupported
        }
        var payload: [UInt8] = []
        payload.append(field: status.rawValue)
        return ISNSMessage(
            function: response.rawValue, flags: .client, transaction: transaction,
            payload: payload + attributes.flatMap(\.bytes))
    }

    /// A response's status and attributes.
    public func result() throws(ISNSError) -> (status: ISNSStatus, attributes: [ISNSAttribute]) {
        var reader = ByteReader(payload[...])
        guard let code = reader.uint32() else { throw .truncated }
        let status = ISNSStatus(rawValue: code)
        // A refusal may carry anything, or nothing.
        guard status == .successful else { return (status, []) }
        return (status, try ISNSAttribute.list(reader.rest))
    }

    /// The message as it goes over the wire: PDUs of at most `limit` bytes of payload, a multiple of four.
    public func bytes(payloadLimit limit: Int = ISNSHeader.maximumPayloadByteCount) -> [UInt8] {
        let limit = max(4, min(limit, ISNSHeader.maximumPayloadByteCount) & ~3)
        var bytes: [UInt8] = []
        var rest = payload[...]
        var sequence: UInt16 = 0
        repeat {
            let part = rest.prefix(limit)
            rest = rest.dropFirst(part.count)
            var flags = flags
            if sequence == 0 { flags.insert(.firstPDU) }
            if rest.isEmpty { flags.insert(.lastPDU) }
            bytes +=
                ISNSHeader(
                    function: function, payloadByteCount: part.count, flags: flags, transaction: transaction,
                    sequence: sequence
                ).bytes
            bytes += part
            sequence &+= 1
        } while !rest.isEmpty
        return bytes
    }
}

/// Makes messages of what comes over TCP, in whatever pieces it comes.
public struct ISNSMessageReader: Sendable {
    /// Of one message, however many PDUs it has, unless more is asked for.
    public static let maximumMessageByteCount = 256 << 10

    /// Bytes that the payload of one message may have.
    public private(set) var limit = Self.maximumMessageByteCount

    private var buffer: [UInt8] = []
    /// The message that has begun; its flags are those of its first PDU.
    private var message: ISNSMessage?
    private var nextSequence: UInt16 = 0

    public init() {}

    /// An answer to `request` may hold all of its attributes again (RFC 4171 5.7.5.1).
    public mutating func expectAnswer(to request: ISNSMessage) {
        limit = max(limit, request.payload.count + Self.maximumMessageByteCount)
    }

    /// Bytes that are held: less than one PDU and the message that has begun, once `next` has returned nil.
    public var heldByteCount: Int { buffer.count + (message?.payload.count ?? 0) }

    public mutating func append(_ bytes: some Sequence<UInt8>) { buffer += bytes }

    /// The next whole message; nil when more bytes must come first. After an error the stream is of no use any more.
    public mutating func next() throws(ISNSError) -> ISNSMessage? {
        var used = 0
        defer { buffer.removeFirst(used) }
        while buffer.count - used >= ISNSHeader.byteCount {
            let header = try ISNSHeader(buffer[used...])
            let start = used + ISNSHeader.byteCount
            guard buffer.count - start >= header.payloadByteCount else {
                try check(header)
                return nil
            }
            try check(header)
            used = start + header.payloadByteCount
            var message = message ?? Self.begin(header)
            message.payload += buffer[start..<used]
            nextSequence &+= 1
            guard header.flags.contains(.lastPDU) else {
                self.message = message
                continue
            }
            self.message = nil
            nextSequence = 0
            return message
        }
        return nil
    }

    private static func begin(_ header: ISNSHeader) -> ISNSMessage {
        ISNSMessage(
            function: header.function, flags: header.flags.subtracting([.firstPDU, .lastPDU]),
            transaction: header.transaction, payload: [])
    }

    /// Before its payload is waited for.
    private func check(_ header: ISNSHeader) throws(ISNSError) {
        guard !header.flags.contains(.authenticationBlock) else { throw .authenticationBlock }
        guard header.flags.contains(.firstPDU) == (message == nil), header.sequence == nextSequence else {
            throw .outOfSequence
        }
        guard let message else { return }
        guard header.function == message.function, header.transaction == message.transaction,
            header.sequence != 0
        else { throw .outOfSequence }
        guard message.payload.count + header.payloadByteCount <= limit else { throw .tooLong }
    }
}
