// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Handlers that are compiled as their authors do it: against what `make build` or `make install` laid out, with what
/// pkg-config says, and nothing else of this tree.
enum HandlerSource {
    static let repository = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized

    /// What holds bin/, lib/ and include/.
    static let build = URL(fileURLWithPath: MartletServer.path).appendingPathComponent("../..").standardized.path

    /// One of the handlers that are compiled while tests run.
    static func own(_ name: String) -> String {
        repository.appendingPathComponent("Tests/HandlerTests/Handlers/\(name)").path
    }

    /// `pkg-config --cflags martlet-handler` of what stands in `prefix`.
    static func flags(prefix: String = build) throws -> [String] {
        let result = try Program.run(
            try #require(Program.pkgConfig.path), ["--cflags", "martlet-handler"],
            environment: ["PKG_CONFIG_PATH": prefix + "/lib/pkgconfig"])
        guard result.succeeded else { throw HarnessError("pkg-config: \(result.summary)") }
        return result.output.split(whereSeparator: \.isWhitespace).map(String.init)
    }

    /// The compiler's result, with its warnings.
    static func compile(_ arguments: [String], to output: String) throws -> Program.Result {
        try Program.compiler.run(arguments + ["-o", output])
    }

    /// The lines of `martlet handlers` about one folder.
    static func listing(_ folder: String, program: String = MartletServer.path) throws -> String {
        let result = try Program.run(program, ["handlers", "--handler-path", folder])
        guard result.succeeded else { throw HarnessError("martlet handlers: \(result.summary)") }
        return result.output
    }
}
