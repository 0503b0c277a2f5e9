// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane

/// `martlet handler`.
struct HandlerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "handler", abstract: "Helps to write a handler.", subcommands: [New.self])

    /// `martlet handler new`.
    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new",
            abstract: "Writes a working handler, with a test, into a new folder.",
            discussion: """
                Examples:
                  martlet handler new tape --language c
                  martlet handler new cloud --language swift --directory ~/src/cloud
                """)

        @Argument(help: "The handler's name: letters, digits and underscores. It becomes the subtype.")
        var name: String

        @Option(help: "swift or c.")
        var language: String

        @Option(
            help: ArgumentHelp("The folder to write to; else ./NAME. It must be empty or missing.", valueName: "dir"))
        var directory: String?

        @Option(
            help: ArgumentHelp(
                "The handler kit that a handler in Swift depends on; else the one installed with this program.",
                valueName: "dir"))
        var kit: String?

        mutating func run() throws {
            let project = try HandlerProject(name: name, language: language, directory: directory, kit: kit)
            let files = try project.write()
            StandardOutput.write("\(project.folder):\n")
            StandardOutput.write(files.map { "  \($0)\n" }.joined())
            StandardOutput.write("Next:\n\(project.advice)")
        }
    }
}
