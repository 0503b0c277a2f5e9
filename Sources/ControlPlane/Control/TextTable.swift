// SPDX-License-Identifier: Apache-2.0

/// Columns for people.
struct TextTable {
    private let headings: [String]
    private var rows: [[String]] = []

    init(headings: [String]) { self.headings = headings }

    var isEmpty: Bool { rows.isEmpty }

    /// As many cells as there are headings. Line ends and the like are left out: peers' words may stand in a cell.
    mutating func add(_ cells: [String]) {
        rows.append(cells.map { cell in String(cell.map { $0.isNewline ? " " : $0 }.filter { $0 >= " " }) })
    }

    /// A line of words in which peers' may stand.
    static func line(_ words: String) -> String {
        String(words.map { $0.isNewline ? " " : $0 }.filter { $0 >= " " }) + "\n"
    }

    func text() -> String {
        let lines = [headings] + rows
        let widths = headings.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { cells in
            let padded = cells.enumerated().map { column, cell in
                column == cells.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            return padded.joined(separator: "  ") + "\n"
        }.joined()
    }
}
