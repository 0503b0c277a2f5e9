// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost

/// A logical unit as the command line names it: `[FILTER+]...SUBTYPE/REST[,KEY=VALUE]...`.
///
/// What stands behind the filters is cut at commas. The first part is the configuration string; every other part is an attribute: a word, or
/// a word with `=` and a value, of the words in `DeviceAttribute`. Nothing else may follow a comma: a comma that
/// belongs to a path or a value is written `\,`. A backslash before any other character stands for itself.
public enum LUNSpecification {
    /// Linux passes no longer path to a system call; with attributes a specification may be somewhat longer.
    private static let maximumByteCount = 8192

    public static func parse(_ text: String) throws(Failure) -> DeviceSettings {
        guard text.utf8.count <= maximumByteCount else {
            throw .usage("a LUN of \(text.utf8.count) bytes is too long: use at most \(maximumByteCount)")
        }
        guard !text.isEmpty else {
            throw .usage("a LUN is empty: write SUBTYPE/REST, such as ram/1G or file//srv/disk.img")
        }
        let chain: DeviceSettings
        do throws(FilterError) {
            chain = try DeviceSettings(chain: text)
        } catch {
            throw .usage("LUN \"\(text)\" \(error.words)")
        }
        // The commas of the filters' options are theirs; those of the rest part attributes.
        var parts = split(chain.backstore)
        let backstore = parts.removeFirst()
        if let defect = DeviceSettings.defect(ofBackstore: backstore) { throw .usage("LUN \"\(text)\" \(defect)") }
        var settings = chain
        settings.backstore = backstore
        var seen: Set<DeviceAttribute> = []
        for part in parts {
            let attribute = try apply(part, of: text, to: &settings)
            guard seen.insert(attribute).inserted else {
                throw .usage("LUN \"\(text)\" gives \(attribute.rawValue) twice: leave one of them out")
            }
        }
        if let defect = settings.defect { throw .usage("LUN \"\(text)\" \(defect)") }
        return settings
    }

    private static func apply(
        _ part: String, of text: String, to settings: inout DeviceSettings
    ) throws(Failure) -> DeviceAttribute {
        guard !part.isEmpty else {
            throw .usage(
                "LUN \"\(text)\" has nothing after a comma: take the comma out, or write \\, for one in a path")
        }
        let key = String(part.prefix { $0 != "=" })
        guard let attribute = DeviceAttribute(rawValue: key) else {
            throw .usage(
                "LUN \"\(text)\" has no attribute \"\(key)\": \(NearestKey.advice(key, among: DeviceAttribute.names)) "
                    + "(a comma that belongs to a path is written \\,)")
        }
        guard key.count < part.count else {
            guard attribute.isFlag, attribute.apply("yes", to: &settings) else {
                throw .usage("LUN \"\(text)\" gives \(key) no value: \(attribute.expectation)")
            }
            return attribute
        }
        let value = String(part.dropFirst(key.count + 1))
        guard attribute.apply(value, to: &settings) else {
            throw .usage("LUN \"\(text)\": \(key) cannot be \"\(value)\": \(attribute.expectation)")
        }
        return attribute
    }

    /// At least one part.
    private static func split(_ text: String) -> [String] {
        var parts = [String.UnicodeScalarView()]
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            if scalar == "\\", rest.first == "," {
                rest.removeFirst()
                parts[parts.count - 1].append(",")
            } else if scalar == "," {
                parts.append(String.UnicodeScalarView())
            } else {
                parts[parts.count - 1].append(scalar)
            }
        }
        return parts.map { String($0) }
    }
}
