// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerConformance
import Testing

/// A folder of one test's own, gone when the test is.
final class StoreFolder: Sendable {
    let path: String

    private static let memory = "/dev/shm"

    /// `inMemory`: for stores whose flushes need no disk.
    init(inMemory: Bool = false) throws {
        let parent =
            inMemory && FileManager.default.isWritableFile(atPath: Self.memory)
            ? URL(fileURLWithPath: Self.memory) : FileManager.default.temporaryDirectory
        let url = parent.appendingPathComponent("martlet-check-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// The program under test, run as the library runs it, and by hand.
enum Program {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// `MARTLET` in the environment, or what `make build` made.
    static let url = URL(
        fileURLWithPath: ProcessInfo.processInfo.environment["MARTLET"]
            ?? root.appendingPathComponent("build/bin/martlet").path)

    static func check(
        _ handler: String, _ config: String, size: UInt64? = 16 << 20, only: [String] = [], timeoutSeconds: Int? = nil,
        seed: UInt64? = nil
    ) throws -> ConformanceReport {
        var options = HandlerConformance.Options()
        options.program = url
        options.only = only
        options.timeoutSeconds = timeoutSeconds
        options.seed = seed
        return try HandlerConformance.check(handler: handler, config: config, size: size, options: options)
    }

    /// Exit status and both streams of `martlet ARGUMENTS`.
    static func run(_ arguments: [String]) throws -> (status: Int32, output: String, errors: String) {
        let folder = try StoreFolder()
        let process = Process()
        process.executableURL = url
        process.arguments = arguments
        let files = try ["output", "errors"].map { name in
            #expect(FileManager.default.createFile(atPath: folder.file(name), contents: nil))
            return try FileHandle(forWritingTo: URL(fileURLWithPath: folder.file(name)))
        }
        process.standardOutput = files[0]
        process.standardError = files[1]
        try process.run()
        process.waitUntilExit()
        let texts = try ["output", "errors"].map { try String(contentsOfFile: folder.file($0), encoding: .utf8) }
        return (process.terminationStatus, texts[0], texts[1])
    }
}

/// Faults/faulty.c, compiled with one of its faults.
enum FaultyHandler {
    private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

    static func compile(
        _ fault: String, threads: Int = 4, flags: [String] = [], in folder: StoreFolder
    ) throws -> String {
        let path = folder.file("handler_faulty.so")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            [
                "cc", "-shared", "-fPIC", "-std=gnu11", "-O1", "-Wall", "-Wextra",
                "-I\(Program.root.appendingPathComponent("Sources/HandlerABI/include").path)", "-DFAULT=\(fault)",
                "-DTHREADS=\(threads)", "-o", path,
            ] + flags + [sources.appendingPathComponent("Faults/faulty.c").path, "-lpthread"]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "cc fails with \(fault)")
        return path
    }
}
