// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// HandlerKit is written for people who have nothing but its documentation.
@Suite("HandlerKit's documentation")
struct HandlerKitDocumentationTests {
    @Test("Every public declaration has a doc comment")
    func comments() {
        let files = SourceTree.files.filter { $0.path.hasPrefix("Sources/HandlerKit/") && $0.has(extension: "swift") }
        #expect(files.count > 10)
        for file in files {
            for line in Self.undocumented(in: file.lines) { Issue.record("\(file):\(line + 1) has no doc comment") }
        }
    }

    /// Indices of the lines that declare something public, with no doc comment before them or their attributes.
    static func undocumented(in lines: [Substring]) -> [Int] {
        var found: [Int] = []
        /// The closing line of the public protocol or enum that a line stands in: its members are public, too.
        var end: Substring?
        for (index, line) in lines.enumerated() {
            let words = Self.words(of: line)
            if let closing = end {
                if line == closing { end = nil }
                let indent = closing.count + 3
                let isMember = line.prefix(indent).allSatisfy { $0 == " " } && !line.dropFirst(indent).hasPrefix(" ")
                if isMember, Self.declares(words), !Self.isDocumented(lines, index) { found.append(index) }
            }
            guard words.first == "public", words.dropFirst().first != "import" else { continue }
            if !Self.isDocumented(lines, index) { found.append(index) }
            if words.contains("protocol") || words.contains("enum"), line.hasSuffix("{") {
                end = line.prefix { $0 == " " } + "}"
            }
        }
        return found
    }

    /// Attributes are left out.
    private static func words(of line: Substring) -> [Substring] {
        Array(line.split { " (:".contains($0) }.drop { $0.hasPrefix("@") })
    }

    private static func declares(_ words: [Substring]) -> Bool {
        let kinds: Set<Substring> = ["func", "var", "init", "case", "associatedtype", "subscript"]
        return words.first.map { kinds.contains($0) } == true || (words.first == "static" && words.count > 1)
    }

    private static func isDocumented(_ lines: [Substring], _ index: Int) -> Bool {
        let before = lines[..<index].last { !$0.drop { $0 == " " }.hasPrefix("@") }
        return before?.drop { $0 == " " }.hasPrefix("///") == true
    }

    @Test("The reader of declarations knows their forms")
    func reader() {
        let text = """
            public import Glibc
            /// A.
            public protocol P {
                /// B.
                func b()
                static var c: Int { get }
            }
            /// D.
            public enum D {
                case e
                var hidden: Int { 1 }
            }
            public struct F {
                let g = 1
                /// H.
                @inlinable
                public var h: Int {
                    var i = 1
                }
            }
            @c(j) public func j() {}
            """
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let found = Self.undocumented(in: lines).map { lines[$0].drop { $0 == " " } }
        #expect(
            found == [
                "static var c: Int { get }", "case e", "var hidden: Int { 1 }", "public struct F {",
                "@c(j) public func j() {}",
            ])
    }

    private static let hasDocC = run(["sh", "-c", "command -v docc && command -v swift"]).isGood

    @Test(
        "DocC has nothing to say against the catalog", .enabled(if: hasDocC, "docc comes with toolchains of swift.org"))
    func catalog() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let products = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        let target = try #require(Self.target)
        let graph = Self.run([
            "swift", "symbolgraph-extract", "-module-name", "HandlerKit", "-target", target,
            "-I", "\(products)/Modules", "-output-dir", folder, "-minimum-access-level", "public", "-Xcc",
            "-fmodule-map-file=\(SourceTree.root)/Sources/HandlerABI/include/module.modulemap",
        ])
        #expect(graph.isGood, "\(graph.words)")
        let result = Self.run([
            "docc", "convert", "\(SourceTree.root)/Sources/HandlerKit/HandlerKit.docc",
            "--fallback-display-name", "HandlerKit", "--fallback-bundle-identifier", "org.martlet.HandlerKit",
            "--additional-symbol-graph-dir", folder, "--output-path", "\(folder)/out.doccarchive",
            "--warnings-as-errors",
        ])
        #expect(result.isGood, "\(result.words)")
    }

    private static var target: String? {
        let text = run(["swift", "-print-target-info"]).words
        return text.firstMatch(of: /"unversionedTriple": "([^"]+)"/).map { String($0.1) }
    }

    private static func run(_ words: [String]) -> (isGood: Bool, words: String) {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        process.standardOutput = output
        process.standardError = output
        guard (try? process.run()) != nil else { return (false, "\(words[0]) cannot be started") }
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus == 0, String(decoding: text, as: UTF8.self))
    }
}
