// SPDX-License-Identifier: Apache-2.0

/// What is wrong with bytes that came as iSNSP.
public enum ISNSError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Fewer bytes than the fields in them need.
    case truncated
    case version(UInt16)
    /// A length that is no multiple of four (RFC 4171 5.1.3 and 5.3.1).
    case misaligned
    /// A PDU that does not continue the message before it, or a message whose first PDU is missing (5.2).
    case outOfSequence
    case tooLong
    /// Authentication blocks (5.5) are not understood.
    case authenticationBlock
    /// An attribute whose length is not that of its kind.
    case attributeLength(UInt32)

    public var description: String {
        switch self {
        case .truncated: "a message ends too early"
        case .version(let version): "version \(version) of the protocol is unknown"
        case .misaligned: "a length is no multiple of four"
        case .outOfSequence: "the PDUs of a message are out of sequence"
        case .tooLong: "a message is longer than \(ISNSMessageReader.maximumMessageByteCount) bytes"
        case .authenticationBlock: "a message carries an authentication block, which is not supported"
        case .attributeLength(let tag): "the attribute \(tag) has a length that it cannot have"
        }
    }
}
