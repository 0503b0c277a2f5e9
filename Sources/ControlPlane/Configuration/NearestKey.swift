// SPDX-License-Identifier: Apache-2.0

/// Finds what somebody probably meant.
enum NearestKey {
    /// More edits than this, and the word is another word.
    private static let maximumDistance = 3
    /// Longer words are not compared: the work is their product.
    private static let maximumLength = 64

    /// The key nearest to `word`; the first of several. Nil when none is near.
    static func find(_ word: String, among keys: some Sequence<String>) -> String? {
        guard word.count <= maximumLength else { return nil }
        var best: (key: String, distance: Int)?
        for key in keys {
            let distance = distance(Array(word.lowercased()), Array(key))
            // A short word must not become another just because everything is few edits away.
            guard distance <= min(maximumDistance, max(1, key.count / 2)) else { continue }
            if best == nil || distance < best!.distance { best = (key, distance) }
        }
        return best?.key
    }

    /// "; did you mean size?", or the list of all keys where none is near.
    static func advice(_ word: String, among keys: [String]) -> String {
        if let key = find(word, among: keys) { return "did you mean \(key)?" }
        return "known here: \(keys.joined(separator: ", "))"
    }

    /// Insertions, deletions, substitutions and swaps of neighbours that make one word of the other.
    static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            for column in 0..<right.count {
                let substitution = last[column] + (left[row] == right[column] ? 0 : 1)
                var least = min(substitution, last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    least = min(least, beforeLast[column - 1] + 1)
                }
                current.append(least)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
