// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import TargetCore
import Testing

/// A folder of one test's own, gone when the test is.
final class TestFolder: Sendable {
    let path: String

    /// `parent`: where it is made; the system's folder for temporary files unless told.
    init(in parent: String? = nil) throws {
        let folder = parent.map { URL(fileURLWithPath: $0) } ?? FileManager.default.temporaryDirectory
        let url = folder.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func lines(_ name: String) -> [String] {
        let text = (try? String(contentsOfFile: file(name), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }
}

/// Compiles handlers in C while tests run, so that they are what the host meets: shared objects.
enum Compiler {
    private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    private static let headers = tests.appendingPathComponent("../../Sources/HandlerABI/include").path

    /// `source`: a file in Handlers; `defines`: NAME or NAME=VALUE.
    @discardableResult
    static func compile(
        _ source: String, to output: String, in folder: TestFolder, _ defines: [String], linking: [String] = []
    ) throws -> String {
        let path = folder.file(output)
        try run(
            ["-O1", "-D_GNU_SOURCE", "-o", path] + defines.map { "-D\($0)" }
                + [tests.appendingPathComponent("Handlers/\(source)").path, "-lpthread"] + linking)
        return path
    }

    /// One of our own plugins in C, with the functions `wrapped` replaced by those of `source` in Handlers.
    static func compilePlugin(
        _ name: String, with source: String, wrapping wrapped: [String], libraries: [String], in folder: TestFolder
    ) throws {
        // What the plugins over files share is part of each of them.
        let plugins = tests.appendingPathComponent("../../Plugins").standardizedFileURL
        let folders = [plugins.appendingPathComponent(name), plugins.appendingPathComponent("medium")]
        let files = try folders.flatMap { folder in
            try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".c") }
                .map { folder.appendingPathComponent($0).path }
        }
        try run(
            ["-O1", "-o", folder.file("handler_\(name).so")]
                + folders.flatMap { ["-I\($0.path)", "-I\($0.path)/include"] }
                + wrapped.map { "-Wl,--wrap=\($0)" } + files
                + [tests.appendingPathComponent("Handlers/\(source)").path, "-lpthread"] + libraries.map { "-l\($0)" })
    }

    private static func run(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            ["cc", "-shared", "-fPIC", "-std=gnu11", "-w", "-I\(headers)", "-I\(headers)/tcmu-runner"] + arguments
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "cc fails with \(arguments)")
    }
}

/// What the layers below tell the operator.
final class Collector: @unchecked Sendable {
    private let condition = NSCondition()
    private var messages: [String] = []

    var diagnostics: Diagnostics {
        Diagnostics(threshold: .debug) { [self] _, message in
            condition.withLock {
                messages.append(message)
                condition.broadcast()
            }
        }
    }

    func count(of words: String) -> Int {
        condition.withLock { messages.count { $0.contains(words) } }
    }

    /// Whether a message with these words is there, or comes within half a minute.
    func waits(for words: String) -> Bool {
        let deadline = Date(timeIntervalSinceNow: 30)
        return condition.withLock {
            while !messages.contains(where: { $0.contains(words) }) {
                guard condition.wait(until: deadline) else { return false }
            }
            return true
        }
    }
}

/// The recorder of Handlers/recorder.c, compiled with some of its switches, and a device of it.
struct Recorder {
    let folder: TestFolder
    let collector = Collector()
    let handler: Handler

    init(_ defines: String...) throws { try self.init(defines) }

    init(_ defines: [String]) throws {
        folder = try TestFolder()
        try Compiler.compile("recorder.c", to: "handler_recorder.so", in: folder, defines)
        let registry = HandlerRegistry(diagnostics: collector.diagnostics)
        let results = registry.scan(directories: [folder.path])
        handler = try #require(registry.handler(subtype: "recorder"), "\(results)")
    }

    static let byteCount: UInt64 = 1 << 20

    func configuration(_ words: String = "") -> HandlerDeviceConfiguration {
        let string = "recorder/log=\(folder.file("log"))\(words)"
        var configuration = HandlerDeviceConfiguration(configString: string, serial: "1")
        configuration.byteCount = Self.byteCount
        return configuration
    }

    func open(_ words: String = "") throws -> HandlerDevice {
        try HandlerDevice.open(handler, configuration(words), diagnostics: collector.diagnostics)
    }

    var calls: [String] { folder.lines("log") }
}

/// What opening refuses with.
func refusal(_ handler: Handler, _ configuration: HandlerDeviceConfiguration) -> HandlerDeviceError? {
    do throws(HandlerDeviceError) {
        let device = try HandlerDevice.open(handler, configuration, diagnostics: .silent)
        device.close()
        return nil
    } catch {
        return error
    }
}
