// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What an author of a handler has: a folder, the guide, and the installed programs.
struct Author {
    let folder: TemporaryFolder

    /// Compilers are slow on a loaded machine.
    static let buildLimitSeconds = 300.0

    init() throws { folder = try TemporaryFolder() }

    /// `build/`, as it is installed: where bin, lib and share stand.
    static let prefix = URL(fileURLWithPath: MartletServer.path).deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// The checkout.
    static let sources = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized.path

    /// The first block of code in `language` behind the heading `heading` of docs/writing-a-handler.md.
    static func code(_ language: String, under heading: String) throws -> String {
        let text = try String(contentsOfFile: sources + "/docs/writing-a-handler.md", encoding: .utf8)
        guard let section = text.range(of: "\n## \(heading)\n"),
            let start = text.range(of: "\n```\(language)\n", range: section.upperBound..<text.endIndex),
            let end = text.range(of: "\n```\n", range: start.upperBound..<text.endIndex)
        else { throw HarnessError("the guide has no \(language) under \(heading)") }
        return String(text[start.upperBound..<end.lowerBound]) + "\n"
    }

    /// Runs a program that must succeed.
    @discardableResult
    func run(_ words: String..., in subfolder: String = "", sourceLocation: SourceLocation = #_sourceLocation) throws
        -> String
    {
        let line = "cd '\(folder.file(subfolder))' && exec \"$@\""
        let result = try Program.run(
            "/bin/sh", ["-c", line, "sh"] + words,
            environment: ["MARTLET": MartletServer.path, "PKG_CONFIG_PATH": Self.prefix + "/lib/pkgconfig"],
            limitSeconds: Self.buildLimitSeconds)
        try #require(result.succeeded, "\(words): \(result.summary)", sourceLocation: sourceLocation)
        return result.output
    }

    /// Runs a line of shell that must succeed.
    func shell(_ line: String, in subfolder: String = "", sourceLocation: SourceLocation = #_sourceLocation) throws {
        try run("sh", "-c", line, in: subfolder, sourceLocation: sourceLocation)
    }

    /// Runs `martlet check`, which must find nothing wrong.
    func check(_ handler: String, config: String, secondConfig: String? = nil) throws {
        let second = secondConfig.map { "--second-config '\($0)'" } ?? ""
        try shell(
            "\"$MARTLET\" check '\(folder.file(handler))' --config '\(config)' \(second) --size 4M --quick")
    }

    /// Serves `unit` by a handler in `subfolder`, and verifies random data of an initiator's.
    func serve(_ unit: String, from subfolder: String) throws {
        let server = try MartletServer(unit, options: ["--handler-path", folder.file(subfolder)])
        var workload = Workload(
            try Initiator(server.url), first: 0, blockCount: 8192, seed: Interoperability.seed)
        print("seed \(Interoperability.seed)")
        for _ in 0..<8 { try workload.step() }
        try workload.verifyAll(with: try Initiator(server.url))
        try server.stop()
    }
}
