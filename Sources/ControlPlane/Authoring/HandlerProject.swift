// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// A new handler's working folder: what `martlet handler new` writes.
public struct HandlerProject: Equatable, Sendable {
    public enum Language: String, CaseIterable, Sendable {
        case swift, c
    }

    public let name: String
    public let language: Language
    /// Where the folder's files go; an absolute path.
    public let folder: String
    /// The package that a handler in Swift depends on; nil for C.
    let kit: String?
    private let share: AuthorsShare

    /// Longer names make no good file names.
    static let longestName = 64

    /// Checks everything that can be wrong, and writes nothing.
    ///
    /// - Parameters:
    ///   - language: the word on the command line.
    ///   - directory: the folder to write to; nil: one of the handler's name, here.
    ///   - kit: the folder of the package handler-kit; nil: the one that was installed with this executable.
    public init(name: String, language: String, directory: String?, kit: String?) throws(Failure) {
        guard Self.isIdentifier(name) else {
            throw .usage(
                "\"\(name)\" is no name for a handler: use up to \(Self.longestName) letters, digits and underscores, "
                    + "the first of them a letter")
        }
        guard let language = Language(rawValue: language) else {
            throw .usage("there is no template for \"\(language)\": the languages are swift and c")
        }
        self.name = name
        self.language = language
        folder = URL(fileURLWithPath: directory ?? name).standardizedFileURL.path
        try Self.checkIsFree(folder)
        share = try AuthorsShare()
        self.kit = language == .swift ? try share.kit(named: kit) : nil
    }

    private static func isIdentifier(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= longestName else { return false }
        func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte & 0xDF) }
        return isLetter(first)
            && name.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_") }
    }

    private static func checkIsFree(_ folder: String) throws(Failure) {
        guard Environment.isThere(folder) else { return }
        guard let entries = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            throw .usage("\(folder) is there and cannot be listed: name another --directory")
        }
        guard entries.isEmpty else {
            throw .usage("\(folder) is there and not empty: name another --directory")
        }
    }

    /// What stands for what in templates, in the names of files, too.
    private var words: [(mark: String, word: String)] {
        var words = [
            ("@NAME@", name), ("@TYPE@", name.prefix(1).uppercased() + name.dropFirst() + "Store"),
            ("@PREFIX@", share.prefix), ("@MARTLET@", share.executable),
        ]
        if let kit { words += [("@KIT@", kit), ("@KITNAME@", URL(fileURLWithPath: kit).lastPathComponent)] }
        return words
    }

    private func filled(_ text: String) -> String {
        words.reduce(text) { $0.replacingOccurrences(of: $1.mark, with: $1.word) }
    }

    /// Writes the files, and returns their paths inside the folder, sorted.
    public func write() throws(Failure) -> [String] {
        let templates = try share.templates(language.rawValue)
        var written: [String] = []
        for template in templates.files {
            let path = filled(AuthorsShare.target(of: template))
            let url = URL(fileURLWithPath: "\(folder)/\(path)")
            do {
                let text = try String(contentsOfFile: "\(templates.folder)/\(template)", encoding: .utf8)
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try filled(text).write(to: url, atomically: false, encoding: .utf8)
            } catch {
                throw .runTime("cannot write \(url.path): \(error.localizedDescription)")
            }
            written.append(path)
        }
        return written.sorted()
    }

    /// What to do next, a line each.
    public var advice: String {
        let steps = language == .swift ? ["swift build -c release", "swift test"] : ["make", "make check"]
        let built = language == .swift ? ".build/release" : "."
        return (["cd \(folder)"] + steps + ["\(share.executable) serve --handler-path \(built) \(name)/,size=16M"])
            .map { "  \($0)\n" }.joined()
    }
}
