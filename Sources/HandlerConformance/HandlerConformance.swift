// SPDX-License-Identifier: Apache-2.0

public import Foundation

/// Runs `martlet check` from a test of a handler.
///
/// ```swift
/// @Test func conforms() throws {
///     let report = try HandlerConformance.check(handler: "build/handler_mine.so", config: "mine//tmp/disk", size: 64 << 20)
///     #expect(report.passed, "\(report)")
/// }
/// ```
public enum HandlerConformance {
    public struct Options: Sendable {
        /// Another store of the same handler, for two devices at once.
        public var secondConfig: String?
        /// Bytes of a block; nil: as the handler says.
        public var blockSize: Int?
        /// Nil: another each time.
        public var seed: UInt64?
        /// For one case.
        public var timeoutSeconds: Int?
        /// Names of cases; none: all.
        public var only: [String] = []
        /// Fewer rounds of everything.
        public var isQuick = true
        /// The program; nil: `MARTLET` in the environment, then `martlet` beside this kit and on PATH.
        public var program: URL?

        public init() {}
    }

    /// Why there is no report.
    public enum Failure: Error, CustomStringConvertible {
        case noProgram
        /// The program ended with this status and these words, and without a report.
        case noReport(status: Int32, words: String)

        public var description: String {
            switch self {
            case .noProgram:
                "the program martlet is not found: name it with the environment variable MARTLET, or put it on PATH"
            case .noReport(let status, let words):
                "martlet check ended with status \(status) and without a report: \(words)"
            }
        }
    }

    /// Checks the handler in the file `handler`, or the one with that subtype. What the store `config` holds is
    /// overwritten. Blocks until the report is there: some seconds.
    ///
    /// - Parameter size: bytes of the device, where the store does not tell.
    public static func check(
        handler: String, config: String, size: UInt64? = nil, options: Options = Options()
    ) throws -> ConformanceReport {
        guard let program = options.program ?? findProgram() else { throw Failure.noProgram }
        let (status, output, errors) = try run(program, arguments(handler, config, size, options))
        guard let report = try? JSONDecoder().decode(ConformanceReport.self, from: output) else {
            throw Failure.noReport(status: status, words: String(decoding: errors, as: UTF8.self))
        }
        return report
    }

    private static func arguments(
        _ handler: String, _ config: String, _ size: UInt64?, _ options: Options
    ) -> [String] {
        var words = ["check", handler, "--config", config, "--json"]
        if let size { words += ["--size", String(size)] }
        if let second = options.secondConfig { words += ["--second-config", second] }
        if let blockSize = options.blockSize { words += ["--block-size", String(blockSize)] }
        if let seed = options.seed { words += ["--seed", String(seed)] }
        if let seconds = options.timeoutSeconds { words += ["--timeout", String(seconds)] }
        for name in options.only { words += ["--only", name] }
        if options.isQuick { words.append("--quick") }
        return words
    }

    private static func run(
        _ program: URL, _ arguments: [String]
    ) throws -> (status: Int32, output: Data, errors: Data) {
        let process = Process()
        let output = Pipe()
        // To a file: two pipes would need two readers.
        let errors = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-check-\(UUID().uuidString)")
        _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
        defer { try? FileManager.default.removeItem(at: errors) }
        process.executableURL = program
        process.arguments = arguments
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, data, (try? Data(contentsOf: errors)) ?? Data())
    }
}

// Where the program is.
extension HandlerConformance {
    private static let name = "martlet"

    static func findProgram() -> URL? {
        let environment = ProcessInfo.processInfo.environment
        var candidates = [environment["MARTLET"]].compactMap { $0 }.map { URL(fileURLWithPath: $0) }
        // An installed kit lies in PREFIX/share/martlet/handler-kit/..., the program in PREFIX/bin.
        var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        while folder.path != "/" {
            if folder.lastPathComponent == "share" {
                candidates.append(folder.deletingLastPathComponent().appendingPathComponent("bin/\(name)"))
            }
            folder.deleteLastPathComponent()
        }
        for entry in (environment["PATH"] ?? "").split(separator: ":") {
            candidates.append(URL(fileURLWithPath: String(entry)).appendingPathComponent(name))
        }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }
}
