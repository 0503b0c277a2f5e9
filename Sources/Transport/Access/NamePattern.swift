// SPDX-License-Identifier: Apache-2.0

/// iSCSI names with wildcards: `*` stands for any characters, also none, `?` for one.
///
/// Names are compared as their normal form asks (RFC 7143 4.2.7.1, RFC 3722): without regard to capital and small
/// letters. The other half of that form, Unicode's NFKC, is the sender's duty, and is not done again here.
public struct NamePattern: Hashable, Sendable, CustomStringConvertible {
    private enum Symbol: Hashable, Sendable {
        case one(Unicode.Scalar)
        /// `?`
        case anyOne
        /// `*`
        case anyRun
    }

    public let description: String
    private let symbols: [Symbol]

    /// Every name.
    public static let any = NamePattern(unchecked: "*")

    /// Bytes, as many as a name may have (RFC 7143 4.2.7.1).
    static let maximumByteCount = 223

    /// What keeps a text from being a pattern.
    public enum Defect: Error, Equatable, Sendable {
        case empty
        case tooLong(maximum: Int)
        /// A character that stands in no name and is no wildcard.
        case badCharacter(Character)
        /// No name begins so.
        case noName
    }

    public init(_ text: String) throws(Defect) {
        guard !text.isEmpty else { throw .empty }
        guard text.utf8.count <= Self.maximumByteCount else { throw .tooLong(maximum: Self.maximumByteCount) }
        if let wrong = text.first(where: { !Self.isAllowed($0) }) { throw .badCharacter(wrong) }
        self.init(unchecked: text)
        guard Self.typeDesignators.contains(where: { mayBegin(with: $0) }) else { throw .noName }
    }

    private init(unchecked text: String) {
        description = text
        var symbols: [Symbol] = []
        for scalar in Self.folded(text) {
            switch scalar {
            case "?": symbols.append(.anyOne)
            // Several stars are one.
            case "*": if symbols.last != .anyRun { symbols.append(.anyRun) }
            default: symbols.append(.one(scalar))
            }
        }
        self.symbols = symbols
    }

    /// RFC 7143 4.2.7.2.
    private static let typeDesignators = ["iqn.", "eui.", "naa."]

    /// What RFC 3722 leaves of ASCII, and the wildcards. Beyond ASCII everything may stand in a name.
    private static func isAllowed(_ character: Character) -> Bool {
        guard character.isASCII else { return true }
        switch character {
        case "a"..."z", "A"..."Z", "0"..."9", "-", ".", ":", "*", "?": return true
        default: return false
        }
    }

    private func mayBegin(with text: String) -> Bool {
        for (symbol, scalar) in zip(symbols, text.unicodeScalars) {
            switch symbol {
            case .anyRun: return true
            case .anyOne: continue
            case .one(let own): if own != scalar { return false }
            }
        }
        // Nothing may follow a designator that was cut off.
        return symbols.count >= text.unicodeScalars.count || symbols.contains(.anyRun)
    }

    private static func folded(_ text: String) -> [Unicode.Scalar] { Array(text.lowercased().unicodeScalars) }

    /// A name in the form in which names are compared.
    public static func normalForm(_ name: String) -> String { name.lowercased() }

    // MARK: Matching

    public func matches(_ name: String) -> Bool {
        Self.match(symbols, Self.folded(name)) { symbol, scalar in
            symbol == .anyOne || symbol == .one(scalar)
        }
    }

    /// Whether every name that `other` matches is matched by this pattern, as far as one look tells: true is certain,
    /// false is not.
    public func covers(_ other: NamePattern) -> Bool {
        Self.match(symbols, other.symbols) { symbol, theirs in
            // Another's star is no single character.
            theirs != .anyRun && (symbol == .anyOne || symbol == theirs)
        }
    }

    /// The steps are at most the product of the two lengths: of several stars only the last is ever moved on, since
    /// whatever an earlier one could take more, the last can take as well.
    private static func match<Element>(
        _ pattern: [Symbol], _ text: [Element], _ isOne: (Symbol, Element) -> Bool
    ) -> Bool {
        var position = 0
        var index = 0
        /// Behind the last star, and where the text goes on if the star takes one more.
        var retry: (position: Int, index: Int)?
        while index < text.count {
            if position < pattern.count, pattern[position] == .anyRun {
                position += 1
                retry = (position, index)
            } else if position < pattern.count, isOne(pattern[position], text[index]) {
                position += 1
                index += 1
            } else if let last = retry {
                position = last.position
                index = last.index + 1
                retry = (position, index)
            } else {
                return false
            }
        }
        return pattern[position...].allSatisfy { $0 == .anyRun }
    }
}
