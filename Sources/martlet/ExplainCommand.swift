// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane

/// `martlet explain`.
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Tells what an initiator sees of a running server, or of a configuration file, and why.",
        discussion: """
            Examples:
              martlet explain iqn.1993-08.org.debian:01:abc --from 10.0.0.7
              martlet explain iqn.1993-08.org.debian:01:abc --from 10.0.0.7 --config /etc/martlet.yaml --json
            """)

    @OptionGroup var options: ClientOptions

    @Argument(help: ArgumentHelp("The initiator's iSCSI name.", valueName: "initiator"))
    var initiator: String

    @Option(help: ArgumentHelp("The address that it comes from. Rules for addresses need it.", valueName: "addr"))
    var from: String?

    @Option(help: ArgumentHelp("The portal that it comes to. (default: each)", valueName: "addr:port"))
    var portal: String?

    @Option(help: ArgumentHelp("Ask this file instead of a running server.", valueName: "file"))
    var config: String?

    mutating func run() throws {
        let question = try ExplainQuestion(initiatorName: initiator, address: from, portal: portal)
        let report =
            if let config { try ConfigurationFile.explain(config, question) } else {
                try options.client.explain(question)
            }
        StandardOutput.write(options.json ? JSON.text(report) : report.text())
    }
}
