// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Runs the handler "uring" in a process of its own, under the small host of Handlers/uring_host.c.
struct UringHost: Sendable, CustomTestStringConvertible {
    /// How the host behaves.
    enum Mode: String, CaseIterable, Sendable {
        /// Knows nothing of batches.
        case own
        /// Submits, and takes completions.
        case batch
        /// As `own`, on a write-protected device.
        case readonly
    }

    var mode = Mode.own
    /// With the semicolon before each.
    var options = ""
    var byteCount: UInt64 = 16 << 20
    var blockByteCount = 4096
    /// What is missing, as uring_launcher.c names it.
    var lack = "none"
    var environment: [String: String] = [:]

    var testDescription: String { "\(mode)\(options) \(lack)" }

    /// Every mode that serves commands with each of `options`.
    static func each(_ options: String...) -> [UringHost] {
        [Mode.own, .batch].flatMap { mode in options.map { UringHost(mode: mode, options: $0) } }
    }

    struct Answer: CustomStringConvertible {
        /// 0: all was as it must be; 2: refused.
        var status: Int32
        var lines: [String]

        /// What the handler said.
        var log: [String] { lines.filter { $0.hasPrefix("log: ") }.map { String($0.dropFirst(5)) } }
        var description: String { "status \(status): \(lines.joined(separator: " | "))" }
    }

    /// Longer than any scenario takes on a slow machine.
    private static let timeoutSeconds = 240

    /// Runs `scenario` on `path`, a file or device that the caller owns.
    func run(_ scenario: [String], on path: String) throws -> Answer {
        let programs = try Self.programs.get()
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            [
                "timeout", "--signal=KILL", "\(Self.timeoutSeconds)", programs.file("launcher"), lack,
                programs.file("host"), "\(Plugins.folder)/libhandler_uring.so", mode.rawValue, "\(byteCount)",
                "\(blockByteCount)", "uring/\(path)\(options)",
            ] + scenario
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return Answer(status: process.terminationStatus, lines: text.split(separator: "\n").map(String.init))
    }

    /// Runs `scenario` on a new file.
    func run(_ scenario: String...) throws -> Answer {
        let folder = try TestFolder()
        return try run(scenario, on: folder.file("disk.img"))
    }

    /// The folder with what is compiled once for all tests.
    private static let programs = Result {
        let folder = try TestFolder()
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let sources = tests.appendingPathComponent("../../Sources").path
        let host = try FileManager.default.contentsOfDirectory(atPath: "\(sources)/CHandlerHost")
            .filter { $0.hasSuffix(".c") }.map { "\(sources)/CHandlerHost/\($0)" }
        let own = ["host", "faults", "integrity", "scenarios"].map { "\(tests.path)/Handlers/uring_\($0).c" }
        let headers = [
            "-I\(sources)/HandlerABI/include", "-I\(sources)/HandlerABI/include/tcmu-runner",
            "-I\(sources)/CHandlerHost/include", "-I\(sources)/CHandlerHost",
        ]
        // Its own symbols are visible to the handler, as those of the real host are.
        let flags = ["-D_GNU_SOURCE", "-rdynamic"] + headers
        try compile(flags + own + host + ["-ldl", "-lpthread"], to: folder.file("host"))
        try compile(["\(tests.path)/Handlers/uring_launcher.c"], to: folder.file("launcher"))
        return folder
    }

    private static func compile(_ arguments: [String], to output: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["cc", "-std=gnu11", "-O1", "-w", "-o", output] + arguments
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(arguments) does not compile")
    }
}
