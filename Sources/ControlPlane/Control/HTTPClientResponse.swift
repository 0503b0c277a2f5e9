// SPDX-License-Identifier: Apache-2.0

/// An HTTP/1.1 response (RFC 9112) that ended with its connection, with a body in one piece.
struct HTTPClientResponse: Equatable {
    static let okay = 200
    static let badRequest = 400
    static let notFound = 404

    let statusCode: Int
    let body: [UInt8]
    /// Content-Length, where it was told.
    let announcedByteCount: Int?

    private static let separator = Array("\r\n\r\n".utf8)

    /// Nil when the bytes are no such response.
    init?(_ bytes: [UInt8]) {
        guard let head = Self.headEnd(in: bytes) else { return nil }
        let lines = String(decoding: bytes[..<head], as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let code = Int(words[1]) else { return nil }
        statusCode = code
        body = Array(bytes[(head + Self.separator.count)...])
        announcedByteCount =
            lines.dropFirst().lazy.compactMap { line -> Int? in
                let parts = line.split(separator: ":", maxSplits: 1)
                guard parts.count == 2, parts[0].lowercased() == "content-length" else { return nil }
                return Int(parts[1].filter { $0 != " " })
            }.first
    }

    /// False when the connection was cut within the body.
    var isComplete: Bool { announcedByteCount == nil || announcedByteCount == body.count }

    private static func headEnd(in bytes: [UInt8]) -> Int? {
        guard bytes.count >= separator.count else { return nil }
        return (0...(bytes.count - separator.count)).first { index in
            bytes[index] == separator[0] && bytes[index..<(index + separator.count)].elementsEqual(separator)
        }
    }
}
