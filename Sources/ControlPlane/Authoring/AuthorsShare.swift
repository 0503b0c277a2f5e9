// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// What is installed for authors of handlers, seen from the running executable.
struct AuthorsShare: Equatable, Sendable {
    /// Where bin, lib, include and share stand.
    let prefix: String
    let executable: String

    /// Files that become others: they are no sources where they lie.
    private static let suffix = ".template"

    init() throws(Failure) {
        guard let folder = Environment.executableFolder else {
            throw .runTime("cannot tell where this program stands: mount /proc")
        }
        prefix = URL(fileURLWithPath: folder).deletingLastPathComponent().path
        executable = "\(folder)/martlet"
    }

    /// The folder of the package that `named` names, or of the installed one.
    func kit(named: String?) throws(Failure) -> String {
        let path =
            named.map { URL(fileURLWithPath: $0).standardizedFileURL.path } ?? "\(prefix)/share/martlet/handler-kit"
        guard Environment.isThere("\(path)/Package.swift") else {
            throw .usage("there is no handler kit in \(path): name the folder of its Package.swift with --kit")
        }
        return path
    }

    /// The folder with the templates of a language, and the files in it, sorted.
    func templates(_ language: String) throws(Failure) -> (folder: String, files: [String]) {
        let folder = "\(prefix)/share/martlet/templates/\(language)"
        let inside = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        let files = inside.filter { $0.hasSuffix(Self.suffix) }
        guard !files.isEmpty else {
            throw .runTime("there are no templates in \(folder): install Martlet whole")
        }
        return (folder, files.sorted())
    }

    /// A template's path without what marks it as one.
    static func target(of template: String) -> String { String(template.dropLast(suffix.count)) }
}
