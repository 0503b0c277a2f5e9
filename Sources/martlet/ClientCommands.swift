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

/// `martlet reservations`.
struct ReservationsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reservations",
        abstract: "Tells who has registered with the LUNs of a running server, and who holds them.",
        discussion: "Example: martlet reservations --json")

    @OptionGroup var options: ClientOptions

    mutating func run() throws {
        let reservations = try options.client.reservations()
        StandardOutput.write(options.json ? JSON.text(reservations) : ReservationReport.table(reservations))
    }
}

/// `martlet stats`.
struct StatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Tells how busy a running server is, and where its time goes.",
        discussion: """
            Rates are those since the last call of martlet stats. Times are those of the commands that the server \
            sampled (serve --stats-sample).

            Examples:
              martlet stats
              martlet stats --lun \(Configuration.defaultTargetName)/0 --json
              martlet stats --session 1
            """)

    @OptionGroup var options: ClientOptions

    @Option(help: ArgumentHelp("Only this LUN.", valueName: "target/lun"))
    var lun: String?

    @Option(help: ArgumentHelp("Only the sessions of this TSIH or initiator.", valueName: "tsih|initiator"))
    var session: String?

    @Flag(help: "After this, counts, times and rates begin anew.")
    var reset = false

    mutating func run() throws {
        let selection = try StatisticsSelection(lun: lun, session: session)
        let report = try selection.apply(to: options.client.statistics(isReset: reset))
        StandardOutput.write(options.json ? JSON.text(report) : report.table())
    }
}
