// SPDX-License-Identifier: Apache-2.0

/// Why a text is no list of key=value pairs.
public enum TextError: Error, Equatable, Sendable, CaseIterable {
    /// The last pair has no zero byte behind it.
    case unterminated
    /// A pair without "=".
    case missingDelimiter
    /// A key that is empty, longer than `keyByteLimit`, or not written as RFC 7143 6.1 asks.
    case illegalKey
    /// A value that is not UTF-8, or longer than `valueByteLimit`.
    case illegalValue
    case duplicateKey
    /// More than `byteLimit` bytes or `pairLimit` pairs.
    case tooLong
}

/// Keys and values of a login or text negotiation (RFC 7143 6.1): pairs, each ended by a zero byte.
public struct TextParameters: Equatable, Sendable {
    public struct Pair: Equatable, Sendable {
        public let key: String
        public let value: String

        public init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }
    }

    /// RFC 7143 6.1: a standard label.
    public static let keyByteLimit = 63
    /// Bytes of a value: what authentication may need, in hexadecimal and base64 forms.
    public static let valueByteLimit = 8192
    /// Bytes of one text, across all PDUs that carry a piece of it: what RFC 7143 6.1 asks to be taken.
    public static let byteLimit = 64 << 10
    /// Pairs of one text: several times what the standards define.
    public static let pairLimit = 256

    public private(set) var pairs: [Pair] = []

    public init() {}

    public init(_ pairs: [Pair]) { self.pairs = pairs }

    /// Reads a whole text. Zero bytes between pairs, which some initiators send as padding, are skipped.
    public init(parsing bytes: [UInt8]) throws(TextError) {
        guard bytes.count <= Self.byteLimit else { throw .tooLong }
        var seen: Set<String> = []
        var start = 0
        while start < bytes.count {
            if bytes[start] == 0 {
                start += 1
                continue
            }
            guard let end = bytes[start...].firstIndex(of: 0) else { throw .unterminated }
            let pair = try Self.pair(bytes[start..<end])
            guard seen.insert(pair.key).inserted else { throw .duplicateKey }
            guard pairs.count < Self.pairLimit else { throw .tooLong }
            pairs.append(pair)
            start = end + 1
        }
    }

    private static func pair(_ bytes: ArraySlice<UInt8>) throws(TextError) -> Pair {
        guard let delimiter = bytes.firstIndex(of: UInt8(ascii: "=")) else { throw .missingDelimiter }
        let key = bytes[..<delimiter]
        let value = bytes[(delimiter + 1)...]
        guard isLegalKey(key) else { throw .illegalKey }
        guard value.count <= valueByteLimit, let text = String(validating: value, as: UTF8.self) else {
            throw .illegalValue
        }
        return Pair(String(decoding: key, as: UTF8.self), text)
    }

    /// RFC 7143 6.1: begins with a capital letter, goes on with letters, digits and ". - + @ _". Two liberties, because
    /// the standard takes them itself: a lower-case letter in front (iSCSIProtocolLevel), and "#" (X#NodeArchitecture).
    private static func isLegalKey(_ key: ArraySlice<UInt8>) -> Bool {
        guard let first = key.first, key.count <= keyByteLimit, isLetter(first) else { return false }
        return key.allSatisfy { byte in
            isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || marks.contains(byte)
        }
    }

    private static let marks: [UInt8] = Array(".-+@_#".utf8)

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    public subscript(key: String) -> String? {
        pairs.first { $0.key == key }?.value
    }

    public mutating func append(_ key: String, _ value: String) {
        pairs.append(Pair(key, value))
    }

    /// As they go into data segments.
    public var encoded: [UInt8] {
        var bytes: [UInt8] = []
        for pair in pairs {
            bytes += pair.key.utf8
            bytes.append(UInt8(ascii: "="))
            bytes += pair.value.utf8
            bytes.append(0)
        }
        return bytes
    }
}

/// Text that goes out in pieces, each as long as a data segment of the peer may be.
struct OutgoingText: Equatable, Sendable {
    private var bytes: [UInt8] = []
    private var sentByteCount = 0

    init() {}

    init(_ text: TextParameters) { bytes = text.encoded }

    var isEmpty: Bool { sentByteCount == bytes.count }

    /// Bytes that have not gone out.
    var byteCount: Int { bytes.count - sentByteCount }

    mutating func nextPiece(maxByteCount: Int) -> [UInt8] {
        let piece = Array(bytes[sentByteCount...].prefix(max(1, maxByteCount)))
        sentByteCount += piece.count
        return piece
    }
}

/// Text that comes in pieces, held together by the C bit.
struct IncomingText: Equatable, Sendable {
    private(set) var bytes: [UInt8] = []

    var isEmpty: Bool { bytes.isEmpty }

    /// Throws when it is more than a text may be; nothing is added then.
    mutating func append(_ piece: [UInt8]) throws(TextError) {
        guard piece.count <= TextParameters.byteLimit - bytes.count else { throw .tooLong }
        bytes += piece
    }

    /// The whole text, which is forgotten here.
    mutating func take() throws(TextError) -> TextParameters {
        let whole = bytes
        bytes = []
        return try TextParameters(parsing: whole)
    }
}
