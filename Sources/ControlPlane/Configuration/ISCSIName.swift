// SPDX-License-Identifier: Apache-2.0

/// Checks iSCSI names (RFC 7143 4.2.7) that an operator gives.
///
/// Names are taken in their normal form only (RFC 3722): what an initiator must send to be understood is then exactly
/// what stands in the configuration. Characters beyond ASCII are left out: no tool at hand handles them alike.
enum ISCSIName {
    /// RFC 7143 4.2.7.1: bytes.
    static let maximumByteCount = 223

    /// Nil for a good name; otherwise what is wrong with it and what to do, as the end of a sentence.
    static func defect(of name: String) -> String? {
        guard name.utf8.count <= maximumByteCount else {
            return "is longer than the \(maximumByteCount) bytes that an iSCSI name may have: shorten it"
        }
        switch name.prefix(4) {
        case "iqn.": return defect(ofQualified: name.dropFirst(4))
        case "eui.": return defect(ofHexadecimal: name.dropFirst(4), digitCounts: [16], example: "eui.02004567a425678d")
        case "naa.":
            return defect(ofHexadecimal: name.dropFirst(4), digitCounts: [16, 32], example: "naa.52004567ba64678d")
        default: return "is no iSCSI name: write iqn.YYYY-MM.REVERSED-DOMAIN:ANYTHING, such as \(example)"
        }
    }

    private static let example = "iqn.2026-11.org.example:disk0"

    /// RFC 7143 4.2.7.4: a date at which the naming authority owned its domain, the domain reversed, and a string of
    /// its own after a colon.
    private static func defect(ofQualified rest: Substring) -> String? {
        if let wrong = rest.first(where: { !isNameCharacter($0) }) {
            if wrong.isUppercase { return "has capital letters: write them small (RFC 3722)" }
            return "holds \"\(wrong)\": only a to z, 0 to 9, dash, dot and colon may stand in it"
        }
        let authorityEnd = rest.firstIndex(of: ":") ?? rest.endIndex
        var labels = rest[..<authorityEnd].split(separator: ".", omittingEmptySubsequences: false)
        guard let date = labels.first, isDate(date) else {
            return "has no date after \"iqn.\": write it as YYYY-MM, such as \(example)"
        }
        labels.removeFirst()
        guard !labels.isEmpty, labels.allSatisfy({ isLabel($0) }) else {
            return "has no domain name, reversed, after the date: write it such as \(example)"
        }
        guard authorityEnd == rest.endIndex || rest.index(after: authorityEnd) != rest.endIndex else {
            return "ends with a colon: put a name behind it, or take it out"
        }
        return nil
    }

    /// RFC 7143 4.2.7.5 and 4.2.7.6.
    private static func defect(ofHexadecimal rest: Substring, digitCounts: [Int], example: String) -> String? {
        guard digitCounts.contains(rest.utf8.count), rest.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            let counts = digitCounts.map(String.init).joined(separator: " or ")
            return "needs \(counts) hexadecimal digits after its first dot, such as \(example)"
        }
        return nil
    }

    private static func isNameCharacter(_ character: Character) -> Bool {
        switch character {
        case "a"..."z", "0"..."9", "-", ".", ":": character.isASCII
        default: false
        }
    }

    private static func isDate(_ text: Substring) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 4, parts[1].utf8.count == 2, Int(parts[0]) != nil,
            let month = Int(parts[1])
        else { return false }
        return (1...12).contains(month)
    }

    private static func isLabel(_ label: Substring) -> Bool {
        !label.isEmpty && !label.hasPrefix("-") && !label.hasSuffix("-")
    }
}
