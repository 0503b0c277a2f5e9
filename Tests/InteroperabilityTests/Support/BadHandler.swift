// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The handler of Tests/HandlerTests/Handlers/bad.c, compiled into a folder of its own.
struct BadHandler {
    let folder: TemporaryFolder
    let path: String

    /// `defines`: NAME=VALUE.
    init(_ defines: String..., source: String = "bad.c") throws {
        folder = try TemporaryFolder()
        path = folder.file("handler_bad.so")
        let tests = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized.path
        let result = try Program.run(
            "/usr/bin/env",
            [
                "cc", "-shared", "-fPIC", "-std=gnu11", "-w", "-D_GNU_SOURCE",
                "-I\(tests)/../Sources/HandlerABI/include",
                "-I\(tests)/../Sources/HandlerABI/include/tcmu-runner",
            ]
                + defines.map { "-D\($0)" } + ["-o", path, "\(tests)/HandlerTests/Handlers/\(source)", "-lpthread"])
        guard result.succeeded else { throw HarnessError("cc: \(result.summary)") }
    }

    var options: [String] { ["--handler-path", folder.path] }

    /// What begins the log's lines about the file.
    func lines(in log: String) -> [Substring] { log.split(separator: "\n").filter { $0.contains(path) } }
}
