// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The programs that tests run beside the server.
enum Program: String, CaseIterable {
    case iscsiLs = "iscsi-ls"
    case iscsiInq = "iscsi-inq"
    case iscsiTest = "iscsi-test-cu"
    case qemuImg = "qemu-img"
    case qemuIo = "qemu-io"
    case pkgConfig = "pkg-config"
    case compiler = "cc"
    case make
    case bash
    case isnsd
    case isnsadm

    struct Result {
        let ending: ChildProcess.Ending
        let output: String
        let error: String

        var succeeded: Bool { ending == .exit(0) }
        /// What a failed expectation shows.
        var summary: String { "\(ending)\n\(output)\n\(error)" }
    }

    /// Where the program is, if it is installed.
    var path: String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        return (folders + ["/usr/sbin"]).map { "\($0)/\(rawValue)" }.first { access($0, X_OK) == 0 }
    }

    /// Runs the program to its end.
    func run(_ arguments: [String], limitSeconds: Double = 60) throws -> Result {
        guard let path else { throw HarnessError("\(rawValue) is not installed") }
        return try Self.run(path, arguments, limitSeconds: limitSeconds)
    }

    static func run(
        _ path: String, _ arguments: [String], environment: [String: String] = [:], limitSeconds: Double = 60
    ) throws -> Result {
        let folder = try TemporaryFolder()
        let child = try ChildProcess(
            path, arguments, environment: environment, errorPath: folder.file("standard-error"))
        let ending = try child.wait(limitSeconds: limitSeconds)
        return Result(ending: ending, output: child.standardOutput, error: child.standardError)
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips a test, in words, on a machine without the programs that it runs.
    static func needs(_ programs: Program...) -> Self {
        let missing = programs.filter { $0.path == nil }.map(\.rawValue).joined(separator: ", ")
        return .enabled(
            if: missing.isEmpty, "\(missing) is not installed; make test and make interop install what they need")
    }
}
