// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane

/// What the verbs that ask a running server have in common.
struct ClientOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The server's control socket. (default: $XDG_RUNTIME_DIR/martlet/control, or /run/martlet/control)",
            valueName: "path"))
    var control: String?

    @Flag(help: "Write JSON.")
    var json = false

    var client: ControlClient { ControlClient(path: control ?? ControlSocket.defaultPath) }
}

/// `martlet status`.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Tells how a running server is.",
        discussion: "Example: martlet status --control /run/martlet/control")

    @OptionGroup var options: ClientOptions

    mutating func run() throws {
        let status = try options.client.status()
        StandardOutput.write(options.json ? JSON.text(status) : status.table())
    }
}

/// `martlet sessions`.
struct SessionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sessions", abstract: "Lists the sessions of a running server.",
        discussion: "Example: martlet sessions --json")

    @OptionGroup var options: ClientOptions

    mutating func run() throws {
        let sessions = try options.client.sessions()
        StandardOutput.write(options.json ? JSON.text(sessions) : SessionReport.table(sessions))
    }
}

/// `martlet luns`.
struct LUNsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "luns", abstract: "Lists the LUNs of a running server.",
        discussion: "Example: martlet luns --json")

    @OptionGroup var options: ClientOptions

    mutating func run() throws {
        let luns = try options.client.luns()
        StandardOutput.write(options.json ? JSON.text(luns) : LUNReport.table(luns))
    }
}
