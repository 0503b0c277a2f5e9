// SPDX-License-Identifier: Apache-2.0

/// The file that a configuration string names, where it names one: an absolute path behind the subtype, or behind one
/// of `@`, `:` and `=`; up to a semicolon.
struct StorePath {
    let config: String
    /// Nil: the store is no file, as far as can be seen.
    let path: String?
    /// Nothing in the string could be a path or a name in some other place: each device has a store of its own.
    let isPrivate: Bool

    private static let marks: Set<Character> = ["@", ":", "="]

    init(config: String) {
        self.config = config
        let rest = config.drop { $0 != "/" }.dropFirst()
        isPrivate = !rest.contains("/")
        let start = rest.indices.last { index in
            guard rest[index] == "/" else { return false }
            return index == rest.startIndex || Self.marks.contains(rest[rest.index(before: index)])
        }
        path = start.map { String(rest[$0...].prefix { $0 != ";" }) }
    }

    /// The same string with another file.
    func replacing(_ other: String) -> String? {
        guard let path, let range = config.ranges(of: path).last else { return nil }
        return String(config[..<range.lowerBound]) + other + String(config[range.upperBound...])
    }
}
