// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A server with a configuration file and a control socket, both of which a test works on.
final class AccessServer {
    let martlet: MartletServer
    let controlPath: String
    let configurationPath: String
    private let folder: TemporaryFolder

    init(_ configuration: String, unitCount: Int, options: [String] = []) throws {
        folder = try TemporaryFolder()
        configurationPath = try folder.write(configuration.utf8, to: "martlet.yaml")
        controlPath = folder.file("control")
        martlet = try MartletServer(
            configurationPath: configurationPath, options: ["--control", controlPath] + options, unitCount: unitCount)
    }

    var url: LogicalUnitURL { martlet.url }

    func url(_ target: String, _ lun: Int, portal: String? = nil) -> LogicalUnitURL {
        LogicalUnitURL("iscsi://\(portal ?? martlet.url.portal)/\(target)/\(lun)")!
    }

    /// A verb that asks the server.
    func run(_ verb: [String]) throws -> Program.Result {
        try Program.run(MartletServer.path, verb + ["--control", controlPath])
    }

    /// The same, for what must go well.
    @discardableResult
    func demand(_ verb: [String]) throws -> String {
        let result = try run(verb)
        guard result.succeeded else { throw HarnessError("\(verb): \(result.summary)") }
        return result.output
    }

    /// Another configuration in place of the one before.
    func write(_ configuration: String) throws {
        try folder.write(configuration.utf8, to: "martlet.yaml")
    }

    func apply(_ configuration: String, plan: Bool = false) throws -> Program.Result {
        try write(configuration)
        return try run(["apply", configurationPath] + (plan ? ["--plan"] : []))
    }
}

extension Initiator.Options {
    static func named(_ name: String) -> Initiator.Options {
        var options = Initiator.Options()
        options.name = name
        return options
    }
}
