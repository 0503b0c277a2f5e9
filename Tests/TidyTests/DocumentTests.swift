// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Documents")
struct DocumentTests {
    /// A template's links are those of the document that is made of it.
    private static var documents: [SourceTree.File] {
        SourceTree.files.filter { $0.has(extension: "md") && !$0.path.hasSuffix(".template.md") }
    }

    @Test("Links between documents and to sources lead somewhere")
    func links() {
        #expect(Self.documents.contains { $0.path == "README.md" })
        for document in Self.documents {
            for link in Self.links(in: document.text) where !link.contains("://") && !link.hasPrefix("mailto:") {
                let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                let path = String(parts[0])
                let target =
                    path.isEmpty ? document.path : (("/" + document.folder + "/" + path) as NSString).standardizingPath
                #expect(SourceTree.exists(target), "\(document) links to \(link)")
                if parts.count > 1, target.hasSuffix(".md") { expectHeading(String(parts[1]), in: target, document) }
            }
        }
    }

    private func expectHeading(_ anchor: String, in path: String, _ document: SourceTree.File) {
        let name = path.hasPrefix("/") ? String(path.dropFirst()) : path
        guard let target = Self.documents.first(where: { $0.path == name }) else { return }
        let anchors = target.lines.filter { $0.hasPrefix("#") }.map { Self.anchor(ofHeading: $0) }
        #expect(anchors.contains(anchor), "\(document) links to \(name)#\(anchor)")
    }

    @Test("Every document is reached from the index")
    func index() {
        guard let index = Self.documents.first(where: { $0.path == "docs/README.md" }) else {
            Issue.record("docs/README.md, the index, is missing")
            return
        }
        for document in Self.documents where document.folder == "docs" && document.path != index.path {
            let name = (document.path as NSString).lastPathComponent
            #expect(index.text.contains("(\(name)"), "the index does not mention \(name)")
        }
    }

    @Test("Every target of the Makefile that a document names exists")
    func targets() {
        let makefile = SourceTree.files.first { $0.path == "Makefile" }?.text ?? ""
        let known = Set(
            makefile.split(separator: "\n").compactMap { line in
                line.contains(":") && line.first?.isLetter == true
                    ? String(line.prefix { $0 != ":" && $0 != " " }) : nil
            })
        #expect(known.isSuperset(of: ["run", "build", "test", "install", "bench", "soak", "clean"]))
        for document in Self.documents {
            for code in document.text.split(separator: "`") where code.hasPrefix("make ") {
                let target = code.dropFirst(5).prefix { $0.isLetter || $0 == "-" }
                #expect(known.contains(String(target)), "\(document) names make \(target)")
            }
        }
    }

    @Test("Every command of the table has a test that names it")
    func commandsHaveTests() {
        let names = SourceTree.files.filter { $0.path.hasPrefix("Sources/TargetCore/") }
            .flatMap { Self.commandNames(in: $0.text) }
        #expect(names.count >= 40, "the command table was not found: \(names)")
        let tests = SourceTree.files.filter { $0.path.hasPrefix("Tests/TargetCoreTests/") }.map(\.text).joined()
        for name in Set(names).sorted() {
            let isNamed = tests.contains(name)
            #expect(isNamed, "no test names \(name)")
        }
    }

    /// The names of the command table's rows: `row("READ(10)", …` or `name: "UNMAP", …`, also as the first part of one.
    static func commandNames(in text: String) -> [String] {
        text.matches(of: /(?:row\(\s*|name: )"([A-Z][A-Z0-9 ]+(?:\([0-9]+\))?)/).map { String($0.1) }
    }

    /// Targets of Markdown's inline links, outside code.
    static func links(in text: String) -> [String] {
        let fences = text.components(separatedBy: "```").enumerated().filter { $0.offset.isMultiple(of: 2) }
        return fences.flatMap { $0.element.matches(of: /\]\(([^)\s]+)\)/).map { String($0.1) } }
    }

    /// The anchor that a heading has on a rendered page.
    static func anchor(ofHeading heading: Substring) -> String {
        heading.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
            .filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
            .replacing(" ", with: "-")
    }
}
