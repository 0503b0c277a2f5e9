// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// JSON as this program writes and reads it: sorted keys, so that equal values give equal text.
public enum JSON {
    /// With a line end. Our documents hold nothing that JSON cannot say.
    public static func text(_ value: some Encodable) -> String {
        String(decoding: data(value), as: UTF8.self) + "\n"
    }

    static func data(_ value: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(value)) ?? Data("{}".utf8)
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) -> Value? {
        try? JSONDecoder().decode(type, from: Data(bytes))
    }
}
