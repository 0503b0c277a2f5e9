// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import TargetCore

/// The file that keeps the durable state of one logical unit: JSON with a version, the unit's serial number and a
/// checksum over all of it.
public enum UnitStateFile {
    /// Why a file cannot be used: the end of a sentence that begins with its path.
    struct Defect: Error, Equatable {
        let words: String

        static func damaged(_ how: String) -> Defect { Defect(words: "is damaged (\(how))") }
    }

    /// Version 1: `DurableUnitState` of this program. A new optional member is no new version.
    static let version = 1
    /// A full house of registrations takes a few hundred kilobytes.
    static let maximumByteCount = 4 << 20

    private static let format = "martlet logical unit state"
    private static let checksumDigitCount = 16
    private static let noChecksum = String(repeating: "0", count: checksumDigitCount)
    private static let checksumStart = "\"checksum\" : \""

    private struct Document: Codable {
        var format: String
        var version: Int
        var serial: String
        var checksum: String
        var state: DurableUnitState
    }

    /// What every version has.
    private struct Heading: Decodable {
        var format: String
        var version: Int
        var serial: String
    }

    static func encode(_ state: DurableUnitState, serial: String) -> Data {
        let document = Document(
            format: format, version: version, serial: serial, checksum: noChecksum, state: state)
        let text = JSON.text(document)
        return Data(replacingChecksum(of: text, by: checksum(of: text)).utf8)
    }

    static func decode(_ bytes: Data, serial: String) throws(Defect) -> DurableUnitState {
        guard bytes.count <= maximumByteCount else { throw .damaged("it is too long") }
        guard let text = String(data: bytes, encoding: .utf8) else { throw .damaged("it is no text") }
        guard (try? JSONSerialization.jsonObject(with: bytes)) != nil else {
            throw .damaged("it is no whole JSON document")
        }
        guard let heading = JSON.decode(Heading.self, from: Array(bytes)), heading.format == format else {
            throw Defect(words: "is no state of a logical unit")
        }
        guard heading.version <= version else {
            throw Defect(words: "was written by a newer martlet (version \(heading.version) of the file)")
        }
        guard heading.serial == serial else {
            throw Defect(words: "belongs to the logical unit with the serial number \"\(heading.serial)\"")
        }
        guard let document = JSON.decode(Document.self, from: Array(bytes)),
            checksum(of: replacingChecksum(of: text, by: noChecksum)) == document.checksum
        else { throw .damaged("its checksum is wrong") }
        guard document.state.isWhole else { throw .damaged("its parts do not agree") }
        return document.state
    }

    private static func checksum(of text: String) -> String {
        let digits = String(StableHash.of([text]), radix: 16)
        return String(repeating: "0", count: checksumDigitCount - digits.utf8.count) + digits
    }

    /// The keys are sorted, so that the first place is the checksum's own.
    private static func replacingChecksum(of text: String, by digits: String) -> String {
        guard let start = text.range(of: checksumStart)?.upperBound,
            let end = text.index(start, offsetBy: checksumDigitCount, limitedBy: text.endIndex)
        else { return text }
        return text.replacingCharacters(in: start..<end, with: digits)
    }

    // MARK: - The name

    /// Bytes of a serial number's part in a file name; file systems take 255.
    private static let maximumNameByteCount = 160

    /// `unit-SERIAL.json`, whatever the serial number holds: all but letters, digits, `-` and `_` as `%XX`; a long one
    /// cut, with a hash of the whole.
    public static func name(serial: String) -> String {
        var name = ""
        for byte in serial.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                name.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                name += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
            }
        }
        if name.utf8.count > maximumNameByteCount {
            name = String(name.prefix(maximumNameByteCount)) + "~" + checksum(of: serial)
        }
        return "unit-\(name).json"
    }
}
