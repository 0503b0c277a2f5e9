// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane

/// The one executable.
@main
struct Martlet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Serves disks over iSCSI from userspace.",
        discussion: """
            Try it:
              martlet serve ram/1G
              iscsi-ls -s iscsi://127.0.0.1:3260
            """,
        version: "martlet \(Version.text)",
        subcommands: [
            ServeCommand.self, HandlersCommand.self, HandlerCommand.self, CheckCommand.self, CheckCaseCommand.self,
            StatusCommand.self, SessionsCommand.self, LUNsCommand.self, ReservationsCommand.self, StatsCommand.self,
            TargetCommand.self, LUNCommand.self, ApplyCommand.self, ExplainCommand.self,
            BenchCommand.self,
            TryHandlerCommand.self,
        ])

    /// Exit status 0 for success and for help that was asked for, 1 for a failure at run time, 2 for a wrong command
    /// line or configuration; failures as one sentence on standard error.
    static func main() {
        // Before any other thread is there: they inherit which signals they leave alone.
        Signals.prepare()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as Failure {
            StandardError.write("martlet: \(failure)\n")
            exit(withError: ExitCode(failure.kind.rawValue))
        } catch let status as ExitCode {
            // Everything has been said.
            exit(withError: status)
        } catch {
            leave(for: error)
        }
    }

    /// ArgumentParser's own errors, and its ways to say help and version.
    private static func leave(for error: any Error) -> Never {
        let message = fullMessage(for: error)
        guard exitCode(for: error) != .success else {
            StandardOutput.write(message + "\n")
            exit(withError: ExitCode.success)
        }
        let sentence = self.message(for: error).split(separator: "\n").joined(separator: " ")
        StandardError.write("martlet: \(sentence) (see \(helpCommand(message)))\n")
        exit(withError: ExitCode(Failure.Kind.usage.rawValue))
    }

    /// The help of the verb that was meant: it stands between quotes at the end of the full message.
    private static func helpCommand(_ message: String) -> Substring {
        let quoted = message.split(separator: "'", omittingEmptySubsequences: false)
        return quoted.last { $0.hasSuffix("--help") } ?? "martlet --help"
    }
}
