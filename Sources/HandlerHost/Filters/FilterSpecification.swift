// SPDX-License-Identifier: Apache-2.0

/// One filter as the operator named it: `NAME[:OPTION[=VALUE],...]`.
public struct FilterSpecification: Equatable, Sendable, CustomStringConvertible {
    public struct Option: Equatable, Sendable {
        public var key: String
        /// Nil: the word stands alone.
        public var value: String?
        /// Where it stands in the text, in characters from 1.
        public var column: Int

        public init(key: String, value: String?, column: Int) {
            self.key = key
            self.value = value
            self.column = column
        }
    }

    public var name: String
    public var options: [Option]
    /// Where the name stands in the text, in characters from 1.
    public var column: Int
    /// As it was written, without the plus behind it.
    public var description: String

    public init(name: String, options: [Option] = [], column: Int = 1, description: String) {
        self.name = name
        self.options = options
        self.column = column
        self.description = description
    }
}

/// What is wrong with the filters of a device.
public struct FilterError: Error, Equatable, Sendable {
    /// Where in the text, in characters from 1; nil: in no one place.
    public var column: Int?
    /// What is wrong and what to do, as a sentence without its beginning.
    public var sentence: String
    /// A word that is none of `known`: whoever tells the operator may add the nearest of them.
    public var unknown: String?
    public var known: [String] = []

    public init(column: Int?, _ sentence: String, unknown: String? = nil, known: [String] = []) {
        self.column = column
        self.sentence = sentence
        self.unknown = unknown
        self.known = known
    }
}

/// Cuts the filters off a device specification: `NAME[:OPTIONS]+NAME[:OPTIONS]+...+SUBTYPE/REST`.
///
/// What begins with a word and a slash is the store, whatever follows: `file//srv/a+b.img` has no filter. Otherwise the
/// word is a filter's name, a colon begins its options, commas part them, and a plus ends them. A comma or a plus that
/// belongs to a value is written `\,` or `\+`; a backslash before any other character stands for itself.
public enum FilterChainText {
    /// More is a mistake: each filter costs every command.
    public static let maximumFilterCount = 16

    public static func split(
        _ text: String
    ) throws(FilterError) -> (filters: [FilterSpecification], rest: String) {
        var cursor = Cursor(Array(text.unicodeScalars))
        var filters: [FilterSpecification] = []
        while let filter = try takeFilter(&cursor) {
            guard filters.count < maximumFilterCount else {
                throw FilterError(
                    column: filter.column, "has more than \(maximumFilterCount) filters: leave some of them out")
            }
            filters.append(filter)
        }
        return (filters, cursor.text(from: cursor.index))
    }

    private struct Cursor {
        let scalars: [Unicode.Scalar]
        var index = 0

        init(_ scalars: [Unicode.Scalar]) { self.scalars = scalars }

        var column: Int { index + 1 }
        var next: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

        func text(from start: Int) -> String {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: scalars[start...])
            return String(view)
        }

        func text(_ range: Range<Int>) -> String {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: scalars[range])
            return String(view)
        }
    }

    /// Nil, and nothing taken: what follows is the store.
    private static func takeFilter(_ cursor: inout Cursor) throws(FilterError) -> FilterSpecification? {
        let start = cursor.index
        var end = start
        while end < cursor.scalars.count, isWord(cursor.scalars[end]) { end += 1 }
        guard end < cursor.scalars.count, cursor.scalars[end] == ":" || cursor.scalars[end] == "+" else { return nil }
        let name = cursor.text(start..<end)
        guard !name.isEmpty else {
            throw FilterError(
                column: cursor.column,
                "has no filter's name before \"\(cursor.scalars[end])\": write one, such as fault:delay=5ms+ram/1G")
        }
        var filter = FilterSpecification(name: name, column: cursor.column, description: "")
        cursor.index = end + 1
        if cursor.scalars[end] == ":" { filter.options = try takeOptions(&cursor, of: name) }
        filter.description = cursor.text(start..<cursor.index - 1)
        return filter
    }

    /// The cursor stands behind the colon, and afterwards behind the plus.
    private static func takeOptions(
        _ cursor: inout Cursor, of name: String
    ) throws(FilterError) -> [FilterSpecification.Option] {
        var options: [FilterSpecification.Option] = []
        var part = String.UnicodeScalarView()
        var start = cursor.column
        while let scalar = cursor.next {
            cursor.index += 1
            switch scalar {
            case "\\" where cursor.next == "," || cursor.next == "+":
                part.append(cursor.scalars[cursor.index])
                cursor.index += 1
            case ",", "+":
                // "fault:+ram/1G" has no options, and that is no mistake of the text.
                if scalar == "+", options.isEmpty, part.isEmpty { return [] }
                options.append(try option(String(part), column: start, of: name))
                if scalar == "+" { return options }
                part = String.UnicodeScalarView()
                start = cursor.column
            default:
                part.append(scalar)
            }
        }
        throw FilterError(
            column: cursor.column,
            "has no + behind the options of the filter \(name): write \(name):OPTIONS+SUBTYPE/REST, "
                + "such as fault:delay=5ms+ram/1G")
    }

    private static func option(
        _ text: String, column: Int, of name: String
    ) throws(FilterError) -> FilterSpecification.Option {
        let key = String(text.prefix { $0 != "=" })
        guard !key.isEmpty else {
            throw FilterError(
                column: column,
                "has an empty option of the filter \(name): take the comma out, or write \\, for one in a value")
        }
        let value = key.count < text.count ? String(text.dropFirst(key.count + 1)) : nil
        return FilterSpecification.Option(key: key, value: value, column: column)
    }

    /// What names of handlers and filters are made of.
    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_", "-": true
        default: false
        }
    }
}
