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

    @Flag(help: "Write JSON.")
    var json = false

    mutating func run() throws {
        let listing = try HandlerListing.scan(handlerPaths: handlerPath)
        StandardOutput.write(json ? JSON.text(listing) : listing.table())
    }
}
