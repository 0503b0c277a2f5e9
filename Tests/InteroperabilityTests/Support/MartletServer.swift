// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Where one logical unit is served: `iscsi://ADDR:PORT/IQN/LUN`.
struct LogicalUnitURL: CustomStringConvertible {
    let portal: String
    let target: String
    let lun: Int

    var host: String { String(portal[..<portal.lastIndex(of: ":")!]).trimmingCharacters(in: ["[", "]"]) }
    var port: UInt16 { UInt16(portal[portal.index(after: portal.lastIndex(of: ":")!)...])! }
    var description: String { "iscsi://\(portal)/\(target)/\(lun)" }
    var portalURL: String { "iscsi://\(portal)" }

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "iscsi:", parts[1].isEmpty, let lun = Int(parts[4]),
            let colon = parts[2].lastIndex(of: ":"), UInt16(parts[2][parts[2].index(after: colon)...]) != nil
        else { return nil }
        portal = String(parts[2])
        target = String(parts[3])
        self.lun = lun
    }
}

/// The built server, running for one test on a free port.
final class MartletServer {
    /// Time for the server to print its URLs, or to end after SIGTERM, on a loaded two-core machine.
    static let startLimitSeconds = 30.0
    static let stopLimitSeconds = 20.0

    let urls: [LogicalUnitURL]
    private let process: ChildProcess
    private let folder: TemporaryFolder

    /// The program under test: `MARTLET` in the environment, or the one that `make build` made.
    static let path =
        ProcessInfo.processInfo.environment["MARTLET"]
        ?? URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../build/bin/martlet").standardized.path

    /// Serves `units` (LUN-SPECs) and returns when every URL is printed.
    /// `fileLUNCount`: LUNs of a configuration file among `options`.
    convenience init(
        _ units: [String], portal: String = "127.0.0.1:0", options: [String] = [], fileLUNCount: Int = 0
    ) throws {
        try self.init(arguments: ["--portal", portal] + options + units, unitCount: units.count + fileLUNCount)
    }

    /// Serves what `configuration` (YAML) says, portals included, and returns when the URLs of its LUNs are printed.
    convenience init(configuration: String, unitCount: Int = 1) throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(configuration.utf8, to: "martlet.yaml")
        try self.init(configurationPath: file, unitCount: unitCount)
    }

    /// The same for a file that is there already.
    convenience init(configurationPath: String, options: [String] = [], unitCount: Int) throws {
        try self.init(arguments: ["--config", configurationPath] + options, unitCount: unitCount)
    }

    private init(arguments: [String], unitCount: Int) throws {
        let folder = try TemporaryFolder()
        let process = try ChildProcess(
            Self.path, ["serve", "--state-dir", folder.path] + PollerUnderTest.options + arguments,
            errorPath: folder.file("standard-error"))
        try process.readOutput(limitSeconds: Self.startLimitSeconds) {
            $0.split(separator: "\n", omittingEmptySubsequences: false).count > unitCount
        }
        let lines = process.standardOutput.split(separator: "\n")
        let urls = lines.compactMap { LogicalUnitURL(String($0)) }
        guard urls.count == unitCount, lines.count == unitCount else {
            throw HarnessError(
                "the server printed \(process.standardOutput.debugDescription), not \(unitCount) URLs: "
                    + process.standardError)
        }
        self.urls = urls
        self.process = process
        self.folder = folder
    }

    convenience init(_ unit: String, options: [String] = []) throws {
        try self.init([unit], options: options)
    }

    var url: LogicalUnitURL { urls[0] }
    var identifier: pid_t { process.identifier }
    var standardError: String { process.standardError }
    /// The file that standard error goes to.
    var logPath: String { folder.file("standard-error") }

    /// Ends the server as an operator does, and expects a clean end.
    func stop(sourceLocation: SourceLocation = #_sourceLocation) throws {
        process.send(SIGTERM)
        let ending = try process.wait(limitSeconds: Self.stopLimitSeconds)
        #expect(ending == .exit(0), "\(standardError)", sourceLocation: sourceLocation)
    }

    /// Sends a signal, without waiting.
    func send(_ signal: Int32) { process.send(signal) }

    /// Waits for the end that a signal asked for.
    func waitForEnd(limitSeconds: Double) throws -> ChildProcess.Ending {
        try process.wait(limitSeconds: limitSeconds)
    }

    /// Ends the server as a power cut does.
    func kill() throws {
        process.send(SIGKILL)
        _ = try process.wait(limitSeconds: Self.stopLimitSeconds)
    }
}
