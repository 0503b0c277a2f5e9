// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane

/// `martlet handlers`.
struct HandlersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "handlers",
        abstract: "Lists every handler that is found, or why it was refused.",
        discussion: """
            Examples:
              martlet handlers
              martlet handlers --handler-path /opt/handlers --json
            """)

    @Option(help: ArgumentHelp("Look for handlers here first; may be repeated.", valueName: "dir"))
    var handlerPath: [String] = []

    @Option(
        help: ArgumentHelp(
            "Take this handler although it does not tell that it was built for tcmu-runner 1.5.4; may be repeated.",
            valueName: "file"))
    var trustHandler: [String] = []

    @Option(
        help: ArgumentHelp(
            "How long a handler that did not come with martlet may take to start, when it is tried in a process of its "
                + "own; 0 leaves the trial out.", valueName: "s"))
    var handlerTrial = HandlerTrial.defaultSeconds

    @Flag(help: "Write JSON.")
    var json = false

    mutating func run() throws {
        let listing = try HandlerListing.scan(
            handlerPaths: handlerPath, trustedHandlers: trustHandler, trialSeconds: handlerTrial)
        StandardOutput.write(json ? JSON.text(listing) : listing.table())
    }
}
