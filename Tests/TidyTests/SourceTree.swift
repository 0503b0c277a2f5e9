// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The checkout that these tests were built from.
enum SourceTree {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// Folders with what people wrote; build products lie elsewhere.
    static let folders = ["Sources", "Plugins", "Tests", "Benchmarks", "docs", "scripts", ".ci"]

    struct File: CustomStringConvertible {
        /// Relative to the checkout.
        let path: String
        let text: String

        var description: String { path }
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
        var folder: String { (path as NSString).deletingLastPathComponent }

        func has(extension wanted: String...) -> Bool { wanted.contains((path as NSString).pathExtension) }
    }

    /// Every text file of the project, sorted by path.
    static let files: [File] = {
        let top = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let documents = top.filter { $0.hasSuffix(".md") || $0.hasSuffix(".swift") || $0 == "Makefile" }
        return (documents + folders.flatMap(paths)).sorted().compactMap { path in
            guard let data = FileManager.default.contents(atPath: root + "/" + path),
                let text = String(data: data, encoding: .utf8)
            else { return nil }
            return File(path: path, text: text)
        }
    }()

    private static func paths(under folder: String) -> [String] {
        // A folder may be a link, whose content the enumerator would pass over.
        let resolved = URL(fileURLWithPath: root + "/" + folder).resolvingSymlinksInPath().path
        guard let enumerator = FileManager.default.enumerator(atPath: resolved) else { return [] }
        return enumerator.compactMap { $0 as? String }
            .filter { !$0.hasPrefix(".build") && !$0.contains("/.build") }
            .map { folder + "/" + $0 }
    }

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root + "/" + path) }
}
